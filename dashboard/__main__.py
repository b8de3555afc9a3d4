"""Show the dashboard: python -m dashboard. Settings are PDM_ environment variables; see the README."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
from streamlit.web import cli

from dashboard.api_client import Api, ApiError, ApiUnreachableError
from dashboard.settings import Settings, read_settings
from predictive_maintenance.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen at. It asks for no password: mind who reaches it.")
@click.option("--port", default=8501, type=click.IntRange(1, 65535))
@click.option(
    "--start-api", is_flag=True, help="Start the service, too, where none answers at PDM_API_URL on this machine."
)
@click.option(
    "--allowed-host",
    "allowed",
    multiple=True,
    help="Name by which browsers may ask for it.  [default: this machine's, or any]",
)
def main(host: str, port: int, start_api: bool, allowed: tuple[str, ...]) -> None:
    """Show what runs, whether it can be trusted, and what to do about which machine."""
    try:
        settings = read_settings()
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if host not in LOOPBACK:
        click.echo(
            f"listening at {host}: everyone who reaches it sees the pages, and asks the service by them", err=True
        )
    with _service(settings, start_api):
        click.echo(f"dashboard: http://{host}:{port}   service: {settings.api_url}   stop: Ctrl+C", err=True)
        cli.main(
            [
                "run", str(Path(__file__).with_name("main.py")), "--server.address", host, "--server.port", str(port),
                "--server.headless", "true",
                # A page of the internet could else reach it under a name of its own that leads to this machine.
                *(f"--server.allowedHosts={name}" for name in allowed or (LOOPBACK if host in LOOPBACK else ())),
            ],
            standalone_mode=False,
        )  # fmt: skip


@contextmanager
def _service(settings: Settings, start: bool) -> Iterator[None]:
    """The service as a process of its own, where none answers; it ends with the dashboard."""
    place = urlsplit(settings.api_url)
    if not start or place.hostname not in LOOPBACK or _answers(settings):
        yield
        return
    command = [sys.executable, "-m", "app", "--host", place.hostname, "--port", str(place.port or 80)]
    with subprocess.Popen(command) as process:  # noqa: S603  our own module, on a port from the settings
        try:
            yield
        finally:
            process.terminate()


def _answers(settings: Settings) -> bool:
    try:
        Api(settings).health()
    except ApiUnreachableError:
        return False
    except ApiError:
        pass  # something is there, and the pages say what
    return True


if __name__ == "__main__":
    main(prog_name="python -m dashboard")
