"""Register, promote and roll back model versions."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ..config.process_user import process_user
from ..errors import ModelError, RegistryError
from ..evaluation.baseline_model import BaselineModel
from ..scorer.scoring import Scorer
from ..scorer.version_files import read_training_rows
from .entities import (
    FILES_TAG,
    FINGERPRINT_TAG,
    FLOW_RUN_TAG,
    PREVIOUS_TAG,
    PRODUCTION_BY_TAG,
    PRODUCTION_FROM_TAG,
    PRODUCTION_MOVED_TAG,
    PRODUCTION_REASON_TAG,
    PROMOTED_TAG,
    ROLLED_BACK_REASON,
    ROLLED_BACK_TAG,
    SCORER_TAG,
    TIME_FORMAT,
    ModelVersion,
    PromotionResult,
)
from .packaging import SCORER_FOLDER, files_sha256, scorer_sha256
from .registry_reader import RegistryReader
from .runs import FlowRun
from .signing import signature_tags, signing_key

ARTIFACT_PATH = "model_artifact"


class ModelRegistry(RegistryReader):
    """Reads and writes the versions of `settings.model_name`.

    A version is *rolled back* when production moves from it to an older version, by `rollback`, or by `promote` without the gate.
    The gate then does not allow the promotion of a model that is trained on the same rows.
    """

    def baseline_model(self) -> BaselineModel | None:
        """Load the production version for a comparison with it. If its files cannot be used, it has the reason instead."""
        if (current := self.production_version()) is None:
            return None
        scorer, rows, unreadable = None, np.empty(0, dtype=np.uint64), ""
        with tempfile.TemporaryDirectory(prefix="pdm-champion-") as work:
            try:
                folder = self.download(current.version, Path(work))
                rows, scorer = read_training_rows(folder), Scorer.load(folder)
            except ModelError as error:
                unreadable = str(error)
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
            unreadable=unreadable,
        )

    def register(self, run: FlowRun, folder: Path, tags: Mapping[str, str]) -> ModelVersion:
        """Register `folder` as a version of `run`. A second call with the same files returns the same version.

        With PDM_MODEL_SIGNING_KEY set, the version is signed.
        """
        digest = files_sha256(folder)
        tags = {**tags, FILES_TAG: digest, SCORER_TAG: scorer_sha256(folder / "artifacts" / SCORER_FOLDER)}
        if key := signing_key():
            tags |= signature_tags(key, self._name, run.run_id, tags)
        with self.connection.errors("registering the model"), self.connection.lock():
            self._ensure_model()
            of_run = [known for known in self._search() if known.run_id == run.run_id]
            known = next((found for found in of_run if found.tags.get(FILES_TAG) == digest), None)
            if known is None:
                path = f"{ARTIFACT_PATH}/{digest[:12]}"
                run.log_artifacts(folder, path)
                source = f"{run.artifact_uri.rstrip('/')}/{path}"
                # Tags in the same request: a version without them, left by a killed step, could not be found again.
                known = self._client.create_model_version(self._name, source, run.run_id, tags=tags)
            else:
                self._tag(str(known.version), tags)
        version = str(known.version)
        self.load_scorer(version)  # an alias must never point to files that cannot be loaded
        with self.connection.errors(f"setting the alias {self._candidate}"):
            self._client.set_registered_model_alias(self._name, self._candidate, version)
        return self.get_version(version)

    def promote(
        self,
        version: str,
        replaces: str | None,
        *,
        by_gate: bool = False,
        reason: str | None = None,
        by: str | None = None,
    ) -> PromotionResult:
        """Move production to `version`, unless production is no longer `replaces`, the version it was compared with.

        `by_gate` is true when the gate decided: the version it replaces is never marked as rolled back, because a resumed
        run can promote a version with a lower number. `reason` and `by` are the texts of PRODUCTION_REASON_TAG and
        PRODUCTION_BY_TAG, if these are others.
        """
        self.load_scorer(version)
        with self.connection.lock():
            current = self.production_version()
            held = current.version if current else None
            if current and held == version:
                previous = current.tags.get(PREVIOUS_TAG) or None
                return PromotionResult(promoted=True, production=held, previous=previous, version=current)
            if held != replaces:
                return PromotionResult(promoted=False, production=held, previous=replaces)
            with self.connection.errors(f"promoting version {version}"):
                chosen = self.get_version(version)
                if reason is None:
                    reason = "passed every check of the gate" if by_gate else _promoted_by_hand(chosen)
                by = by or (chosen.tags.get(FLOW_RUN_TAG, "the gate") if by_gate else process_user())
                tags = {PREVIOUS_TAG: held or "", PROMOTED_TAG: _now(), PRODUCTION_REASON_TAG: reason}
                tags |= {PRODUCTION_BY_TAG: by}
                return self._move_production(held, chosen, tags, may_roll_back=not by_gate)

    def rollback(self) -> PromotionResult:
        """Move production back to the version before it. Raises RegistryError if there is none."""
        with self.connection.lock():
            current = self.production_version()
            if current is None:
                raise RegistryError(f"{self._name} has no version in production: there is nothing to roll back")
            previous = current.tags.get(PREVIOUS_TAG)
            if not previous:
                raise RegistryError(
                    f"version {current.version} was the first in production: there is no version to roll back to"
                )
            chosen = self.get_version(previous)  # raises with the existing versions if this one was deleted
            self.load_scorer(previous)
            reason = f"{ROLLED_BACK_REASON} {current.version} at {datetime.now(UTC):{TIME_FORMAT}}"
            with self.connection.errors(f"rolling back to version {previous}"):
                tags = {PRODUCTION_REASON_TAG: reason, PRODUCTION_BY_TAG: process_user()}
                return self._move_production(current.version, chosen, tags)

    def _move_production(
        self, held: str | None, chosen: ModelVersion, tags: Mapping[str, str], *, may_roll_back: bool = True
    ) -> PromotionResult:
        version = chosen.version
        moved = datetime.now(UTC).isoformat(timespec="microseconds")
        tags = {**tags, PRODUCTION_FROM_TAG: held or "none", PRODUCTION_MOVED_TAG: moved}
        self._tag(version, tags)
        rolled_back = may_roll_back and held is not None and int(version) < int(held)
        if held is not None and rolled_back:
            self._tag(held, {ROLLED_BACK_TAG: _now()})
        self._client.set_registered_model_alias(self._name, self._production, version)
        self._client.delete_model_version_tag(self._name, version, ROLLED_BACK_TAG)
        in_production = replace(chosen, tags={**chosen.tags, **tags})
        return PromotionResult(
            promoted=True, production=version, previous=held, rolled_back=rolled_back, version=in_production
        )

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        with self.connection.errors(f"tagging version {version}"):
            self._tag(version, tags)

    def _tag(self, version: str, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            self._client.set_model_version_tag(self._name, version, name, value)

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _promoted_by_hand(version: ModelVersion) -> str:
    failed = len(version.verdict.failed) if version.verdict else 0
    time = f"{datetime.now(UTC):{TIME_FORMAT}}"
    if not failed:
        return f"promoted by hand at {time}"
    return f"promoted by hand with --force at {time}, although {failed} check{'' if failed == 1 else 's'} failed"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
