"""Create or upgrade the tables of a store: completely or not at all, and once if several processes start together."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, column, inspect, select, table, text

from ..errors import StoreError
from .engine import make_engine, writing
from .schema import REVISION, VERSION_TABLE

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 0x70646D73746F7265 >> 1
"""The number of PostgreSQL's lock for migrations: any that other programs do not use."""

_LOCK_SECONDS, _UPGRADE_SECONDS = 5.0, 3600.0
"""The longest waits for another process that upgrades, and for a statement of an upgrade."""

_version = table(VERSION_TABLE, column("version_num"))


def ensure_tables(engine: Engine, shown: str) -> None:
    """Give the store the tables of this release. Raises StoreError for tables of a newer release, and database errors."""
    with engine.connect() as connection, connection.begin():
        if _revision(connection) == REVISION:
            return
    with _patient(engine) as patient, patient.connect() as connection, writing(connection).begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        if (found := _revision(connection)) != REVISION:  # unless another process was faster
            _upgrade(connection, found, shown)


@contextmanager
def _patient(engine: Engine) -> Iterator[Engine]:
    """The engine, with more time for each answer of a server: an index takes as long as its table is large."""
    if engine.dialect.name != "postgresql":
        yield engine
        return
    url = engine.url.render_as_string(hide_password=False)
    patient = make_engine(url, _LOCK_SECONDS, answer_seconds=_UPGRADE_SECONDS)
    try:
        yield patient
    finally:
        patient.dispose()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalar()


def needs_upgrade(connection: Connection, shown: str) -> bool:
    """Whether the store has no tables yet, or those of an older release. Raises StoreError for those of a newer one."""
    if (found := _revision(connection)) == REVISION:
        return False
    _check_known(found, shown)
    return True


def check_tables(engine: Engine, shown: str) -> None:
    """Raise StoreError unless the store has the tables of this release."""
    with engine.connect() as connection, connection.begin():
        if needs_upgrade(connection, shown):
            raise StoreError(
                f"{shown}: the store has no tables yet, or those of an older release: the service upgrades them"
            )


def _upgrade(connection: Connection, found: str | None, shown: str) -> None:
    from alembic import command  # slow, and needed by a new or an older store only

    _check_known(found, shown)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)


def _check_known(found: str | None, shown: str) -> None:
    from alembic.script import ScriptDirectory

    known = {None, *(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())}
    if found not in known:
        raise StoreError(
            f"{shown}: a newer release has changed the store (its schema is {found}, this release knows {REVISION}): use "
            "that release, or set PDM_STORE_URL to another store"
        )


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "predictive_maintenance.store:migrations")
    return config
