"""Errors of the database as a StoreError that says what to do."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..config.uris import redact_text
from ..errors import StoreError

_LOCKED_SECONDS, _GONE_SECONDS, _FULL_SECONDS = 1, 5, 60
_PRIMARY_CODE = 0xFF
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_PG_DISK_FULL, _PG_LOCKED = "53100", ("55P03", "57014", "40P01", "40001")
_PG_DENIED = ("28", "3D", "42")
_PG_DENIED_TEXTS = ("authentication failed", "does not exist", "permission denied")
"""SQLSTATE classes, and texts, of errors that waiting does not heal: authentication, no such database, no permission."""


@contextmanager
def as_store_errors(shown: str, url: str = "") -> Iterator[None]:
    """Convert errors of the database inside the block. `shown` names the store, `url` has the secrets that no text may have."""
    try:
        yield
    except PoolTimeoutError:
        raise StoreError(f"{shown}: no connection is free", _LOCKED_SECONDS) from None
    except DBAPIError as error:
        raise _converted(error.orig or error, shown, url) from None
    except SQLAlchemyError as error:
        raise StoreError(f"{shown}: {_first_line(error, url)}") from None
    except (OSError, sqlite3.Error) as error:  # of a socket, or of a hook of the engine: SQLAlchemy does not wrap them
        raise _converted(error, shown, url) from None


def _converted(original: BaseException, shown: str, url: str) -> StoreError:
    reason = _first_line(original, url)
    # pg8000 raises a timeout at the first byte of a message as it is, and a later one as the cause of its own error.
    if isinstance(original, TimeoutError) or isinstance(original.__cause__, TimeoutError):
        return StoreError(f"{shown}: the database does not answer", _GONE_SECONDS)
    if isinstance(original, sqlite3.Error):
        return _of_sqlite(getattr(original, "sqlite_errorcode", 0) & _PRIMARY_CODE, shown, reason)
    state = _details(original).get("C", "")
    if state == _PG_DISK_FULL:
        return _full(shown, reason)
    if state in _PG_LOCKED:
        return _locked(shown, reason)
    # An error of the connection itself has no state.
    denied = state.startswith(_PG_DENIED) or (not state and any(text in reason for text in _PG_DENIED_TEXTS))
    return StoreError(f"{shown}: the store does not work: {reason}", None if denied else _GONE_SECONDS)


def _of_sqlite(code: int, shown: str, reason: str) -> StoreError:
    if code in _LOCKED:
        return _locked(shown, reason)
    if code == sqlite3.SQLITE_FULL:
        return _full(shown, reason)
    if code in _DAMAGED:
        hint = "not an SQLite database, or damaged: move it away or restore a backup, or change PDM_STORE_URL"
        return StoreError(f"{shown}: {hint} ({reason})")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        hint = "the store cannot be written: set PDM_STORE_URL to a file in a folder that the service can write to"
        return StoreError(f"{shown}: {hint} ({reason})", _GONE_SECONDS)
    return StoreError(f"{shown}: the store does not work: {reason}", _GONE_SECONDS)


def _locked(shown: str, reason: str) -> StoreError:
    return StoreError(f"{shown}: another program keeps the store locked: {reason}", _LOCKED_SECONDS)


def _full(shown: str, reason: str) -> StoreError:
    return StoreError(f"{shown}: the disk of the store is full: free space ({reason})", _FULL_SECONDS)


def _details(error: BaseException) -> Mapping[str, str]:
    """The fields of PostgreSQL's answer by their letters: C is the SQLSTATE, M the message. Empty for other errors."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, dict) else {}


def _first_line(error: BaseException, url: str) -> str:
    text = _details(error).get("M") or str(error)
    lines = text.strip().splitlines() or [type(error).__name__]
    return redact_text(lines[0], url)
