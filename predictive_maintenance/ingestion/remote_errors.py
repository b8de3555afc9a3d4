"""Errors of the libraries that read remote storage, as SourceError that names the source and whether a retry can help."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from ..config.uris import redact
from ..errors import SourceError
from .remote_stores import StoreKind

_MISSING_CONTAINERS = {"NoSuchBucket": "no such bucket", "ContainerNotFound": "no such container"}
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_PERMANENT_NAMES = ("NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound")


@contextmanager
def remote_errors(uri: str, kind: StoreKind) -> Iterator[None]:
    """Raise the errors in the block as SourceError that names `uri`."""
    libraries = kind.errors()
    handled: tuple[type[Exception], ...] = (*libraries, OSError, ValueError)
    try:
        yield
    except handled as error:
        cause = _library_error(error, libraries)
        reason, transient = _explain(cause, kind)
        raise SourceError(f"{redact(uri)}: {reason}", transient=transient) from None


def _library_error(error: BaseException, libraries: tuple[type[Exception], ...]) -> BaseException:
    """The error of the library that caused `error`, because fsspec's own errors lack the status; else `error`."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, libraries):
        cause = cause.__cause__
    return cause or error


def _explain(error: BaseException, kind: StoreKind) -> tuple[str, bool]:
    """The reason, with the way to fix it, and whether a retry can help."""
    if status := _status(error):
        return _explain_status(error, status, kind), _is_transient(status)
    if isinstance(error, ValueError):  # its text can contain a part of a password
        return kind.invalid, False
    text = _first_line(error)
    if kind.is_web or isinstance(error, TimeoutError):
        incomplete = type(error).__name__ in ("ClientPayloadError", "ServerDisconnectedError")
        what = "the response is incomplete or invalid" if incomplete else "cannot be reached"
        return f"{what}: {text}", True
    return f"{text} (check {kind.credentials})", type(error).__name__ not in _PERMANENT_NAMES


def _explain_status(error: BaseException, status: int, kind: StoreKind) -> str:
    if kind.is_web:
        return f"the server returned HTTP {status}"
    if status == HTTPStatus.NOT_FOUND:
        return _MISSING_CONTAINERS.get(_code(error), kind.missing)
    if status in _DENIED:
        return f"access denied (check {kind.credentials})"
    return f"the server returned HTTP {status}: {_first_line(error)}"


def _status(error: BaseException) -> int:
    """The HTTP status that the server returned; 0 if it returned none."""
    if isinstance(error, FileNotFoundError):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, PermissionError) or str(error).startswith("Forbidden: "):  # gcsfs raises OSError
        return HTTPStatus.FORBIDDEN
    response = getattr(error, "response", None)  # of botocore
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    found = (getattr(error, name, None) for name in ("status", "status_code", "code"))  # of aiohttp, Azure, Google
    return next((int(status) for status in found if isinstance(status, int)), 0)


def _code(error: BaseException) -> str:
    """The error code of S3 or Azure, such as NoSuchBucket."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code))


def _first_line(error: BaseException) -> str:
    text = str(error) or str(error.__cause__ or "")  # fsspec's FSTimeoutError has no text of its own
    return next(iter(text.strip().splitlines()), type(error).__name__)


def _is_transient(status: int) -> bool:
    """Whether a server that returned this HTTP status can answer the same request later."""
    return status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500
