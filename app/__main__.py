"""Serve the production model: python -m app. Settings are PDM_ environment variables; see the README."""

import os
import signal
import sys
import tempfile

import click
import uvicorn

from predictive_maintenance.errors import ConfigError

from .settings import read_settings

SHUTDOWN_SECONDS = 20


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 for all, with PDM_API_KEY set.")
@click.option("--port", default=8000, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, type=click.IntRange(1), help="Processes that share the port.")
def main(host: str, port: int, workers: int) -> None:
    """Serve the model that is in production, and follow promotions."""
    try:
        settings = read_settings()
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if settings.api_key is None and host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"listening at {host} without PDM_API_KEY: everyone who reaches it can ask", err=True)
    # The server ends gracefully and then passes the signal on, which would leave with an error and skip the clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="pdm-metrics-") as shared:
        if workers > 1:
            # Each worker writes its numbers there, so that /metrics of any of them tells those of all.
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)
        click.echo(f"docs: http://{host}:{port}/docs   stop: Ctrl+C", err=True)
        uvicorn.run(
            "app.main:app",
            host=host,
            port=port,
            workers=workers,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )


if __name__ == "__main__":
    main(prog_name="python -m app")
