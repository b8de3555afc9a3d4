"""A model in a folder, without a registry: written by `export`, or unpacked by a cloud before it starts the service."""

import shutil
from pathlib import Path

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion, TrainingRun


class LocalRegistry:
    """A registry with one version, polled like any other: a model that replaces it is served from the next poll on."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()
        self.uri = self._root.as_uri()

    def production_version(self) -> ModelVersion:
        """Return the version in the folder. Raises RegistryError if there is none or its version file is damaged."""
        version_file = self._folder() / VERSION_FILE
        try:
            return ModelVersion.from_json(version_file.read_bytes())
        except (OSError, ValueError) as error:
            raise RegistryError(f"PDM_MODEL_DIR: {version_file} cannot be read: {error}") from None

    def list_versions(self) -> list[ModelVersion]:
        return [self.production_version()]

    def lost(self) -> None:
        """A folder is not lost: without a version, it cannot be read."""

    def training_runs(self, limit: int) -> list[TrainingRun]:  # noqa: ARG002  a folder has no training runs
        return []

    def download(self, version: str, work: Path) -> Path:  # noqa: ARG002  there is only one version
        """Copy the model below `work`: later changes of the folder must not change the served model."""
        try:
            return Path(shutil.copytree(self._folder(), work / "scorer"))
        except (OSError, shutil.Error) as error:
            raise RegistryError(f"PDM_MODEL_DIR: {self._root} cannot be copied: {error}") from None

    def _folder(self) -> Path:
        """Return the folder with the model: some clouds unpack it one level below the folder that they name."""
        found = [
            path.parent for path in (self._root / VERSION_FILE, *self._root.glob(f"*/{VERSION_FILE}")) if path.is_file()
        ]
        if not found:
            raise RegistryError(f"PDM_MODEL_DIR: {self._root} has no {VERSION_FILE}: name a folder that `export` wrote")
        return found[0]
