"""Cache of model versions on disk, so that a restart does not need the registry. Several workers may share it."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from predictive_maintenance.tracking.entities import ModelVersion

_MAX_VERSIONS = 3
_LAST_GOOD = "last_good.json"


class ModelCache:
    """The versions of one registered model of one registry, each in a folder below `root`.

    If `root` is not writable, a temporary folder is used until the process ends, and `warning` says so.
    """

    def __init__(self, root: Path, registry_uri: str, model_name: str) -> None:
        # Version numbers repeat across registries: the key keeps their models apart.
        key = hashlib.sha256(f"{registry_uri}\n{model_name}".encode()).hexdigest()[:16]
        self._folder = root.expanduser() / key
        self.warning: str | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            self.warning = (
                f"{root}: models cannot be kept there ({error.strerror}), so a restart needs the registry: "
                "set PDM_MODEL_CACHE to a writable folder"
            )
            self._temporary = tempfile.TemporaryDirectory(prefix="pdm-models-")
            self._folder = Path(self._temporary.name)

    def fetch(self, version: ModelVersion, download: Callable[[str, Path], Path]) -> Path:
        """Return the folder with the version's scorer. `download(version, work folder)` gets it if it is not cached."""
        target = self._target(version)
        if self.has(version):
            return target
        with tempfile.TemporaryDirectory(prefix=".coming-", dir=self._folder) as work:
            downloaded = download(version.version, Path(work))
            try:
                downloaded.replace(target)
            except OSError:
                if not target.is_dir():  # another worker may have downloaded it in the meantime
                    raise
        return target

    def close(self) -> None:
        """Remove the temporary folder, if there is one."""
        if self._temporary:
            self._temporary.cleanup()

    def has(self, version: ModelVersion) -> bool:
        """Whether the version is cached."""
        return self._target(version).is_dir()

    def remove(self, version: ModelVersion) -> None:
        """Remove a damaged version: the next poll downloads it again."""
        shutil.rmtree(self._target(version), ignore_errors=True)

    def set_last_good(self, version: ModelVersion) -> None:
        """Record `version` as the one to start from, and remove all but the latest versions."""
        with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=f".{_LAST_GOOD}.", delete=False) as partial:
            partial.write(version.to_json())
        Path(partial.name).replace(self._folder / _LAST_GOOD)
        folders = [folder for folder in self._folder.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
        for old in sorted(folders, key=lambda folder: folder.stat().st_mtime)[:-_MAX_VERSIONS]:
            if old != self._target(version):
                shutil.rmtree(old, ignore_errors=True)

    def last_good(self) -> tuple[ModelVersion, Path] | None:
        """Return the version that was served last and its folder; None if there is none or the record is damaged."""
        try:
            version = ModelVersion.from_json((self._folder / _LAST_GOOD).read_text())
        except (OSError, ValueError):
            return None
        folder = self._target(version)
        return (version, folder) if folder.is_dir() else None

    def _target(self, version: ModelVersion) -> Path:
        # A registry that was set up again counts from 1: the run id distinguishes its version 1 from the old one.
        return self._folder / f"{version.version}-{version.run_id[:12]}"
