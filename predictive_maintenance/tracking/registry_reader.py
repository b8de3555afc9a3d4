"""Read model versions, their files and the training runs behind them.

This needs only an MLflow client: the service reads the registry with mlflow-skinny.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..errors import ModelError, RegistryError
from ..scorer.scoring import Scorer
from ..scorer.version_files import read_scorer_files
from .connection import Connection
from .entities import FILES_TAG, FLOW_RUN_TAG, ModelVersion, TrainingRun
from .lost_registry import lost_registry
from .packaging import SCORER_FOLDER, files_sha256
from .signing import public_key, verify_scorer

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

_NO_ALIAS = re.compile(r"Registered model alias \S+ not found")


class RegistryReader:
    """Reads the versions of `settings.model_name`. Every method raises RegistryError when the registry does not answer."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._client = connection.client
        self._name, self._experiment = connection.settings.model_name, connection.settings.experiment
        self._candidate = connection.settings.candidate_alias
        self._production = connection.settings.production_alias

    def production_version(self) -> ModelVersion | None:
        """The version with the production alias."""
        return self._by_alias(self._production)

    def candidate_version(self) -> ModelVersion | None:
        """The version with the candidate alias."""
        return self._by_alias(self._candidate)

    def get_version(self, version: str) -> ModelVersion:
        """A version by its number. Raises RegistryError with a list of the existing versions if there is none."""
        found = None
        if version.isdecimal():
            found = self._unless_missing(
                f"reading version {version}", lambda: self._client.get_model_version(self._name, version)
            )
        if found is None:
            existing = ", ".join(known.version for known in self.list_versions()) or "none"
            raise RegistryError(f"{self._name} has no version {version!r}; existing versions: {existing}")
        return ModelVersion.from_mlflow(found, tuple(found.aliases))

    def list_versions(self) -> list[ModelVersion]:
        """Every version, newest first."""
        with self.connection.errors("listing versions"):
            found = self._search()
            aliases = self._client.get_registered_model(self._name).aliases if found else {}
        versions = [
            ModelVersion.from_mlflow(
                version, tuple(name for name, to in aliases.items() if str(to) == str(version.version))
            )
            for version in found
        ]
        return sorted(versions, key=lambda version: -int(version.version))

    def lost(self) -> str | None:
        """What is wrong and what to do if the registry's file was removed or replaced by an empty one; None if it was not."""
        return lost_registry()

    def training_runs(self, limit: int) -> list[TrainingRun]:
        """The latest `limit` runs of the flow with any status, newest first."""
        with self.connection.errors("listing training runs"):
            experiment = self._client.get_experiment_by_name(self._experiment)
            if experiment is None:
                return []
            found = self._client.search_runs(
                [experiment.experiment_id],
                f"tags.`{FLOW_RUN_TAG}` LIKE '%'",
                max_results=limit,
                order_by=["attributes.start_time DESC"],
            )
        return [TrainingRun.from_mlflow(run) for run in found]

    def load_scorer(self, version: str, threads: int = 1) -> Scorer:
        """Load the scorer of a version and check its golden rows. Raises ModelError if its files are damaged."""
        with tempfile.TemporaryDirectory(prefix="pdm-scorer-") as work:
            folder = self.download(version, Path(work))
            try:
                return Scorer.load(folder, threads)
            except ModelError as error:
                raise ModelError(f"version {version} of {self._name}: {error}") from None

    def scorer_files(self, version: str) -> dict[str, bytes]:
        """The files of a version that scoring needs, to send to other processes. Raises ModelError as `download` does."""
        with tempfile.TemporaryDirectory(prefix="pdm-scorer-") as work:
            return read_scorer_files(self.download(version, Path(work)))

    def download(self, version: str, work: Path) -> Path:
        """Download the scorer of a version below `work` and return its folder.

        Raises ModelError if its files are missing or differ from the registered ones, it has no scorer, or
        PDM_MODEL_PUBLIC_KEY is set and it is not signed with that key.
        """
        import mlflow.artifacts

        registered = self.get_version(version)
        with self.connection.errors(f"downloading version {version}"):
            # Not a models:/ URI: MLflow would resolve it with the tracking URI that the process set last.
            source = self._client.get_model_version_download_uri(self._name, version)
            if (missing := _missing_folder(source)) is not None:
                raise ModelError(
                    f"version {version} of {self._name}: its files are missing: {missing} does not exist: restore it from a "
                    "backup, or promote another version"
                )
            folder = mlflow.artifacts.download_artifacts(source, dst_path=str(work), tracking_uri=self.connection.uri)
        scorer = Path(folder) / "artifacts" / SCORER_FOLDER
        if not scorer.is_dir():
            raise ModelError(f"version {version} of {self._name} has no scorer: it was not registered by this flow")
        self._verify(Path(folder), registered)
        return scorer

    def _verify(self, folder: Path, registered: ModelVersion) -> None:
        expected = registered.tags.get(FILES_TAG)
        try:
            if expected is not None and files_sha256(folder) != expected:
                raise ModelError(
                    f"its files differ from the registered ones (tag {FILES_TAG}): promote another version"
                )
            verify_scorer(folder / "artifacts" / SCORER_FOLDER, registered, self._name, public_key())
        except ModelError as error:
            raise ModelError(f"version {registered.version} of {self._name}: {error}") from None

    def _by_alias(self, alias: str) -> ModelVersion | None:
        found = self._unless_missing(
            f"looking up the alias {alias}", lambda: self._client.get_model_version_by_alias(self._name, alias)
        )
        return self.get_version(str(found.version)) if found else None

    def _unless_missing(self, action: str, read: Callable[[], MlflowVersion]) -> MlflowVersion | None:
        """The result of `read`; None if the model, version or alias does not exist."""
        from mlflow.exceptions import MlflowException

        with self.connection.errors(action):
            try:
                return read()
            except MlflowException as error:
                # MLflow's servers return the same error code for a missing alias as for an invalid name.
                if error.error_code == "RESOURCE_DOES_NOT_EXIST" or _NO_ALIAS.search(str(error)):
                    return None
                raise

    def _search(self) -> list[MlflowVersion]:
        """Every version, from all pages, without aliases."""
        found, token = [], None
        while True:
            page = self._client.search_model_versions(f"name='{self._name}'", page_token=token)
            found += page
            if not (token := page.token):
                return found


def _missing_folder(source: str) -> Path | None:
    """The folder that a file:// URI names, if it does not exist. None for other URIs: downloading reports what is wrong."""
    parts = urlsplit(source)
    folder = Path(unquote(parts.path))
    return folder if parts.scheme == "file" and not folder.exists() else None
