"""Connect to MLflow: to the server in MLFLOW_TRACKING_URI, or by default to an SQLite file in the project's folder."""

from __future__ import annotations

import logging
import os
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ..config.params import RegistrySettings
from ..config.project import project_dir
from ..config.uris import has_ambiguous_password, redact
from ..errors import RegistryError
from .embedded_database import artifacts_folder, check_writable, database_path, ensure_database, file_lock
from .mlflow_errors import as_registry_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient

# By default MLflow retries for minutes. That is too long for an interactive command, and a step has its own retries.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
_OTHER_STORES = re.compile(r"(mssql|mysql|postgresql|sqlite(?=\+))(\+\w+)?://.|(databricks|uc|azureml)\b")
"""What MLflow or a plugin of it may accept in addition."""


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the SQLite file mlflow.db in the project's folder, independent of the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_dir() / 'mlflow.db'}"


def web_ui_url() -> str | None:
    """The URL of MLflow's web UI; None for an SQLite file, which has none until `mlflow ui` is started."""
    parts = urlsplit(tracking_uri())
    if parts.scheme not in ("http", "https") or has_ambiguous_password(tracking_uri()):
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def check_tracking_uri() -> None:
    """Raise RegistryError if MLFLOW_TRACKING_URI can never be the address of a registry. Sends no request."""
    uri = tracking_uri()
    if has_ambiguous_password(uri):
        raise RegistryError(
            f"MLFLOW_TRACKING_URI: {redact(uri)}: the password, or an @ in it, is not percent-encoded: write @ as %40, "
            "/ as %2F, ? as %3F and # as %23, or set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if not (is_sqlite(uri) or is_server(uri) or _OTHER_STORES.match(uri)):
        raise RegistryError(not_an_address(uri))


def not_an_address(uri: str) -> str:
    """The message about a tracking URI that is not an address of a registry, without its password."""
    redacted = redact(uri)
    # `redact` takes user:password@host without a scheme for a path.
    if "@" in redacted and "://" not in redacted:
        redacted = f"***@{redacted.rpartition('@')[2]}"
    return (
        f"MLFLOW_TRACKING_URI: {redacted!r} is not an address of a registry: "
        "write sqlite:////path/mlflow.db, http://HOST:5000 or https://HOST"
    )


def is_sqlite(uri: str) -> bool:
    return uri.startswith("sqlite:///")


def is_server(uri: str) -> bool:
    """Whether `uri` is a web address with a host and, if it has a port, a valid one."""
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port or an IPv6 address
        return False


@dataclass(frozen=True)
class Connection:
    """An MLflow client and the experiment for new runs. `experiment_id` is empty in a read-only connection."""

    uri: str
    client: MlflowClient
    settings: RegistrySettings
    experiment_id: str = ""

    @property
    def redacted_uri(self) -> str:
        """The URI without credentials."""
        return redact(self.uri)

    def errors(self, action: str) -> AbstractContextManager[None]:
        """Convert MLflow's errors inside the block to a RegistryError that names the URI and the action."""
        return as_registry_errors(self.uri, action)

    def lock(self) -> AbstractContextManager[None]:
        """Exclude other processes from the block. This works with an SQLite file only; with a server it does nothing."""
        return file_lock(database_path(self.uri)) if is_sqlite(self.uri) else nullcontext()


def connect(settings: RegistrySettings) -> Connection:
    """Connect for reading and writing; create the experiment if it does not exist. Raises RegistryError."""
    reader = connect_read_only(settings)
    if is_sqlite(reader.uri):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  takes seconds, in which no process should wait for the lock
    with reader.errors("connecting"), reader.lock():
        return replace(reader, experiment_id=_experiment_id(reader.client, reader.uri, settings.experiment))


def connect_read_only(settings: RegistrySettings) -> Connection:
    """Connect for reading. Creates nothing and sends no request; the first read does."""
    uri = tracking_uri()
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    check_tracking_uri()
    database = database_path(uri) if is_sqlite(uri) else None
    if database:
        check_writable(database)
    with as_registry_errors(uri, "connecting"):
        import mlflow

        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It warns of an environment without pip, as in the image, for a file that is not needed to load a version.
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)
        # It logs a traceback of each database error that it also raises.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        if database:
            import mlflow.store.db.utils  # takes seconds, in which no process should wait for the lock

            with file_lock(database):  # of several processes, one creates or upgrades the tables of an SQLite file
                ensure_database(database)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        return Connection(uri, mlflow.MlflowClient(uri, uri), settings)


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        # Without a server, MLflow would put artifacts into the working directory.
        root = artifacts_folder(database_path(uri)).as_uri() if is_sqlite(uri) else None
        try:
            return str(client.create_experiment(name, artifact_location=root))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # another run can have created it in the meantime
            if found is None:
                raise error
    if found.lifecycle_stage == "deleted":
        raise RegistryError(
            f"{redact(uri)}: the experiment {name!r} is deleted: restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or set another name in params.yaml, registry.experiment"
        )
    return str(found.experiment_id)
