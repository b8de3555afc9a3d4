"""A lost registry: the SQLite file is gone, but the artifacts of earlier runs are still beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from .connection import is_sqlite, tracking_uri
from .embedded_database import artifacts_folder, database_path


def lost_registry() -> str | None:
    """What is wrong and what to do if the registry's file was removed or replaced by an empty one; None if it was not.

    It is checked whether the file has no run, because each first contact creates it again.
    """
    if not is_sqlite(uri := tracking_uri()):
        return None
    database = database_path(uri)
    artifacts = artifacts_folder(database)
    if not _has_entries(artifacts) or _has_runs(database):
        return None
    state = "contains no runs" if database.exists() else "is missing"
    return (
        f"{database} {state}, but {artifacts} contains models of earlier runs, so the registry's file was removed or "
        "replaced: restore it from a backup, set MLFLOW_TRACKING_URI if it is elsewhere, or train a new model"
    )


def _has_entries(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _has_runs(database: Path) -> bool:
    """Whether the file has a run, or cannot be read: connecting reports why."""
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            tables = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'runs'").fetchall()
            return bool(tables and connection.execute("SELECT 1 FROM runs LIMIT 1").fetchall())
    except sqlite3.Error:
        return True
