"""The models that this machine keeps on disk, so that a restart needs no registry. Several workers may share a folder."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from predictive_maintenance.tracking.entities import ModelVersion

_KEPT = 3
_LAST_GOOD = "last_good.json"


class ModelCache:
    """Versions of one registered model of one registry, each in a folder of its own below `root`.

    Where `root` cannot be written, they are kept as long as the process lives, and `trouble` says so.
    """

    def __init__(self, root: Path, registry_uri: str, model_name: str) -> None:
        # Another registry may have another version 1: their models must never be taken for each other.
        key = hashlib.sha256(f"{registry_uri}\n{model_name}".encode()).hexdigest()[:16]
        self._folder = root.expanduser() / key
        self.trouble: str | None = None
        self._unkept: tempfile.TemporaryDirectory[str] | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            why = f"models cannot be kept there ({error.strerror}), so that a restart needs the registry"
            self.trouble = f"{root}: {why}: set PDM_MODEL_CACHE"
            self._unkept = tempfile.TemporaryDirectory(prefix="pdm-models-")
            self._folder = Path(self._unkept.name)

    def fetch(self, version: ModelVersion, download: Callable[[str, Path], Path]) -> Path:
        """The folder with the version's scorer, brought by `download(version, work folder)` unless it is there."""
        target = self._target(version)
        if self.has(version):
            return target
        with tempfile.TemporaryDirectory(prefix=".coming-", dir=self._folder) as work:
            arrived = download(version.version, Path(work))
            try:
                arrived.replace(target)
            except OSError:
                if not target.is_dir():  # another worker may have brought it meanwhile
                    raise
        return target

    def close(self) -> None:
        """Remove what was kept for the life of the process only."""
        if self._unkept:
            self._unkept.cleanup()

    def has(self, version: ModelVersion) -> bool:
        """Whether `fetch` would bring nothing."""
        return self._target(version).is_dir()

    def forget(self, version: ModelVersion) -> None:
        """Remove a version that turned out to be bad: the next look brings it anew."""
        shutil.rmtree(self._target(version), ignore_errors=True)

    def remember(self, version: ModelVersion) -> None:
        """Note `version` as the one to start from, and remove those that are older than the last few."""
        with tempfile.NamedTemporaryFile("w", dir=self._folder, prefix=f".{_LAST_GOOD}.", delete=False) as partial:
            partial.write(version.to_json())
        Path(partial.name).replace(self._folder / _LAST_GOOD)
        folders = [folder for folder in self._folder.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
        for old in sorted(folders, key=lambda folder: folder.stat().st_mtime)[:-_KEPT]:
            if old != self._target(version):
                shutil.rmtree(old, ignore_errors=True)

    def last_good(self) -> tuple[ModelVersion, Path] | None:
        """The version that was served last, and its folder; None where there is none, or its note is damaged."""
        try:
            version = ModelVersion.from_json((self._folder / _LAST_GOOD).read_text())
        except (OSError, ValueError):
            return None
        folder = self._target(version)
        return (version, folder) if folder.is_dir() else None

    def _target(self, version: ModelVersion) -> Path:
        # A registry that was set up anew counts from 1 again: the run tells its version 1 from the old one.
        return self._folder / f"{version.version}-{version.run_id[:12]}"
