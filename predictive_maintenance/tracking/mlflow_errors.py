"""Turn errors of MLflow, of its transport and of its stores into a RegistryError that says how to fix them."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from ..config.uris import redact, redact_text
from ..errors import RegistryError, disk_full_reason
from .database_schema import newer_schema, revisions

_LIBRARY_ERRORS = (
    ("mlflow.exceptions", "MlflowException"),
    ("requests.exceptions", "RequestException"),
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("alembic.util.exc", "CommandError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("boto3.exceptions", "Boto3Error"),
)
OLDEST_SERVER = (2, 3)
"""The oldest supported MLflow server: the first with aliases."""

_UNREACHABLE = ("Max retries exceeded", "Connection refused", "NameResolutionError", "timed out")
_UNREACHABLE_REASON = "the server does not answer: check MLFLOW_TRACKING_URI, and that the server is running"
_INTERRUPTED_UPGRADE = re.compile(
    r"sqlite3\.OperationalError\) (table .* already exists|duplicate column name|no such table)"
)
_OTHER_SCHEMA = re.compile(
    r"out-of-date database schema \(found version (.+?), but expected|Can't locate revision identified by '(.+?)'"
)
_SQLITE_DISK_FULL = "database or disk is full"
_TRANSIENT_STATUSES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS)


@contextmanager
def as_registry_errors(uri: str, action: str) -> Iterator[None]:
    """Convert errors of MLflow at `uri` inside the block to a RegistryError that names the URI and the action."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, _library_errors()):
            raise
        reason, transient = _explain(error, redact_text(str(error), uri))
        raise RegistryError(f"MLflow at {redact(uri)}, {action}: {reason}", transient=transient) from error


def _library_errors() -> tuple[type[Exception], ...]:
    """The error classes of MLflow and of the libraries that it reads files and tables with.

    Boto's errors count because a server can send its clients to S3 for artifacts. A library that is not imported cannot
    raise, and need not be installed: the serving environment does not have all of them.
    """
    loaded = [(sys.modules[module], name) for module, name in _LIBRARY_ERRORS if module in sys.modules]
    return (OSError, *(getattr(module, name) for module, name in loaded))


def _explain(error: Exception, text: str) -> tuple[str, bool]:
    """The reason with the way to fix it, and whether the error is transient. `text` is that of the error, redacted."""
    status = _http_status(error)
    if full := disk_full_reason(text) or (_SQLITE_DISK_FULL if _SQLITE_DISK_FULL in text else None):
        # Of a copy, the second name is the target.
        name = (error.filename2 or error.filename) if isinstance(error, OSError) else None
        place = f" at {name}" if name else ""
        return f"{full}{place}: free space on the disk, then repeat the command or resume the run", False
    if _INTERRUPTED_UPGRADE.search(text):
        reason = (
            "an upgrade of this database was interrupted: restore a backup, or move the file away for a new registry"
        )
        return reason, False
    if repeated := re.search(r"too many (\d{3}) error responses", text):
        return f"the server answers HTTP {repeated[1]} every time: see the server's log", True
    if any(sign in text for sign in _UNREACHABLE):
        return _UNREACHABLE_REASON, True
    if status == HTTPStatus.UNAUTHORIZED:
        return "wrong credentials (401): set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD", False
    if status == HTTPStatus.FORBIDDEN:
        return "permission denied (403): ask the server's administrator for access", False
    if "not in a valid JSON format" in text or "failed with error code 404" in text:
        oldest = ".".join(str(number) for number in OLDEST_SERVER)
        return f"not an MLflow server, or one older than {oldest}: check MLFLOW_TRACKING_URI", False
    if schema := _OTHER_SCHEMA.search(text):
        revision = schema[1] or schema[2]
        if revision not in revisions():
            return newer_schema(revision), False
        return "the database belongs to an older MLflow: back it up and run `mlflow db upgrade URI`", False
    first_line = text.strip().splitlines()[0][:500] if text.strip() else type(error).__name__
    return first_line, _is_transient(status)


def _http_status(error: Exception) -> int | None:
    """The status of the server's response; None without a response. Numbers in the text are not used: see ports."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    if isinstance(error, MlflowException):
        return int(error.get_http_status_code())
    if isinstance(error, RequestException) and error.response is not None:
        return error.response.status_code
    response = getattr(error, "response", None)  # of botocore's ClientError
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None


def _is_transient(status: int | None) -> bool:
    """Whether the same request can succeed later. An error without a status comes from a network or a local store."""
    return status is None or status in _TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
