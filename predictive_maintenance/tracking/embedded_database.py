"""The SQLite file of the embedded registry: created completely or not at all, whenever the process is killed."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import RegistryError

_MLFLOW_TABLES = {"experiments", "alembic_version"}
_WITHOUT_USER_DATA = {"alembic_version", "workspaces"}
"""Tables in which creating the schema writes rows."""


def database_path(uri: str) -> Path:
    """The absolute path of the file that an SQLite URI names."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]).absolute()


def artifacts_folder(database: Path) -> Path:
    """The folder for the artifacts of the runs in an SQLite file."""
    return database.parent / "mlartifacts"


@contextmanager
def file_lock(database: Path) -> Iterator[None]:
    """Exclude other processes that use the same file from the block."""
    with database.with_name(database.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_writable(database: Path) -> None:
    """Raise RegistryError unless the file can be written, or created."""
    try:
        target = database if database.exists() else database.parent
        exists = target.exists()
        writable = os.access(target, os.W_OK) and os.access(database.parent, os.W_OK)
    except PermissionError:
        target, exists, writable = database, True, False
    if not exists:
        raise RegistryError(
            f"{target}: the folder for the MLflow database does not exist: create it, or change MLFLOW_TRACKING_URI"
        )
    if not writable:
        raise RegistryError(
            f"{target}: no permission to write the MLflow database: set MLFLOW_TRACKING_URI to a server, or to "
            "sqlite:///PATH in a folder that you can write to"
        )


def ensure_database(database: Path) -> None:
    """Create the file with MLflow's tables if it is missing, or half-made and without data. Call it under `file_lock`.

    The tables are created in a file beside it, which is renamed at the end: a migration of SQLite is not transactional.
    """
    if database.exists() and database.stat().st_size and not _is_half_made(database):
        return
    partial = database.with_name(f".{database.name}.partial")
    _remove(partial)
    _create_tables(partial)
    _remove(database)  # with the journal of a killed process, which SQLite would apply to the new file
    partial.replace(database)


def _create_tables(path: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables  # slow; MLflow has no public function for this
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def without_waiting_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
        # An incomplete file is discarded, so it need not survive a crash. Most of the time is waiting.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    try:
        _initialize_tables(engine)
    finally:
        engine.dispose()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _is_half_made(database: Path) -> bool:
    """Whether the creation of MLflow's tables was interrupted before anything was stored in them."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "experiments" in tables and _has_rows(connection, "experiments"):
                return False  # MLflow stores its first experiment when all tables exist
            if tables and not tables & _MLFLOW_TABLES:
                return False  # the tables of another program
            if any(_has_rows(connection, table) for table in tables - _WITHOUT_USER_DATA):
                return False
            return _revision(connection, tables) != _newest_revision()
    except sqlite3.OperationalError as error:
        raise RegistryError(f"{database}: the MLflow database cannot be read: {error}", transient=True) from None
    except sqlite3.DatabaseError as error:
        raise RegistryError(
            f"{database}: not an SQLite database, or damaged ({error}): move it away or restore a backup, or change "
            "MLFLOW_TRACKING_URI"
        ) from None


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    quoted = table.replace('"', '""')
    return connection.execute(f'SELECT 1 FROM "{quoted}" LIMIT 1').fetchone() is not None  # noqa: S608  a table's name


def _revision(connection: sqlite3.Connection, tables: set[str]) -> str | None:
    row = (
        connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if "alembic_version" in tables
        else None
    )
    return row[0] if row else None


def _newest_revision() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


def _remove(database: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
