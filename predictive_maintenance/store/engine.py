"""The database engine of a store: explicit transactions, and a limit on each wait."""

import sqlite3
import time
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event

from ..errors import ConfigError
from .location import VARIABLE, database_file, parse_store_url

Synchronous = Literal["normal", "full"]
"""Whether a commit to SQLite waits for the disk: only then it survives a power failure."""

_WRITES = "pdm_writes"
_CONNECTIONS = 4
_IDLE_SECONDS = 60
"""After which PostgreSQL ends a transaction without statements. A client that was cut off would keep its locks for hours."""
_POLL_MS = 5
"""While it waits for a lock, SQLite sleeps longer and longer, up to 100 ms: a lock that is soon free again is missed."""
_PRIMARY_CODE = 0xFF


def make_engine(
    url: str, timeout_seconds: float, synchronous: Synchronous = "full", *, answer_seconds: float | None = None
) -> Engine:
    """An engine for the store at `url`, which connects at its first use. Raises ConfigError for an invalid address.

    `timeout_seconds` is the longest wait for a lock and for a connection. `synchronous` is SQLite's setting. `answer_seconds` is
    the longest wait for an answer of a server, by default 2 s more than for a lock, whose error says more.
    """
    parsed = parse_store_url(url)
    if database_file(parsed) is None:
        try:
            engine = create_engine(
                parsed,
                connect_args={"timeout": answer_seconds or timeout_seconds + 2},
                pool_size=_CONNECTIONS,
                max_overflow=0,
                pool_timeout=timeout_seconds,
                pool_pre_ping=True,  # else the first request after a restart of the server fails
            )
        except ImportError as error:
            raise ConfigError(f"{VARIABLE}: the database driver is not installed: pip install {error.name}") from None
        event.listen(engine, "connect", partial(_prepare_postgresql, timeout_seconds))
        event.listen(engine, "handle_error", _discard_connection)
        return engine
    engine = create_engine(parsed, connect_args={"timeout": timeout_seconds, "check_same_thread": False})
    event.listen(engine, "connect", partial(_prepare_sqlite, synchronous))
    event.listen(engine, "begin", partial(_begin_sqlite, timeout_seconds))
    return engine


def writing(connection: Connection) -> Connection:
    """The connection, with transactions that take SQLite's write lock when they begin: a later upgrade could fail."""
    return connection.execution_options(**{_WRITES: True})


def _prepare_postgresql(timeout_seconds: float, connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {int(timeout_seconds * 1000)}")
    cursor.execute(f"SET idle_in_transaction_session_timeout = {_IDLE_SECONDS * 1000}")
    cursor.execute("SET synchronous_commit = on")
    cursor.close()
    connection.commit()


def _discard_connection(context: ExceptionContext) -> None:
    """Close a connection on an error of its socket, and all idle ones: its next statement could read the late answer."""
    if isinstance(context.original_exception, OSError):
        context.is_disconnect = True


def _prepare_sqlite(synchronous: Synchronous, connection: Any, _record: object) -> None:
    raw: sqlite3.Connection = connection
    raw.isolation_level = None  # SQLAlchemy begins the transactions, also those that change tables
    raw.execute("PRAGMA journal_mode = WAL")
    # With NORMAL, a transaction is in the system's cache when it is committed: it survives the end of the process.
    raw.execute(f"PRAGMA synchronous = {synchronous}")


def _begin_sqlite(timeout_seconds: float, connection: Connection) -> None:
    if not connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql("BEGIN")
        return
    raw: Any = connection.connection.dbapi_connection
    end = time.monotonic() + timeout_seconds
    raw.execute(f"PRAGMA busy_timeout = {_POLL_MS}")
    try:
        while not _takes_lock(raw):
            if time.monotonic() > end:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises the error
                break
    finally:
        raw.execute(f"PRAGMA busy_timeout = {int(timeout_seconds * 1000)}")


def _takes_lock(connection: sqlite3.Connection) -> bool:
    """Begin a transaction with the write lock. Returns False if another connection has it, also after some milliseconds."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
