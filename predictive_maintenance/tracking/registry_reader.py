"""The versions of the one registered model as one reads them: by alias, by number, all of them, and their files;
and the trainings that they come from.

An MLflow client is enough for it, without what trains: the serving path reads the registry with mlflow-skinny.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError, RegistryError
from ..scorer.scoring import Scorer
from .connection import Connection
from .entities import FLOW_RUN_TAG, ModelVersion, TrainingRun
from .packaging import SCORER_FOLDER

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

_NO_ALIAS = re.compile(r"Registered model alias \S+ not found")


class RegistryReader:
    """The versions of `settings.model_name`. Every method raises RegistryError when the registry does not answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client
        self._name, self._experiment = connection.settings.model_name, connection.settings.experiment
        self._candidate = connection.settings.candidate_alias
        self._production = connection.settings.production_alias

    def production_version(self) -> ModelVersion | None:
        return self._by_alias(self._production)

    def candidate_version(self) -> ModelVersion | None:
        return self._by_alias(self._candidate)

    def get_version(self, version: str) -> ModelVersion:
        """Raises RegistryError that lists the versions there are."""
        found = None
        if version.isdecimal():
            found = self._unless_missing(
                f"reading version {version}", lambda: self._client.get_model_version(self._name, version)
            )
        if found is None:
            known = ", ".join(known.version for known in self.list_versions()) or "none yet"
            raise RegistryError(f"{self._name} has no version {version!r}; it has: {known}")
        return ModelVersion.of(found, tuple(found.aliases))

    def list_versions(self) -> list[ModelVersion]:
        """Newest first."""
        with self._connection.errors("listing versions"):
            found = self._search()
            aliases = self._client.get_registered_model(self._name).aliases if found else {}
        versions = [
            ModelVersion.of(version, tuple(name for name, to in aliases.items() if str(to) == str(version.version)))
            for version in found
        ]
        return sorted(versions, key=lambda version: -int(version.version))

    def training_runs(self, limit: int) -> list[TrainingRun]:
        """The latest `most` runs of the flow, newest first: those that were rejected, failed or still go on, too."""
        with self._connection.errors("listing trainings"):
            experiment = self._client.get_experiment_by_name(self._experiment)
            if experiment is None:
                return []
            found = self._client.search_runs(
                [experiment.experiment_id],
                f"tags.`{FLOW_RUN_TAG}` LIKE '%'",
                max_results=limit,
                order_by=["attributes.start_time DESC"],
            )
        return [TrainingRun.of(run) for run in found]

    def load_scorer(self, version: str, threads: int = 1) -> Scorer:
        """The scorer of a version, its golden rows checked."""
        with tempfile.TemporaryDirectory(prefix="pdm-scorer-") as work:
            folder = self.download(version, Path(work))
            try:
                return Scorer.load(folder, threads)
            except ModelError as error:
                raise ModelError(f"version {version} of {self._name}: {error}") from None

    def download(self, version: str, work: Path) -> Path:
        """The folder of the version's scorer, brought below `work`. Raises ModelError for a version of another system."""
        import mlflow.artifacts

        with self._connection.errors(f"downloading version {version}"):
            # Asked of this connection's own client: of models:/ MLflow would ask the last connection of the process.
            source = self._client.get_model_version_download_uri(self._name, version)
            folder = mlflow.artifacts.download_artifacts(source, dst_path=str(work), tracking_uri=self._connection.uri)
        scorer = Path(folder) / "artifacts" / SCORER_FOLDER
        if not scorer.is_dir():
            raise ModelError(f"version {version} of {self._name} holds no scorer: it was not made by this system")
        return scorer

    def _by_alias(self, alias: str) -> ModelVersion | None:
        found = self._unless_missing(
            f"looking up the alias {alias}", lambda: self._client.get_model_version_by_alias(self._name, alias)
        )
        return self.get_version(str(found.version)) if found else None

    def _unless_missing(self, doing: str, ask: Callable[[], MlflowVersion]) -> MlflowVersion | None:
        """What the registry answers; None where it says that it has no such model, version or alias."""
        from mlflow.exceptions import MlflowException

        with self._connection.errors(doing):
            try:
                return ask()
            except MlflowException as error:
                # MLflow's own servers have no code for a missing alias: it shares that of an invalid name.
                if error.error_code == "RESOURCE_DOES_NOT_EXIST" or _NO_ALIAS.search(str(error)):
                    return None
                raise

    def _search(self) -> list[MlflowVersion]:
        """Every version, page by page. None of them carries its aliases."""
        found, token = [], None
        while True:
            page = self._client.search_model_versions(f"name='{self._name}'", page_token=token)
            found += page
            if not (token := page.token):
                return found
