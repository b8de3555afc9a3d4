"""How MLflow is reached: a server by MLFLOW_TRACKING_URI, or sqlite in the project's folder with no setting at all."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ..config.params import RegistrySettings
from ..config.project import project_dir
from ..errors import RegistryError
from .mlflow_errors import as_registry_errors, redact

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's own defaults retry for minutes: too long for a person who waits, and a step can be retried or resumed.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # who trains what is nobody else's to know
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the embedded sqlite file in the project's folder, wherever the command is started."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_dir() / 'mlflow.db'}"


def web_ui_url() -> str | None:
    """Where a person finds MLflow's pages; None of an embedded registry, which has none until `mlflow ui` is started."""
    parts = urlsplit(tracking_uri())
    if parts.scheme not in ("http", "https"):
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def is_embedded(uri: str) -> bool:
    return uri.startswith("sqlite:")


@dataclass(frozen=True)
class Connection:
    """A client, and the experiment that runs go to: empty for one who only reads."""

    uri: str
    client: MlflowClient
    settings: RegistrySettings
    experiment_id: str = ""

    @property
    def redacted_uri(self) -> str:
        """The URI without a password."""
        return redact(self.uri)

    def errors(self, doing: str) -> AbstractContextManager[None]:
        """A block whose MLflow errors become a RegistryError that says what was being done, and where."""
        return as_registry_errors(self.uri, doing)

    def lock(self) -> AbstractContextManager[None]:
        """A block that no other process enters at the same time; only the embedded registry can promise that."""
        return _file_lock(self.uri) if is_embedded(self.uri) else nullcontext()


def connect(settings: RegistrySettings) -> Connection:
    """Reach the tracking server and find or make the experiment. Raises RegistryError with the way out."""
    reader = connect_read_only(settings)
    with reader.errors("connecting"), reader.lock():
        return replace(reader, experiment_id=_experiment(reader.client, reader.uri, settings.experiment))


def connect_read_only(settings: RegistrySettings) -> Connection:
    """A connection for one who only reads: nothing is made, and a server is first asked when something is read."""
    uri = tracking_uri()
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if is_embedded(uri):
        _check_writable(_database(uri))
    with as_registry_errors(uri, "connecting"), _file_lock(uri) if is_embedded(uri) else nullcontext():
        # The lock matters on the first contact: a fresh sqlite file breaks when several processes migrate it at once.
        import mlflow

        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        return Connection(uri, mlflow.MlflowClient(uri, uri), settings)


def _experiment(client: MlflowClient, uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        # Without a server, artifacts would go to the working directory of whoever comes first.
        root = (_database(uri).parent / "mlartifacts").as_uri() if is_embedded(uri) else None
        try:
            return str(client.create_experiment(name, artifact_location=root))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # another flow may have made it a moment ago
            if found is None:
                raise error
    if found.lifecycle_stage == "deleted":
        raise RegistryError(
            f"{redact(uri)}: experiment {name!r} is deleted: restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or name another in params.yaml, registry.experiment"
        )
    return str(found.experiment_id)


def _database(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///")).absolute()


def _check_writable(database: Path) -> None:
    """That the sqlite file, or the folder that it is to be made in, can be written."""
    try:
        target = database if database.exists() else database.parent
        there = target.exists()
        writable = os.access(target, os.W_OK) and os.access(database.parent, os.W_OK)
    except PermissionError:
        target, there, writable = database, True, False
    if not there:
        raise RegistryError(f"{target}: no such folder for the MLflow database: see MLFLOW_TRACKING_URI")
    if not writable:
        raise RegistryError(
            f"{target}: no permission to write the MLflow database there: set MLFLOW_TRACKING_URI to a server or to "
            "sqlite:///PATH in a folder of yours"
        )


@contextmanager
def _file_lock(uri: str) -> Iterator[None]:
    database = _database(uri)
    with database.with_name(database.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
