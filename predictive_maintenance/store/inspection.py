"""What can be said about a store without changing it."""

from pathlib import Path

from sqlalchemy import func, select

from ..config.uris import redact
from ..errors import StoreError
from .database_errors import as_store_errors
from .engine import make_engine
from .location import database_file, parse_store_url
from .migrating import needs_upgrade
from .schema import machines, readings

_TIMEOUT_SECONDS = 10.0


def describe_store(url: str) -> str | None:
    """One sentence about the store at `url`; None if there is none yet. Raises ConfigError, and StoreError as `Store` does."""
    file, shown = database_file(parse_store_url(url)), redact(url)
    if file is not None and not file.exists():
        _check_folder(file.parent)
        return None
    engine = make_engine(url, _TIMEOUT_SECONDS)
    try:
        with as_store_errors(shown, url), engine.connect() as connection, connection.begin():
            if needs_upgrade(connection, shown):
                return f"{shown}; the service will create or upgrade its tables"
            kept = connection.execute(select(func.count()).select_from(machines)).scalar()
            since = connection.execute(select(func.min(readings.c.received))).scalar()
    finally:
        engine.dispose()
    return f"{shown}, {kept:,} machine{'' if kept == 1 else 's'}{'' if since else ', no readings'}"


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise StoreError(f"{folder}: the folder of the store does not exist: create it, or change PDM_STORE_URL")
