"""The SQLite file of the embedded registry: created and upgraded completely or not at all, whenever the process is killed."""

import fcntl
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import RegistryError
from .database_schema import create_tables, newer_schema, revision_of, revisions, upgrade_tables

_MLFLOW_TABLES = {"experiments", "alembic_version"}
_WITHOUT_USER_DATA = {"alembic_version", "workspaces"}
"""Tables in which creating the schema writes rows."""

_log = logging.getLogger(__name__)


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
    """Give the file MLflow's tables as this MLflow needs them. Call it under `file_lock`.

    Creates a file that is missing, or half-made and without data. Upgrades the tables of an older MLflow; the file as it was
    before stays beside it. Raises RegistryError.
    """
    if not database.exists() or not database.stat().st_size or _is_half_made(database):
        _create(database)
    elif (revision := _revision(database)) in revisions()[1:]:
        _upgrade(database, revision)
    elif revision not in (None, revisions()[0]):
        raise RegistryError(f"{database}: {newer_schema(revision)}")


def _create(database: Path) -> None:
    """Create the tables in a file beside `database`, which is renamed at the end: a migration is not transactional."""
    partial = _beside(database, "partial")
    _remove(partial)
    create_tables(partial)
    _remove(database)  # with the journal of a killed process, which SQLite would apply to the new file
    partial.replace(database)


def _upgrade(database: Path, revision: str) -> None:
    """Upgrade a copy of `database`, and copy it back in one transaction: a migration is not transactional.

    A renamed copy would have another owner, and programs that have the database open would write to the former file.
    """
    upgraded, former = _beside(database, "partial"), _beside(database, "former")
    backup = database.with_name(f"{database.name}.backup-{revision}")
    try:
        with closing(sqlite3.connect(database)) as original:
            before = _data_version(original)
            _copy(original, upgraded)
            upgrade_tables(upgraded)
            _copy(original, former)
            if _data_version(original) != before:
                raise RegistryError(f"{database}: another program wrote to it during its upgrade", transient=True)
            shutil.copymode(database, former)
            former.replace(backup)
            with closing(sqlite3.connect(upgraded)) as source:
                source.backup(original)
    except sqlite3.Error as error:
        raise RegistryError(f"{database}: the upgrade for this version of MLflow failed: {error}") from None
    finally:
        _remove(upgraded)
        _remove(former)
    _log.warning(f"{database} was upgraded for this version of MLflow; {backup} is the file as it was before")


def _copy(original: sqlite3.Connection, path: Path) -> None:
    """Copy a database to a new file that only its owner can read."""
    _remove(path)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as target:
        original.backup(target)


def _data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has written to the database."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _revision(database: Path) -> str | None:
    """The revision of MLflow's tables; None for those of another program."""
    with _readable(database) as connection:
        tables = _tables(connection)
        return revision_of(connection, tables) if "experiments" in tables else None


def _is_half_made(database: Path) -> bool:
    """Whether the creation of MLflow's tables was interrupted before anything was stored in them."""
    with _readable(database) as connection:
        tables = _tables(connection)
        if "experiments" in tables and _has_rows(connection, "experiments"):
            return False  # MLflow stores its first experiment when all tables exist
        if tables and not tables & _MLFLOW_TABLES:
            return False  # the tables of another program
        if any(_has_rows(connection, table) for table in tables - _WITHOUT_USER_DATA):
            return False
        return revision_of(connection, tables) != revisions()[0]


@contextmanager
def _readable(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection to `database`. Errors of SQLite inside the block become a RegistryError."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise RegistryError(f"{database}: the MLflow database cannot be read: {error}", transient=True) from None
    except sqlite3.DatabaseError as error:
        raise RegistryError(
            f"{database}: not an SQLite database, or damaged ({error}): move it away or restore a backup, or change "
            "MLFLOW_TRACKING_URI"
        ) from None


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    quoted = table.replace('"', '""')
    return connection.execute(f'SELECT 1 FROM "{quoted}" LIMIT 1').fetchone() is not None  # noqa: S608  a table's name


def _beside(database: Path, suffix: str) -> Path:
    """The path of a hidden file for work in progress."""
    return database.with_name(f".{database.name}.{suffix}")


def _remove(database: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
