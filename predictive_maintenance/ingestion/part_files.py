"""The files that a data set consists of, and the folder that results are written to: local, or in remote storage."""

import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Protocol, Self

from ..config.uris import expand, redact, redact_text, scheme_of
from ..errors import SourceError
from .locations import local_paths
from .patterns import name_start
from .remote_files import RemoteStore
from .remote_stores import store_kind


@dataclass(frozen=True, kw_only=True)
class PartFile:
    """One file. `uri` is what the user gave, in which ${NAME} stands for secrets, and `url` the file itself.

    `name` is its path below the folder in which `uri` has its first wildcard; without one, its own name. `fingerprint` differs if
    the content differs. It is made from size and time of change, or from what the storage says about the content.
    """

    uri: str
    url: str
    name: str
    fingerprint: str

    def __str__(self) -> str:
        """The file for display, without secrets."""
        return redact_text(self.url, self.uri)


@dataclass(frozen=True, kw_only=True)
class FolderSize:
    """The number of files in a folder and below it, their bytes, and when the last one was written."""

    files: int
    bytes: int
    written: datetime

    @classmethod
    def of(cls, files: Sequence[tuple[int, datetime]]) -> Self | None:
        """The size of files with so many bytes, written at these times; None without files."""
        if not files:
            return None
        sizes, times = zip(*files, strict=True)
        return cls(files=len(files), bytes=sum(sizes), written=max(times))


class OutputFolder(Protocol):
    """A folder that files are written to. A file appears when it is complete, in place of one with the same name."""

    def location(self, name: str) -> str:
        """The URL of a file, as PartFile has it."""
        ...

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none. Raises SourceError."""
        ...

    def fingerprint(self, name: str) -> str | None:
        """A text that differs if the content of a file differs, as PartFile has it; None if there is none. Raises SourceError."""
        ...

    def local(self, name: str) -> AbstractContextManager[Path]:
        """A file on this machine: itself, or a download that is deleted at the end of the block. Raises SourceError."""
        ...

    def put(self, name: str, file: Path) -> None:
        """Move a local file there. Raises SourceError."""
        ...

    def delete(self, name: str) -> None:
        """Delete the file or the folder `name` in it, if there is one. Raises SourceError."""
        ...

    def folders(self) -> list[str]:
        """The names of the folders in it; none if there is no such folder. Raises SourceError."""
        ...

    def size(self, name: str) -> FolderSize | None:
        """The size of the folder `name` in it; None if it has no files. Raises SourceError."""
        ...

    def workspace(self) -> tempfile.TemporaryDirectory[str]:
        """A folder on this machine for files that are not complete."""
        ...


def list_parts(uris: Sequence[str]) -> list[PartFile]:
    """The files that paths, patterns and URLs of remote storage name, in the order of their names.

    Raises SourceError if one names no file, or if two files would have the same name.
    """
    found: dict[str, PartFile] = {}
    for uri in uris:
        for part in _files(uri):
            found.setdefault(part.url, part)
    parts = sorted(found.values(), key=lambda part: part.name)
    for part, following in pairwise(parts):
        if part.name == following.name:
            raise SourceError(
                f"{part} and {following}: both would have the result {part.name}: give one command for each, or one pattern in "
                "quotes that has its first wildcard where they differ, such as 'plants/*/readings.csv'"
            )
    return parts


def _files(uri: str) -> Iterator[PartFile]:
    """The files of one URI."""
    resolved = expand(uri)
    if store_kind(resolved):
        for name, url, fingerprint in RemoteStore.connect(uri, resolved).named_files(uri, resolved):
            yield PartFile(uri=uri, url=url, name=name, fingerprint=fingerprint)
        return
    if scheme_of(resolved):
        raise SourceError(
            f"{redact(uri)}: neither a file nor in remote storage: give files, or s3://, abfs://, gs://, https://"
        )
    paths = local_paths(resolved)
    given = Path(resolved).expanduser()
    start = name_start(str(given), is_pattern=not given.is_file())
    for path in paths:
        yield PartFile(uri=uri, url=str(path.absolute()), name=str(path)[start:], fingerprint=_local_fingerprint(path))


def _local_fingerprint(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} bytes, {status.st_mtime_ns}"


def _local_files(folder: Path) -> Iterator[tuple[int, datetime]]:
    """The bytes of each file below a folder, and when it was written. Another process may delete files meanwhile."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)


@contextmanager
def local_copy(part: PartFile) -> Iterator[Path]:
    """The file on this machine: itself, or a download that is deleted at the end of the block."""
    if not store_kind(part.url):
        yield Path(part.url)
        return
    with tempfile.TemporaryDirectory(prefix="pdm-part-") as folder:
        target = Path(folder, PurePosixPath(part.name).name)
        RemoteStore.connect(part.uri, part.url).get(
            str(part), part.url, target
        )  # an error names the file, not a pattern
        yield target


def open_output(uri: str) -> OutputFolder:
    """The folder at a path, or at a URL of remote storage. Raises SourceError if it cannot be one."""
    resolved = expand(uri)
    kind = store_kind(resolved)
    if kind is None and not scheme_of(resolved):
        return _LocalFolder(Path(resolved).expanduser())
    if kind is None or kind.is_web:
        raise SourceError(f"{redact(uri)}: results cannot be written there: give a folder, or s3://, abfs://, gs://")
    return _RemoteFolder(uri.rstrip("/"), resolved.rstrip("/"))


@dataclass(frozen=True)
class _LocalFolder:
    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def location(self, name: str) -> str:
        return str((self.folder / name).absolute())

    def read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(f"{self.folder / name}: cannot be read: {error.strerror or error}") from None

    def fingerprint(self, name: str) -> str | None:
        path = self.folder / name
        return _local_fingerprint(path) if path.is_file() else None

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        yield self.folder / name

    def put(self, name: str, file: Path) -> None:
        target = self.folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
        except OSError as error:
            raise SourceError(f"{target}: cannot be written: {error.strerror or error}") from None

    def delete(self, name: str) -> None:
        # Another process may delete the same files.
        target = self.folder / name
        if target.is_file():
            target.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)

    def folders(self) -> list[str]:
        try:
            return sorted(path.name for path in self.folder.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SourceError(f"{self.folder}: cannot be read: {error.strerror or error}") from None

    def size(self, name: str) -> FolderSize | None:
        return FolderSize.of(list(_local_files(self.folder / name)))

    def workspace(self) -> tempfile.TemporaryDirectory[str]:
        """In the folder itself, since a file can be moved at once only within one file system."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryDirectory(prefix=".unfinished-", dir=self.folder)
        except OSError as error:
            raise SourceError(f"{self.folder}: cannot be written: {error.strerror or error}") from None


@dataclass(frozen=True)
class _RemoteFolder:
    uri: str
    url: str

    def __str__(self) -> str:
        return redact(self.uri)

    def location(self, name: str) -> str:
        return f"{self.url}/{name}"

    def read(self, name: str) -> bytes | None:
        return self._store.read(f"{self.uri}/{name}", f"{self.url}/{name}")

    def fingerprint(self, name: str) -> str | None:
        return self._store.fingerprint(f"{self.uri}/{name}", f"{self.url}/{name}")

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with self.workspace() as folder:
            target = Path(folder, PurePosixPath(name).name)
            self._store.get(f"{self.uri}/{name}", f"{self.url}/{name}", target)
            yield target

    def put(self, name: str, file: Path) -> None:
        self._store.put(f"{self.uri}/{name}", f"{self.url}/{name}", file)

    def delete(self, name: str) -> None:
        self._store.delete(f"{self.uri}/{name}", f"{self.url}/{name}")

    def folders(self) -> list[str]:
        return self._store.folders(self.uri, self.url)

    def size(self, name: str) -> FolderSize | None:
        return FolderSize.of(self._store.files_below(f"{self.uri}/{name}", f"{self.url}/{name}"))

    def workspace(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="pdm-part-")

    @cached_property
    def _store(self) -> RemoteStore:
        return RemoteStore.connect(self.uri, self.url)
