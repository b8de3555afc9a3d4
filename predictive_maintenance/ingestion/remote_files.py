"""Check, list and download the files of a URL through fsspec: S3, Azure, Google Cloud Storage and the web."""

import asyncio
import glob
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Self, cast

from ..config.uris import redact, redact_text, scheme_of
from ..errors import SourceError
from .patterns import name_start
from .remote_errors import remote_errors
from .remote_stores import CHECK_SECONDS, StoreKind, download_seconds, store_kind


@dataclass(frozen=True)
class RemoteStore:
    """A connection to the storage of a URL.

    The methods take `uri`, which names and errors show without secrets, and `url`, which is `uri` with its ${NAME}
    replaced. They raise SourceError.
    """

    kind: StoreKind
    files: Any  # fsspec.asyn.AsyncFileSystem

    @classmethod
    def connect(cls, uri: str, url: str, endpoint_url: str | None = None) -> Self:
        """Prepare the connection to the storage of `url`. Nothing is sent yet."""
        import fsspec

        kind = store_kind(url)
        assert kind is not None, scheme_of(url)
        for name, value in kind.environment.items():
            os.environ.setdefault(name, value)
        try:
            implementation = fsspec.get_filesystem_class(scheme_of(url))
        except ImportError as error:
            raise SourceError(f"{redact(uri)}: {kind.install or error}") from None
        with remote_errors(uri, kind):
            options = {**kind.options(endpoint_url), **implementation._get_kwargs_from_urls(url)}
            # No cached connection and no cached listing, because settings and files change.
            return cls(kind, implementation(**options, skip_instance_cache=True, use_listings_cache=False))

    def check(self, uri: str, url: str) -> None:
        """Check that `url` names at least one file, without reading it."""
        path = self._path(uri, url)
        if self._is_pattern(uri, path):
            self._matches(uri, path)
        else:
            self._check_file(uri, path)

    def download(self, uri: str, url: str, target: Path) -> Iterator[str]:
        """Download the files of `url` to `target`, each in place of the former. Yield the name of each."""
        path = self._path(uri, url)
        is_pattern = self._is_pattern(uri, path)
        for found in self._matches(uri, path) if is_pattern else [path]:
            self._run(uri, download_seconds(), self.files._get_file, found, str(target))
            yield redact_text(self.files.unstrip_protocol(found), uri) if is_pattern else redact(uri)

    def named_files(self, uri: str, url: str) -> Iterator[tuple[str, str, str]]:
        """Of each file of `url`: its name, see PartFile, its URL, and its fingerprint, which differs if its content differs."""
        path = self._path(uri, url)
        is_pattern, found = self._found(uri, path)
        start = name_start(self._without_query(path), is_pattern)
        for key, entry in found.items():
            yield self._without_query(key)[start:], self.files.unstrip_protocol(key), _fingerprint(entry)

    def listed(self, uri: str, url: str) -> Iterator[tuple[str, str, str, int]]:
        """Of each file of `url`: its name, as `download` yields it, its URL, its fingerprint, and its bytes, 0 if not known."""
        is_pattern, found = self._found(uri, self._path(uri, url))
        for key, entry in found.items():
            full = self.files.unstrip_protocol(key)
            name = redact_text(full, uri) if is_pattern else redact(uri)
            yield name, full, _fingerprint(entry), int(entry.get("size") or 0)

    def get(self, uri: str, url: str, target: Path) -> None:
        """Download the file `url`, in which nothing is a wildcard, to `target`."""
        self._run(uri, download_seconds(), self.files._get_file, self._path(uri, url), str(target))

    def put(self, uri: str, url: str, source: Path) -> None:
        """Upload the file `source` to `url`."""
        self._run(uri, download_seconds(), self.files._put_file, str(source), self._path(uri, url))

    def delete(self, uri: str, url: str) -> None:
        """Delete all files below the folder `url`, if there are any."""
        self._run(uri, download_seconds(), self._delete, self._path(uri, url))

    def folders(self, uri: str, url: str) -> list[str]:
        """The names of the folders in the folder `url`; none if there is no such folder."""
        entries = self._run(uri, CHECK_SECONDS, self._entries, self._path(uri, url))
        return sorted(PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == "directory")

    def files_below(self, uri: str, url: str) -> list[tuple[int, datetime]]:
        """The bytes of each file below the folder `url`, and when it was written."""
        found = self._run(uri, download_seconds(), self.files._find, self._path(uri, url), detail=True)
        return [(int(entry["size"]), _written(entry)) for entry in dict(found).values()]

    def fingerprint(self, uri: str, url: str) -> str | None:
        """A text that differs if the content of the file `url` differs; None if there is no such file."""
        entry = self._run(uri, CHECK_SECONDS, self._file_entry, self._path(uri, url))
        return None if entry is None else _fingerprint(entry)

    def read(self, uri: str, url: str) -> bytes | None:
        """The content of the file `url`; None if there is none."""
        return cast(bytes | None, self._run(uri, CHECK_SECONDS, self._content, self._path(uri, url)))

    def tail(self, uri: str, url: str, size: int, count: int) -> bytes:
        """The last `count` bytes of the file `url`, which has `size` bytes."""
        path = self._path(uri, url)
        return cast(
            bytes, self._run(uri, CHECK_SECONDS, self.files._cat_file, path, start=max(size - count, 0), end=size)
        )

    @contextmanager
    def open(self, uri: str, url: str) -> Iterator[Any]:
        """The file `url` as a stream that reads only what is asked for."""
        with remote_errors(uri, self.kind), self.files.open(self._path(uri, url)) as stream:
            yield stream

    async def _delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            await self.files._rm(path, recursive=True)

    async def _entries(self, path: str) -> list[Any]:
        try:
            return cast(list[Any], await self.files._ls(path, detail=True))
        except FileNotFoundError:
            return []

    async def _content(self, path: str) -> bytes | None:
        try:
            return cast(bytes, await self.files._cat_file(path))
        except FileNotFoundError:
            return None

    def _path(self, uri: str, url: str) -> str:
        """`url` as fsspec names it: a web address, or bucket and key."""
        path = str(self.files._strip_protocol(url))
        bucket, _, key = path.partition("/")
        if not self.kind.is_web and not (bucket and key.strip("/")):
            raise SourceError(f"{redact(uri)}: not of the form {self.kind.form}")
        return path

    def _without_query(self, path: str) -> str:
        """The path of a web address, without a slash at its end: the part of it that names the file. Else `path` as it is."""
        return path.partition("?")[0].rstrip("/") if self.kind.is_web else path

    def _is_pattern(self, uri: str, path: str) -> bool:
        """Whether `path` has wildcards and is not itself the path of a file. A web server lists no files."""
        if self.kind.is_web or not glob.has_magic(path):
            return False
        return self._run(uri, CHECK_SECONDS, self._file_entry, path) is None

    def _found(self, uri: str, path: str) -> tuple[bool, dict[str, Any]]:
        """Whether `path` is a pattern, and what the storage says of each of its files."""
        is_pattern = self._is_pattern(uri, path)
        return is_pattern, self._matches(uri, path) if is_pattern else {path: self._check_file(uri, path)}

    async def _file_entry(self, path: str) -> Any:
        """What the storage says of a file; None if there is no such file."""
        try:
            entry = await self.files._info(path)
        except FileNotFoundError:
            return None
        return entry if entry["type"] == "file" else None

    def _matches(self, uri: str, path: str) -> dict[str, Any]:
        """The files that a pattern names, in the order of their names, with what the storage says of each."""
        found = self._run(uri, CHECK_SECONDS, self.files._glob, path, detail=True)
        files = {name: entry for name, entry in sorted(found.items()) if entry["type"] == "file"}
        if not files:
            raise SourceError(f"{redact(uri)}: no file matches")
        return files

    def _check_file(self, uri: str, path: str) -> Any:
        entry = self._run(uri, CHECK_SECONDS, self.files._info, path)
        if entry["type"] == "directory":
            folder = redact(uri).rstrip("/")
            raise SourceError(f"{redact(uri)}: is a folder; name its files, for example {folder}/*.csv")
        return entry

    def _run(self, uri: str, seconds: float, work: Callable[..., Awaitable[Any]], *given: Any, **options: Any) -> Any:
        """The result of `work(*given, **options)`, which is ended after `seconds`."""
        from fsspec.asyn import sync

        async def limited() -> Any:
            try:
                async with asyncio.timeout(seconds) as limit:
                    return await work(*given, **options)
            except TimeoutError:
                if limit.expired():
                    raise TimeoutError(f"not finished after {seconds:g} s") from None
                raise

        with remote_errors(uri, self.kind):
            return sync(self.files.loop, limited)


def _written(entry: Any) -> datetime:
    """When a file was written, as S3, Azure and Google Cloud Storage say it."""
    return cast(datetime, next(entry[name] for name in ("LastModified", "last_modified", "mtime") if entry.get(name)))


def _fingerprint(entry: Any) -> str:
    """What the storage says of a file's content: its size, and a hash or the time of its last change.

    A web server may say the size only.
    """
    hashes = ("ETag", "etag", "md5Hash", "Content-MD5", "Digest")
    names = (*hashes, "LastModified", "last_modified", "mtime", "Last-Modified")
    content = next((str(entry[name]) for name in names if entry.get(name)), "")
    return f"{entry.get('size')} bytes, {content}"
