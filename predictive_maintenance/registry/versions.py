"""The versions of the one registered model: registered once a run, promoted by alias, rolled back to what was before."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError, RegistryError
from ..evaluation.comparison import Champion
from ..scoring import TRAINING_ROWS_FILE, Scorer
from .connection import Connection
from .entities import FILES_TAG, FINGERPRINT_TAG, PREVIOUS_TAG, PROMOTED_TAG, ROLLED_BACK_TAG, ModelVersion, Promotion
from .packaging import SCORER_FOLDER, files_sha256
from .runs import FlowRun

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

ARTIFACT_PATH = "model_artifact"
_NO_ALIAS = re.compile(r"Registered model alias \S+ not found")


class Versions:
    """The versions of `settings.model_name`. Every method raises RegistryError when the registry does not answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client
        self._name = connection.settings.model_name
        self._candidate = connection.settings.candidate_alias
        self._production = connection.settings.production_alias

    def production(self) -> ModelVersion | None:
        return self._by_alias(self._production)

    def candidate(self) -> ModelVersion | None:
        return self._by_alias(self._candidate)

    def get(self, version: str) -> ModelVersion:
        """Raises RegistryError that lists the versions there are."""
        found = None
        if version.isdecimal():
            found = self._unless_missing(
                f"reading version {version}", lambda: self._client.get_model_version(self._name, version)
            )
        if found is None:
            known = ", ".join(known.version for known in self.all()) or "none yet"
            raise RegistryError(f"{self._name} has no version {version!r}; it has: {known}")
        return ModelVersion.of(found, tuple(found.aliases))

    def all(self) -> list[ModelVersion]:
        """Newest first."""
        with self._connection.errors("listing versions"):
            found = self._search()
            aliases = self._client.get_registered_model(self._name).aliases if found else {}
        versions = [
            ModelVersion.of(version, tuple(name for name, to in aliases.items() if str(to) == str(version.version)))
            for version in found
        ]
        return sorted(versions, key=lambda version: -int(version.version))

    def champion(self) -> Champion | None:
        """The production version, ready to be compared with. Raises ModelError where its files are damaged."""
        if (current := self.production()) is None:
            return None
        with tempfile.TemporaryDirectory(prefix="pdm-champion-") as work:
            folder = self._download(current.version, Path(work))
            try:
                rows = np.load(folder / TRAINING_ROWS_FILE, allow_pickle=False)
                scorer = Scorer.load(folder)
            except (ModelError, OSError, ValueError) as error:
                raise ModelError(
                    f"version {current.version}, which is in production, cannot be compared with: {error}\n"
                    "way out: python -m predictive_maintenance rollback, or promote a version that is sound"
                ) from None
        rolled_back = {
            version.tags[FINGERPRINT_TAG]: version.version
            for version in self.all()
            if ROLLED_BACK_TAG in version.tags and FINGERPRINT_TAG in version.tags
        }
        return Champion(current.version, scorer, rows, current.tags.get(FINGERPRINT_TAG, ""), rolled_back)

    def scorer(self, version: str, threads: int = 1) -> Scorer:
        """The scorer of a version, its golden rows checked."""
        with tempfile.TemporaryDirectory(prefix="pdm-scorer-") as work:
            folder = self._download(version, Path(work))
            try:
                return Scorer.load(folder, threads)
            except ModelError as error:
                raise ModelError(f"version {version} of {self._name}: {error}") from None

    def register(self, run: FlowRun, folder: Path, tags: Mapping[str, str]) -> ModelVersion:
        """The version that holds `folder`, made from `run`. A second call with the same files finds the first one's."""
        digest = files_sha256(folder)
        tags = {**tags, FILES_TAG: digest}
        with self._connection.errors("registering the model"), self._connection.exclusive():
            self._ensure_model()
            of_run = [known for known in self._search() if known.run_id == run.run_id]
            known = next((found for found in of_run if found.tags.get(FILES_TAG) == digest), None)
            if known is None:
                path = f"{ARTIFACT_PATH}/{digest[:12]}"
                run.log_artifacts(folder, path)
                source = f"{run.artifact_uri.rstrip('/')}/{path}"
                # With its tags in one request: a version without them, of a step that was killed, would not be found again.
                known = self._client.create_model_version(self._name, source, run.run_id, tags=tags)
            else:
                self._tag(str(known.version), tags)
        version = str(known.version)
        self.scorer(version)  # an alias must never point to what cannot be loaded
        self._point(self._candidate, version)
        return self.get(version)

    def promote(self, version: str, replaces: str | None) -> Promotion:
        """Point `production` to `version`, unless it no longer points to `replaces`, which it was judged against."""
        self.scorer(version)
        with self._connection.exclusive():
            current = self.production()
            held = current.version if current else None
            if held == version:
                return Promotion(True, current.tags.get(PREVIOUS_TAG) or None if current else None, "is in production")
            if held != replaces:
                return Promotion(
                    False,
                    held,
                    f"production moved from version {replaces or 'none'} to {held or 'none'} during the run",
                )
            with self._connection.errors(f"promoting version {version}"):
                self._tag(version, {PREVIOUS_TAG: held or "", PROMOTED_TAG: _now()})
                self._client.set_registered_model_alias(self._name, self._production, version)
                self._client.delete_model_version_tag(self._name, version, ROLLED_BACK_TAG)
        return Promotion(True, held, "is in production now")

    def rollback(self) -> tuple[str, str]:
        """Point `production` back to the version that it left. Returns (left, now). Raises RegistryError if there is none."""
        with self._connection.exclusive():
            current = self.production()
            if current is None:
                raise RegistryError(f"{self._name} has no version in production: there is nothing to roll back")
            previous = current.tags.get(PREVIOUS_TAG)
            if not previous:
                raise RegistryError(
                    f"version {current.version} is the first in production: there is none to roll back to"
                )
            self.get(previous)  # which names what there is where it was deleted
            self.scorer(previous)
            with self._connection.errors(f"rolling back to version {previous}"):
                self._tag(current.version, {ROLLED_BACK_TAG: _now()})
                self._client.set_registered_model_alias(self._name, self._production, previous)
        return current.version, previous

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        with self._connection.errors(f"tagging version {version}"):
            self._tag(version, tags)

    def _tag(self, version: str, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            self._client.set_model_version_tag(self._name, version, name, value)

    def _point(self, alias: str, version: str) -> None:
        with self._connection.errors(f"setting the alias {alias}"):
            self._client.set_registered_model_alias(self._name, alias, version)

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _by_alias(self, alias: str) -> ModelVersion | None:
        found = self._unless_missing(
            f"looking up the alias {alias}", lambda: self._client.get_model_version_by_alias(self._name, alias)
        )
        return self.get(str(found.version)) if found else None

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

    def _download(self, version: str, work: Path) -> Path:
        import mlflow.artifacts

        with self._connection.errors(f"downloading version {version}"):
            folder = mlflow.artifacts.download_artifacts(f"models:/{self._name}/{version}", dst_path=str(work))
        scorer = Path(folder) / "artifacts" / SCORER_FOLDER
        if not scorer.is_dir():
            raise ModelError(f"version {version} of {self._name} holds no scorer: it was not made by this system")
        return scorer


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
