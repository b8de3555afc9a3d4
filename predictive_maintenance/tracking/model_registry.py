"""The versions of the one registered model: registered once a run, promoted by alias, rolled back to what was before."""

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..errors import ModelError, RegistryError
from ..evaluation.baseline_model import BaselineModel
from ..scorer.scoring import TRAINING_ROWS_FILE, Scorer
from .entities import (
    FILES_TAG,
    FINGERPRINT_TAG,
    PREVIOUS_TAG,
    PROMOTED_TAG,
    ROLLED_BACK_TAG,
    ModelVersion,
    PromotionResult,
)
from .packaging import files_sha256
from .registry_reader import RegistryReader
from .runs import FlowRun

ARTIFACT_PATH = "model_artifact"


class ModelRegistry(RegistryReader):
    """The same for those who write: training and the command line."""

    def baseline_model(self) -> BaselineModel | None:
        """The production version, ready to be compared with. Raises ModelError where its files are damaged."""
        if (current := self.production_version()) is None:
            return None
        with tempfile.TemporaryDirectory(prefix="pdm-champion-") as work:
            folder = self.download(current.version, Path(work))
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
            for version in self.list_versions()
            if ROLLED_BACK_TAG in version.tags and FINGERPRINT_TAG in version.tags
        }
        return BaselineModel(
            version=current.version,
            scorer=scorer,
            training_rows=rows,
            training_fingerprint=current.tags.get(FINGERPRINT_TAG, ""),
            rolled_back=rolled_back,
        )

    def register(self, run: FlowRun, folder: Path, tags: Mapping[str, str]) -> ModelVersion:
        """The version that holds `folder`, made from `run`. A second call with the same files finds the first one's."""
        digest = files_sha256(folder)
        tags = {**tags, FILES_TAG: digest}
        with self._connection.errors("registering the model"), self._connection.lock():
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
        self.load_scorer(version)  # an alias must never point to what cannot be loaded
        self._point(self._candidate, version)
        return self.get_version(version)

    def promote(self, version: str, replaces: str | None) -> PromotionResult:
        """Point `production` to `version`, unless it no longer points to `replaces`, which it was judged against."""
        self.load_scorer(version)
        with self._connection.lock():
            current = self.production_version()
            held = current.version if current else None
            if held == version:
                return PromotionResult(True, current.tags.get(PREVIOUS_TAG) or None if current else None, "is in production")
            if held != replaces:
                return PromotionResult(
                    False,
                    held,
                    f"production moved from version {replaces or 'none'} to {held or 'none'} during the run",
                )
            with self._connection.errors(f"promoting version {version}"):
                self._tag(version, {PREVIOUS_TAG: held or "", PROMOTED_TAG: _now()})
                self._client.set_registered_model_alias(self._name, self._production, version)
                self._client.delete_model_version_tag(self._name, version, ROLLED_BACK_TAG)
        return PromotionResult(True, held, "is in production now")

    def rollback(self) -> tuple[str, str]:
        """Point `production` back to the version that it left. Returns (left, now). Raises RegistryError if there is none."""
        with self._connection.lock():
            current = self.production_version()
            if current is None:
                raise RegistryError(f"{self._name} has no version in production: there is nothing to roll back")
            previous = current.tags.get(PREVIOUS_TAG)
            if not previous:
                raise RegistryError(
                    f"version {current.version} is the first in production: there is none to roll back to"
                )
            self.get_version(previous)  # which names what there is where it was deleted
            self.load_scorer(previous)
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
