"""Command that starts the dashboard: python -m dashboard. Settings are environment variables with the prefix PDM_."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
from streamlit.web import cli

from dashboard.api_client import ApiClient, ApiError, ApiUnreachableError
from dashboard.settings import Settings, read_settings
from predictive_maintenance.config.environment import warn_of_unknown_variables
from predictive_maintenance.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on. There is no login without PDM_DASHBOARD_SIGN_IN.",
)
@click.option("--port", default=8501, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--start-api", is_flag=True, help="Start the API if PDM_API_URL is on this machine and does not respond.")
@click.option("--machine", metavar="NAME", help="Kind of machine of the API that --start-api starts.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="Host name that browsers may use. Can be repeated.  [default: localhost if --host is local, otherwise any]",
)
def main(host: str, port: int, start_api: bool, machine: str | None, allowed_hosts: tuple[str, ...]) -> None:
    """Start the dashboard: system status, fleet ranking, machines over time, model versions."""
    warn_of_unknown_variables()
    try:
        settings = read_settings()
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if host not in LOOPBACK and not settings.dashboard_sign_in:
        click.echo(
            f"warning: listening on {host} without a login: every visitor uses the dashboard's API key", err=True
        )
    with _api_process(settings, start_api, machine):
        click.echo(f"dashboard: http://{host}:{port}   API: {settings.api_url}   stop: Ctrl+C", err=True)
        cli.main(
            [
                "run", str(Path(__file__).with_name("main.py")), "--server.address", host, "--server.port", str(port),
                "--server.headless", "true",
                # Prevents DNS rebinding: a website whose name resolves to this machine must not reach the dashboard.
                *(f"--server.allowedHosts={name}" for name in allowed_hosts or (LOOPBACK if host in LOOPBACK else ())),
            ],
            standalone_mode=False,
        )  # fmt: skip


@contextmanager
def _api_process(settings: Settings, start: bool, machine: str | None) -> Iterator[None]:
    """Run the API in a child process that ends with the dashboard, if requested and if the API does not respond."""
    url = urlsplit(settings.api_url)
    if not start or url.hostname not in LOOPBACK or _responds(settings):
        yield
        return
    command = [sys.executable, "-m", "app", "--host", url.hostname, "--port", str(url.port or 80)]
    command += ["--machine", machine] if machine else []
    with subprocess.Popen(command) as process:  # noqa: S603  own module, port from the settings
        try:
            yield
        finally:
            process.terminate()


def _responds(settings: Settings) -> bool:
    try:
        ApiClient(settings).health()
    except ApiUnreachableError:
        return False
    except ApiError:
        pass  # a server responds; the pages show the error
    return True


if __name__ == "__main__":
    main(prog_name="python -m dashboard")
