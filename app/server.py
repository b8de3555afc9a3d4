"""Start the HTTP server. `python -m app` and the containers, which run it, use this set-up."""

import os
import resource
import signal
import tempfile
from functools import partial

import uvicorn

from predictive_maintenance.errors import ConfigError

from .http.bounded_protocol import BoundedProtocol, ConnectionLimits
from .settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")

KEEP_ALIVE_SECONDS = 5
"""How long an idle connection stays open. The dashboard closes its own earlier."""

_BACKLOG = 256
_OTHER_FILES = 256  # model files, logs, connections to the registry


def serve(settings: Settings, host: str, port: int, workers: int, application: str = "app.main:app") -> None:
    """Serve `application` until SIGTERM or SIGINT. Raises ConfigError if the system's limit on open files is too low."""
    _allow_open_files(settings.max_connections + _BACKLOG + _OTHER_FILES)
    if settings.allowed_hosts is None and host in LOOPBACK:
        # A website whose name resolves to this machine must not reach a service without a key (DNS rebinding).
        os.environ["PDM_ALLOWED_HOSTS"] = ",".join(LOOPBACK)
    if workers == 1:
        _run(settings, host, port, workers, application)
        return
    with tempfile.TemporaryDirectory(prefix="pdm-metrics-") as shared:
        # Each worker writes its metrics here, so that /metrics of any worker reports the sum.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", shared)
        _run(settings, host, port, workers, application)


def _run(settings: Settings, host: str, port: int, workers: int, application: str) -> None:
    # After its shutdown, uvicorn raises the signal again. Python would then wait for every thread, also for one that waits
    # for a registry that does not answer.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    limits = ConnectionLimits(
        connections=settings.max_connections,
        header_bytes=settings.max_header_bytes,
        header_lines=settings.max_header_lines,
        header_seconds=settings.header_timeout_seconds,
        body_seconds=settings.body_timeout_seconds,
    )
    uvicorn.run(
        application,
        host=host,
        port=port,
        workers=workers,
        http=partial(BoundedProtocol, limits=limits),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        backlog=_BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        log_config=None,
        access_log=False,
        server_header=False,
    )


def _allow_open_files(needed: int) -> None:
    """Increase the soft limit on open files, often 1,024, to `needed`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"PDM_MAX_CONNECTIONS: needs {needed:,} open files, and the system allows {hard:,}: "
            "increase `ulimit -Hn`, or decrease PDM_MAX_CONNECTIONS"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
