"""The command doctor."""

import sys
from pathlib import Path

import click

from .shared import Command, load_settings, machine_option


@click.command(cls=Command)
@click.option("--write", is_flag=True, help="Also write a run, an artifact and an S3 object, and remove them again.")
@machine_option
@click.pass_obj
def doctor(params_file: Path | None, write: bool) -> None:
    """Check your setup: what training and promotion need, and how to fix what fails.

    Checks the registry, its credentials, the model in production, the folder for results, AWS Batch, the DVC remote, the
    store, the engine and the data sources.
    `unset` means not configured. Exits with code 1 if a check fails.

    \b
    Examples:
      predictive-maintenance doctor
      predictive-maintenance doctor --write
    """
    from .setup_checks import check_setup

    failed = False
    for result in check_setup(load_settings(params_file), write):
        failed |= result.state == "FAIL"
        click.echo(f"{result.state:<6}{result.name:<18} {result.text}")
    if failed:
        sys.exit(1)
