"""Load a model version for serving: verify its files and signature, check it in a separate process, and load it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from predictive_maintenance.tracking.entities import SCORER_TAG, ModelVersion
from predictive_maintenance.tracking.signing import verify_scorer

from .isolated_check import IsolatedCheck
from .served_model import ServedModel

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ModelLoader:
    """Loads versions of `model_name`. With a `public_key`, a version has to be signed by it.

    `check_tags` raises ModelError if a version's tags cannot be shown.
    """

    model_name: str
    isolated_check: IsolatedCheck
    check_tags: Callable[[ServedModel], object]
    public_key: "Ed25519PublicKey | None" = None

    def load(self, folder: Path, version: ModelVersion) -> ServedModel:
        """Return the version in `folder`, ready to serve. Raises ModelError with the reason if it must not be served."""
        verify_scorer(folder, version, self.model_name, self.public_key)
        if SCORER_TAG not in version.tags:
            _log.warning(f"version {version.version} was registered without a hash of its files: they are not compared")
        self.isolated_check.run(folder, version)
        model = ServedModel.load(folder, version)
        self.check_tags(model)
        return model

    def with_tags(self, model: ServedModel, version: ModelVersion) -> ServedModel:
        """Return the served model with newer tags of its version. Raises ModelError if they cannot be shown."""
        changed = model.with_tags(version)
        self.check_tags(changed)
        return changed
