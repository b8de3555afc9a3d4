"""A model that lies in a folder, with no registry: what `export` wrote, and what a cloud unpacks before it starts us."""

import shutil
from pathlib import Path

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion, TrainingRun


class LocalRegistry:
    """A registry of one version. Followed like any other: a folder that is replaced is served from then on."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().absolute()
        self.uri = self._root.as_uri()

    def production(self) -> ModelVersion:
        """Raises RegistryError where there is no model, or its note is damaged."""
        note = self._folder() / VERSION_FILE
        try:
            return ModelVersion.from_json(note.read_bytes())
        except (OSError, ValueError) as error:
            raise RegistryError(f"PDM_MODEL_DIR: {note} cannot be read: {error}") from None

    def all(self) -> list[ModelVersion]:
        return [self.production()]

    def trainings(self, most: int) -> list[TrainingRun]:  # noqa: ARG002  a folder knows of none
        return []

    def download(self, version: str, work: Path) -> Path:  # noqa: ARG002  there is one
        """A copy below `work`: what is served does not change with the folder."""
        try:
            return Path(shutil.copytree(self._folder(), work / "scorer"))
        except (OSError, shutil.Error) as error:
            raise RegistryError(f"PDM_MODEL_DIR: {self._root} cannot be copied: {error}") from None

    def _folder(self) -> Path:
        """Some clouds unpack into a folder of their own below the one that they name."""
        found = [
            path.parent for path in (self._root / VERSION_FILE, *self._root.glob(f"*/{VERSION_FILE}")) if path.is_file()
        ]
        if not found:
            raise RegistryError(f"PDM_MODEL_DIR: {self._root} holds no {VERSION_FILE}: is it what `export` wrote?")
        return found[0]
