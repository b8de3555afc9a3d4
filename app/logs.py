"""Logging: one JSON object per line, for the events of the service (standard output) and of its libraries."""

import logging
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic_core import to_json


def configure(level: str) -> None:
    """Log JSON lines from `level` upwards."""
    structlog.configure(
        processors=[_add_fields, _as_bytes],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_fields],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_text],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"  # RequestLoggingMiddleware logs requests
    for noisy in ("alembic", "mlflow", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _add_fields(logger: Any, level: str, event: Any) -> Any:
    """Add level, time and traceback. In one function: structlog's three processors take half of the time of a line."""
    event["level"] = level
    event["timestamp"] = f"{datetime.now(UTC).isoformat(timespec='microseconds')[:-6]}Z"
    return structlog.processors.format_exc_info(logger, level, event) if "exc_info" in event else event


def _as_bytes(_logger: Any, _level: str, event: Any) -> bytes:
    return to_json(event, fallback=str)


def _as_text(_logger: Any, _level: str, event: Any) -> str:
    return to_json(event, fallback=str).decode()
