"""Where the store is: PDM_STORE_URL, or by default an SQLite file in the project's folder."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.project import project_dir
from ..config.uris import redact
from ..errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import URL

VARIABLE = "PDM_STORE_URL"
_EXAMPLES = "sqlite:////path/store.db or postgresql://USER:PASSWORD@HOST/DATABASE"
_BACKENDS = ("sqlite", "postgresql")


def store_url() -> str:
    """PDM_STORE_URL, or the SQLite file store.db in the project's folder, independent of the working directory."""
    return os.environ.get(VARIABLE) or f"sqlite:///{project_dir() / 'store.db'}"


def check_store_url(url: str) -> None:
    """Raise ConfigError if `url` can never be the address of a store. It shows no password. Connects to nothing."""
    scheme = url.partition("://")[0].partition("+")[0]
    if "://" not in url or scheme not in _BACKENDS:
        shown = redact(url)
        if "@" in shown and "://" not in shown:
            shown = f"***@{shown.rpartition('@')[2]}"
        raise ConfigError(f"{VARIABLE}: {shown!r} is not the address of a store: write {_EXAMPLES}")
    if scheme == "sqlite" and not url.partition("://")[2].partition("?")[0].strip("/"):
        raise ConfigError(f"{VARIABLE}: a store in memory is lost with its process: write {_EXAMPLES}")


def parse_store_url(url: str) -> "URL":
    """The address for SQLAlchemy. Raises ConfigError, without the password, if it is not one."""
    from sqlalchemy import make_url  # importing SQLAlchemy takes a quarter of a second
    from sqlalchemy.exc import ArgumentError

    check_store_url(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"{VARIABLE}: {redact(url)}: not a valid URL: the port must be a number, and special characters in the password "
            "must be percent-encoded"
        ) from None
    return parsed.set(drivername="postgresql+pg8000") if parsed.drivername == "postgresql" else parsed


def database_file(url: "URL") -> Path | None:
    """The absolute path of an SQLite store; None of another one."""
    return Path(url.database or "").absolute() if url.get_backend_name() == "sqlite" else None
