"""Check and fetch sources by their URI: local files, DVC, remote storage, databases, simulators and the service's store."""

import glob
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from ..config.sources import RemoteCopy, Source
from ..config.uris import expand, redact, redact_text, scheme_of
from ..errors import SourceError
from ..machine.machine import Machine
from ..machine.table_format import TableFormat
from .databases import check_database, read_database
from .dvc import dvc_file_of, dvc_md5, md5_of, remote_copy
from .remote_files import RemoteStore
from .remote_stores import store_kind
from .service_store import check_store, stored_tables
from .simulation import check_simulation, simulated_tables
from .table_reader import TableFile

_CHUNK_BYTES = 2**20

SEVERAL_TABLES = ("simulator", "store")
"""Schemes of sources that have several tables of the description."""


@dataclass(frozen=True, kw_only=True)
class FetchedTable:
    """A fetched file or table and its lineage.

    `name` contains no secret. `bytes` is None for a table, `dvc_md5` for a file that DVC does not track. `table_name` is the
    table of the description that it is; None: the one that the source names.
    """

    name: str
    table: TableFile | pa.Table
    sha256: str
    bytes: int | None
    dvc_md5: str | None = None
    table_name: str | None = None


def check(source: Source, machine: Machine) -> None:
    """Raise SourceError with the reason unless `source` can be reached. Reads as little as possible.

    `machine` has the parts of the files' format that cannot be detected, and the simulator.
    """
    with _redacted_errors(source.uri):
        _check(source, machine)


def _check(source: Source, machine: Machine) -> None:
    if source.copies:
        _check_copies(source.copies)
        return
    uri = source.uri
    resolved = expand(uri)
    scheme = scheme_of(resolved)
    if scheme == "simulator":
        check_simulation(resolved, machine)
    elif scheme == "store":
        check_store(resolved, machine)
    elif store_kind(resolved):
        RemoteStore.connect(uri, resolved).check(uri, resolved)
    elif scheme:
        check_database(uri, resolved)
    else:
        for path in local_paths(resolved):
            TableFile.open(path, str(path), written=machine.description.format)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a source; or all of a database's rows or of a simulator's tables, for which `url` is None.

    `place` is the source's place among those of the run. `name` contains no secret; `url` may. `fingerprint` differs if the
    content differs; it is empty where the content is not known. `bytes` is the size of the file.
    """

    source: Source
    place: int
    name: str
    url: str | None = None
    fingerprint: str = ""
    bytes: int = 0
    copy: RemoteCopy | None = None

    def __str__(self) -> str:
        return self.name


def list_files(source: Source, place: int) -> list[SourceFile]:
    """The files of `source`, in the order in which `fetch` fetches them. Raises SourceError if it names none."""
    uri, resolved = source.uri, expand(source.uri)
    with _redacted_errors(uri):
        if source.copies:
            return [
                SourceFile(source=source, place=place, name=copy.path, url=copy.url, fingerprint=copy.md5, copy=copy)
                for copy in source.copies
            ]
        if store_kind(resolved):
            store = RemoteStore.connect(uri, resolved)
            return [
                SourceFile(source=source, place=place, name=name, url=url, fingerprint=fingerprint, bytes=size)
                for name, url, fingerprint, size in store.listed(uri, resolved)
            ]
        if scheme_of(resolved):
            return [SourceFile(source=source, place=place, name=redact(uri))]
        return [_local_file(path, source, place) for path in local_paths(resolved)]


def _local_file(path: Path, source: Source, place: int) -> SourceFile:
    status = path.stat()
    return SourceFile(
        source=source,
        place=place,
        name=redact_text(str(path), source.uri),
        url=str(path.absolute()),
        fingerprint=f"{status.st_size} bytes, {status.st_mtime_ns}",
        bytes=status.st_size,
    )


@contextmanager
def fetch_file(file: SourceFile, machine: Machine, most_rows: int) -> Iterator[Iterator[FetchedTable]]:
    """Fetch one file, or all tables of a simulator. A download is deleted at the end of the block.

    Raises SourceError if a query has more than `most_rows`, which are in memory.
    """
    if file.url is None:
        with fetch(file.source, machine, most_rows) as tables:
            yield tables
        return
    with tempfile.TemporaryDirectory(prefix="pdm-ingest-") as folder, _redacted_errors(file.source.uri):
        yield _fetch_one(file, file.url, Path(folder, "download"), machine.description.format)


def _fetch_one(file: SourceFile, url: str, target: Path, written: TableFormat | None) -> Iterator[FetchedTable]:
    if file.copy:
        yield from _fetch_copies((file.copy,), target, written)
    elif store_kind(url):
        RemoteStore.connect(file.source.uri, url).get(file.source.uri, url, target)
        yield _fetched_file(target, file.name, written)
    else:
        yield _fetched_file(Path(url), file.name, written, dvc_md5(Path(url)))


@contextmanager
def fetch(source: Source, machine: Machine, most_rows: int | None = None) -> Iterator[Iterator[FetchedTable]]:
    """Fetch the files or tables of `source`, one after the other. Downloads are deleted at the end of the block.

    `machine` has the parts of the files' format that cannot be detected, and the simulator. A query may have
    `most_rows`; by default, any number.
    """
    with tempfile.TemporaryDirectory(prefix="pdm-ingest-") as folder:
        if source.copies:
            yield _fetch_copies(source.copies, Path(folder, "download"), machine.description.format)
        else:
            yield _fetch_uri(source.uri, Path(folder), machine, most_rows)


def _check_copies(copies: Sequence[RemoteCopy]) -> None:
    store = _remote_of(copies)
    for copy in copies:
        try:
            store.check(copy.url, copy.url)
        except SourceError as error:
            text = f"{copy.path}: not in the DVC remote; run `dvc push` ({error})"
            raise SourceError(text, transient=error.transient) from None


def _fetch_copies(copies: Sequence[RemoteCopy], target: Path, written: TableFormat | None) -> Iterator[FetchedTable]:
    store = _remote_of(copies)
    for copy in copies:
        for _ in store.download(copy.url, copy.url, target):
            if (found := md5_of(target)) != copy.md5:
                raise SourceError(f"{copy.path}: the file in the DVC remote is damaged: {copy.url} has the md5 {found}")
            yield _fetched_file(target, copy.path, written, copy.dvc_md5)


def _remote_of(copies: Sequence[RemoteCopy]) -> RemoteStore:
    """The connection to the DVC remote, which is the same for all copies of a source."""
    return RemoteStore.connect(copies[0].url, copies[0].url, copies[0].endpoint_url)


def _fetch_uri(uri: str, folder: Path, machine: Machine, most_rows: int | None) -> Iterator[FetchedTable]:
    with _redacted_errors(uri):
        yield from _fetch_resolved(uri, expand(uri), folder, machine, most_rows)


def _fetch_resolved(
    uri: str, resolved: str, folder: Path, machine: Machine, most_rows: int | None
) -> Iterator[FetchedTable]:
    scheme, name, written = scheme_of(resolved), redact(uri), machine.description.format
    if scheme in SEVERAL_TABLES:
        is_store = scheme == "store"
        tables = stored_tables(resolved, machine, folder) if is_store else simulated_tables(resolved, machine)
        for table_name, table in tables.items():
            if isinstance(table, Path):
                yield replace(_fetched_file(table, name, None), bytes=None, table_name=table_name)
            else:
                yield replace(_fetched_table(name, table), table_name=table_name)
    elif store_kind(resolved):
        target = folder / "download"
        for name in RemoteStore.connect(uri, resolved).download(uri, resolved, target):
            yield _fetched_file(target, name, written)
    elif scheme:
        yield _fetched_table(name, read_database(uri, resolved, most_rows))
    else:
        for path in local_paths(resolved):
            yield _fetched_file(path, redact_text(str(path), uri), written, dvc_md5(path))


def remote_copies(uri: str) -> tuple[RemoteCopy, ...]:
    """Find the copies in the DVC remote of the local files that `uri` names, and check that they exist.

    Empty if DVC does not track all of the files. Raises SourceError for a copy that other machines cannot read.
    """
    path = Path(expand(uri)).expanduser()
    with _redacted_errors(uri):
        paths = [path] if dvc_file_of(path).is_file() else local_paths(expand(uri))
        found = tuple(copy for path in paths if (copy := remote_copy(path)))
        found = tuple(copy.model_copy(update={"path": redact_text(copy.path, uri)}) for copy in found)
        if found:
            _check_copies(found)
    return found if len(found) == len(paths) else ()


def local_paths(text: str) -> list[Path]:
    """The files that a path or a pattern names. Raises SourceError if there is none."""
    try:
        return _matching_paths(text)
    except (OSError, RuntimeError) as error:  # name too long, no permission, or ~ of an unknown user
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{text}: cannot be read: {reason}") from None


def _matching_paths(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; name its files, for example {path / '*.csv'}")
    found = glob.glob(str(path), recursive=True)  # noqa: PTH207  Path.glob rejects absolute patterns
    matches = sorted(Path(match) for match in found if Path(match).is_file())
    if not matches:
        problem = "no file matches" if glob.has_magic(text) else "no such file"
        tracked = dvc_file_of(path).is_file()
        hint = f"; DVC tracks it: run `dvc pull {path}`" if tracked else f" (in {Path.cwd()})"
        raise SourceError(f"{path}: {problem}{hint}")
    return matches


@contextmanager
def _redacted_errors(uri: str) -> Iterator[None]:
    """Remove from a SourceError in the block what `uri` must not show: parts of a secret, and the values of its ${NAME}."""
    try:
        yield
    except SourceError as error:
        raise SourceError(redact_text(str(error), uri), transient=error.transient) from None


def _fetched_file(path: Path, name: str, written: TableFormat | None, md5: str | None = None) -> FetchedTable:
    table = TableFile.open(path, name, written=written)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return FetchedTable(name=name, table=table, sha256=digest.hexdigest(), bytes=path.stat().st_size, dvc_md5=md5)


def _fetched_table(name: str, table: pa.Table) -> FetchedTable:
    """A table with the hash of its Arrow stream. Without metadata, so that equal rows have equal hashes."""
    digest = hashlib.sha256()
    table = table.replace_schema_metadata(None).combine_chunks()

    class _Hash:
        closed = False

        def write(self, data: bytes) -> int:
            digest.update(data)
            return len(data)

        def flush(self) -> None: ...

        def close(self) -> None: ...

    with pa.ipc.new_stream(pa.PythonFile(_Hash(), mode="w"), table.schema) as stream:
        stream.write_table(table)
    return FetchedTable(name=name, table=table, sha256=digest.hexdigest(), bytes=None)
