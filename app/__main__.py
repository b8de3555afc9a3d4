"""Command line of the service: python -m app."""

import errno
import os
import socket
from contextlib import suppress

import click

from predictive_maintenance.config.environment import warn_of_unknown_variables
from predictive_maintenance.config.params_reader import MACHINE_VARIABLE
from predictive_maintenance.errors import ConfigError, PredictiveMaintenanceError
from predictive_maintenance.tracking.lost_registry import lost_registry

from .server import LOOPBACK, serve
from .settings import describe_settings, read_settings


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog=f"Environment variables:\n\n{describe_settings()}",
)
@click.option(
    "--host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 for all, with PDM_API_KEYS or PDM_API_KEY set."
)
@click.option("--port", default=8000, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, type=click.IntRange(1), help="Number of worker processes that share the port.")
@click.option("--machine", metavar="NAME", help="Kind of machine, in place of PDM_MACHINE and the one in params.yaml.")
def main(host: str, port: int, workers: int, machine: str | None) -> None:
    """Serve the production model over HTTP and follow promotions."""
    warn_of_unknown_variables()
    if machine:
        os.environ[MACHINE_VARIABLE] = machine  # for the worker processes, too
    try:
        settings = read_settings()
    except PredictiveMaintenanceError as error:
        raise click.ClickException(str(error)) from None
    _check_port(host, port)
    if not settings.keys and host not in LOOPBACK:
        _notify(
            f"warning: listening on {host} without an API key, so every client in the network has access: "
            "set PDM_API_KEYS or PDM_API_KEY"
        )
    if settings.model_dir is None and (lost := lost_registry()):
        _notify(f"warning: {lost}")
    _notify(f"docs: http://{host}:{port}/docs   stop: Ctrl+C")
    try:
        serve(settings, host, port, workers)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _check_port(host: str, port: int) -> None:
    """Raise ClickException if another process listens on `port`. The server reports any other error of an address."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in addresses:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise click.ClickException(f"port {port} of {host} is taken: choose another one with --port") from None


def _notify(text: str) -> None:
    """Write to the standard error, unless it cannot be written: a full disk must not prevent the start."""
    with suppress(OSError):
        click.echo(text, err=True)


if __name__ == "__main__":
    main(prog_name="python -m app")
