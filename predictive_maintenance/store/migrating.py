"""Create or upgrade the tables of a store: completely or not at all, and once if several processes start together."""

import logging

from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from ..errors import StoreError
from .engine import writing
from .schema import REVISION, VERSION_TABLE

_LOCK = 0x70646D73746F7265 >> 1
"""The number of PostgreSQL's lock for migrations: any that other programs do not use."""

_version = table(VERSION_TABLE, column("version_num"))


def ensure_tables(engine: Engine, shown: str) -> None:
    """Give the store the tables of this release. Raises StoreError for tables of a newer release, and database errors."""
    with engine.connect() as connection, connection.begin():
        if _revision(connection) == REVISION:
            return
    with engine.connect() as connection, writing(connection).begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        if (found := _revision(connection)) != REVISION:  # unless another process was faster
            _upgrade(connection, found, shown)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalar()


def _upgrade(connection: Connection, found: str | None, shown: str) -> None:
    # Only a new or an older store needs Alembic, whose import takes longer than a request.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", "predictive_maintenance.store:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"{shown}: a newer release has changed the store (its schema is {found}, this release knows {REVISION}): use "
            "that release, or set PDM_STORE_URL to another store"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)
