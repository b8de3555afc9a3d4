"""The versions of the one registered model: registered once a run, promoted by alias, rolled back to what was before."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, RegistryError
from ..evaluation.comparison import Champion
from ..evaluation.gate import Verdict
from ..scoring import TRAINING_ROWS_FILE, Scorer
from .connection import Connection
from .packaging import SCORER_FOLDER
from .runs import FlowRun

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

ARTIFACT_PATH = "model_artifact"
GATE_TAG, LEVEL_TAG, FINGERPRINT_TAG = "gate", "gate_level", "training_fingerprint"
PREVIOUS_TAG, PROMOTED_TAG, ROLLED_BACK_TAG = "previous_production_version", "promoted_at", "rolled_back_at"


@dataclass(frozen=True)
class ModelVersion:
    """One version as the registry knows it. `tags` hold its metrics, its gate and its lineage as text."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    created: datetime
    tags: Mapping[str, str]

    @property
    def verdict(self) -> Verdict | None:
        return Verdict.from_json(self.tags[GATE_TAG]) if GATE_TAG in self.tags else None


@dataclass(frozen=True)
class Promotion:
    """What became of a version: whether `production` points to it now, and the version that it replaced."""

    promoted: bool
    previous: str | None
    reason: str


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
        for known in self.all():
            if known.version == version:
                return known
        known_versions = ", ".join(known.version for known in self.all()) or "none yet"
        raise RegistryError(f"{self._name} has no version {version!r}; it has: {known_versions}")

    def all(self) -> list[ModelVersion]:
        """Newest first."""
        with self._connection.errors("listing versions"):
            found = self._client.search_model_versions(f"name='{self._name}'")
        return sorted((self._read(version.version) for version in found), key=lambda v: -int(v.version))

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
            return Champion(current.version, scorer, rows, current.tags.get(FINGERPRINT_TAG, ""))

    def scorer(self, version: str, threads: int = 1) -> Scorer:
        """The scorer of a version, its golden rows checked."""
        with tempfile.TemporaryDirectory(prefix="pdm-scorer-") as work:
            folder = self._download(version, Path(work))
            try:
                return Scorer.load(folder, threads)
            except ModelError as error:
                raise ModelError(f"version {version} of {self._name}: {error}") from None

    def register(self, run: FlowRun, folder: Path, tags: Mapping[str, str]) -> ModelVersion:
        """The version that holds `folder`, made from `run`. A second call for the same run finds the first one's."""
        with self._connection.errors("registering the model"), self._connection.exclusive():
            self._ensure_model()
            known = self._client.search_model_versions(f"name='{self._name}'")
            version = next((found.version for found in known if found.run_id == run.run_id), None)
            if version is None:
                run.log_artifacts(folder, ARTIFACT_PATH)
                source = f"{run.artifact_uri.rstrip('/')}/{ARTIFACT_PATH}"
                version = self._client.create_model_version(self._name, source, run.run_id).version
            for name, value in tags.items():
                self._client.set_model_version_tag(self._name, str(version), name, value)
        self.scorer(str(version))  # an alias must never point to what cannot be loaded
        self._point(self._candidate, str(version))
        return self._read(str(version))

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
        from mlflow.exceptions import MlflowException

        with self._connection.errors(f"looking up the alias {alias}"):
            try:
                found = self._client.get_model_version_by_alias(self._name, alias)
            except MlflowException as error:
                # A server says either, and older ones say both with the same words: no such model, or no such alias.
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return self._read(found.version)

    def _read(self, version: Any) -> ModelVersion:
        with self._connection.errors(f"reading version {version}"):
            found: MlflowVersion = self._client.get_model_version(self._name, str(version))
        created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
        return ModelVersion(str(found.version), tuple(found.aliases), found.run_id or "", created, dict(found.tags))

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
