"""The schema of MLflow's tables in an SQLite file: its revision, and how a file gets the one that this MLflow needs.

MLflow's functions for this are private, and importing them takes seconds.
"""

import os
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine


@cache
def revisions() -> tuple[str, ...]:
    """The revisions of the schema that this MLflow knows, the newest first. MLflow works with that one only."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    return tuple(script.revision for script in ScriptDirectory.from_config(_get_alembic_config("")).walk_revisions())


def newer_schema(revision: str) -> str:
    """The message about a database with a revision that this MLflow does not know."""
    from mlflow import __version__

    return (
        f"the database belongs to a newer MLflow than the installed {__version__} (schema {revision}): upgrade this project or "
        "its MLflow (`mlflow db upgrade` does not help), or set MLFLOW_TRACKING_URI to another registry"
    )


def revision_of(connection: sqlite3.Connection, tables: set[str]) -> str | None:
    """The revision of a database with `tables`; None if it has none."""
    if "alembic_version" not in tables:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def create_tables(path: Path) -> None:
    """Create MLflow's tables in a new file. A file of which this was interrupted is incomplete."""
    from mlflow.store.db.utils import _initialize_tables

    _migrate(path, _initialize_tables)


def upgrade_tables(path: Path) -> None:
    """Upgrade MLflow's tables to the newest revision. A file of which this was interrupted is between two revisions."""
    from mlflow.store.db.utils import _upgrade_db

    _migrate(path, _upgrade_db)


def _migrate(path: Path, migration: Callable[["Engine"], None]) -> None:
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def without_waiting_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
        # An incomplete file is discarded, so it need not survive a crash. Most of the time is waiting.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    try:
        migration(engine)
    finally:
        engine.dispose()
    with path.open("rb") as file:
        os.fsync(file.fileno())
