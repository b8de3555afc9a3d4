"""Cache of model versions on disk, so that a restart does not need the registry. Several workers may share it."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from predictive_maintenance.errors import RegistryError, disk_full_reason
from predictive_maintenance.tracking.entities import ModelVersion

_MAX_VERSIONS = 3
_LAST_GOOD = "last_good.json"
_MEMORY = Path("/dev/shm")  # noqa: S108  a folder in memory: its files are in a folder that only this user can read
_PROBE_BYTES = 4096


class StorageError(OSError):
    """No folder can hold the files of a version."""


class ModelCache:
    """The versions of one registered model of one registry, each in a folder below `root`.

    If `root` is not writable or its disk is full, a version is stored in a temporary folder, if necessary in memory, until
    the process ends, and `problem` is the reason. The next version is stored below `root` again if that is possible.
    """

    def __init__(self, root: Path, registry_uri: str, model_name: str) -> None:
        # Version numbers repeat across registries: the key keeps their models apart.
        key = hashlib.sha256(f"{registry_uri}\n{model_name}".encode()).hexdigest()[:16]
        self._root, self._folder = root, root.expanduser() / key
        self._temporary: list[tempfile.TemporaryDirectory[str]] = []
        self.problem: str | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                file.write(bytes(_PROBE_BYTES))
        except OSError as error:
            self.problem = error.strerror

    @property
    def warning(self) -> str | None:
        """Why a restart needs the registry, with the way to fix it; None if it does not."""
        return self.problem and (
            f"{self._root}: models cannot be kept there ({self.problem}); they are in a temporary folder, and a restart "
            "needs the registry: set PDM_MODEL_CACHE to a writable folder on a disk with free space"
        )

    def fetch(self, version: ModelVersion, download: Callable[[str, Path], Path]) -> Path:
        """Return the folder with the version's scorer. `download(version, work folder)` gets it if it is not cached.

        Raises StorageError if there is no space for it, and the errors of `download`.
        """
        if found := self._find(version):
            return found
        failures: dict[str, str] = {}
        for place in (self._folder, None, _MEMORY):
            name = str(place or "the temporary folder, TMPDIR")
            try:
                folder = self._open(place)
                work = tempfile.TemporaryDirectory(prefix=".coming-", dir=folder)
            except OSError as error:
                failures[name] = error.strerror or str(error)
                continue
            try:
                with work:
                    target = _move(download(version.version, Path(work.name)), folder / _name(version))
            except (OSError, RegistryError) as error:
                if (reason := disk_full_reason(str(error))) is None:
                    raise
                failures[name] = reason
                continue
            self.problem = next(iter(failures.values()), None)
            return target
        reasons = ", ".join(f"{place}: {reason}" for place, reason in failures.items())
        raise StorageError(
            f"version {version.version} cannot be stored ({reasons}): free space, or set PDM_MODEL_CACHE to a writable folder "
            "on a disk with free space"
        )

    def close(self) -> None:
        """Remove the temporary folders."""
        for temporary in self._temporary:
            temporary.cleanup()

    def has(self, version: ModelVersion) -> bool:
        """Whether the version is cached."""
        return self._find(version) is not None

    def remove(self, version: ModelVersion) -> None:
        """Remove a damaged version: the next poll downloads it again."""
        if found := self._find(version):
            shutil.rmtree(found, ignore_errors=True)

    def set_last_good(self, version: ModelVersion) -> None:
        """Record `version` as the one to start from, and remove all but the latest versions."""
        if (found := self._find(version)) is None:
            return
        kept = _MAX_VERSIONS if found.parent == self._folder else 1
        folders = [folder for folder in found.parent.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
        for old in sorted(folders, key=lambda folder: folder.stat().st_mtime)[:-kept]:
            if old != found:
                shutil.rmtree(old, ignore_errors=True)
        if found.parent == self._folder:
            self._write_last_good(version)

    def _write_last_good(self, version: ModelVersion) -> None:
        partial = self._folder / f".{_LAST_GOOD}.{os.getpid()}"
        try:
            partial.write_text(version.to_json())
            partial.replace(self._folder / _LAST_GOOD)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            self.problem = error.strerror

    def last_good(self) -> tuple[ModelVersion, Path] | None:
        """Return the version that was served last and its folder; None if there is none or the record is damaged."""
        try:
            version = ModelVersion.from_json((self._folder / _LAST_GOOD).read_text())
        except (OSError, ValueError):
            return None
        folder = self._folder / _name(version)
        return (version, folder) if folder.is_dir() else None

    def _open(self, place: Path | None) -> Path:
        """Return the folder for versions at `place`: the cache's own, or a temporary one in `place`."""
        if place == self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._folder
        parent = place or Path(tempfile.gettempdir())
        if (opened := next((path for path in self._temporary_folders() if path.parent == parent), None)) is None:
            self._temporary.append(tempfile.TemporaryDirectory(prefix="pdm-models-", dir=parent))
            opened = Path(self._temporary[-1].name)
        return opened

    def _temporary_folders(self) -> Iterator[Path]:
        return (Path(temporary.name) for temporary in self._temporary)

    def _find(self, version: ModelVersion) -> Path | None:
        folders = (self._folder, *self._temporary_folders())
        places = (folder / _name(version) for folder in folders)
        return next((place for place in places if os.path.isdir(place)), None)  # noqa: PTH112  False without permission


def _name(version: ModelVersion) -> str:
    # A registry that was set up again counts from 1: the run id distinguishes its version 1 from the old one.
    return f"{version.version}-{version.run_id[:12]}"


def _move(downloaded: Path, target: Path) -> Path:
    try:
        return downloaded.replace(target)
    except OSError:
        if not target.is_dir():  # another worker may have downloaded it in the meantime
            raise
    return target
