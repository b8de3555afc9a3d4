"""The command api-key: make a key of the service."""

from pathlib import Path

import click

from ..config.api_keys import ROLES, VARIABLE, Role, append_api_key, new_api_key
from .shared import FILE, Command


@click.command("api-key", cls=Command)
@click.argument("name")
@click.option(
    "--role",
    default="read",
    show_default=True,
    type=click.Choice(ROLES),
    help="What the key allows. Each role includes those before it.",
)
@click.option("--people", is_flag=True, help="Let the client name the person who acts: for a dashboard with sign-in.")
@click.option("--file", type=FILE, help="Add the line of the key to this file of PDM_API_KEYS.")
def api_key(name: str, role: Role, people: bool, file: Path | None) -> None:
    """Make an API key with a name and a role.

    The key is printed once, alone, on the standard output. The service knows its hash only: the line that the command prints
    on the standard error, or adds to --file. To withdraw a key, remove its line. Restart the service after a change.

    read: predictions, and what the service knows. write: keep readings, events and feedback. operate: change what others see,
    such as acknowledging an alarm, and read the audit log.

    \b
    Examples:
      predictive-maintenance api-key grafana --file api-keys.txt
      predictive-maintenance api-key bridge --role write --file api-keys.txt
      predictive-maintenance api-key dashboard --role operate --people --file api-keys.txt
    """
    key, known = new_api_key(name, role, people)
    if file is None:
        click.echo(f"line for {VARIABLE}: {known.line}", err=True)
    else:
        append_api_key(file, known)
        click.echo(f"added {name} to {file}: set {VARIABLE}={file} and restart the service", err=True)
    click.echo("key, which is not shown again:", err=True)
    click.echo(key)
