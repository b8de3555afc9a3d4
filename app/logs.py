"""Logs as JSON, a line each, on standard output: the service's own and those of its server."""

import logging
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic_core import to_json


def configure(level: str) -> None:
    """JSON lines from `level` upwards."""
    structlog.configure(
        processors=[_completed, _as_bytes],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_completed],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_text],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"  # requests are logged once, by us
    for noisy in ("alembic", "mlflow", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _completed(logger: Any, level: str, event: Any) -> Any:
    """`event` with its level, its time and its traceback: in one go, since the three processors that structlog has for it
    take as long as all the rest of a line."""
    event["level"] = level
    event["timestamp"] = f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z"
    return structlog.processors.format_exc_info(logger, level, event) if "exc_info" in event else event


def _as_bytes(_logger: Any, _level: str, event: Any) -> bytes:
    return to_json(event, fallback=str)


def _as_text(_logger: Any, _level: str, event: Any) -> str:
    return to_json(event, fallback=str).decode()
