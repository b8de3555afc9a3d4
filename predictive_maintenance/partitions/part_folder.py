"""The folder of a run's parts: Parquet files that are written once, and checked whenever they are read.

A result consists of tables and a record, which is written last. So a process that ends halfway leaves no result, and a
step that is repeated takes over the results that are complete.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..engine.engine import Engine
from ..errors import EngineError, PartError, SourceError
from ..ingestion.part_files import OutputFolder, open_output

_RECORD = "record.json"
_REACH = "reach"
_PACKAGE = Path(__file__).resolve().parents[1]
_HASH_CHARACTERS = 12
_STEPS = {"shuffle": "ingest"}  # folders that are not named after the step that writes them

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StoredTable:
    """A Parquet file in the folder of parts. `name` is its path there, which begins with the step that wrote it."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class PartFolder:
    """The folder at the path or URL `uri`. Any process that can read and write there can use it."""

    uri: str

    def __str__(self) -> str:
        return str(self._output)

    def read(self, stored: StoredTable, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows of a table, with all columns by default.

        Raises PartError that names the file, and the step to repeat, if the file is missing or was changed.
        """
        with self.local(stored) as path:
            table = pq.read_table(path, columns=None if columns is None else list(columns))
        return table.to_pandas(split_blocks=True, self_destruct=True)  # so that no column is in memory twice

    def location(self, stored: StoredTable) -> str:
        """The path or URL of a table."""
        return self._output.location(stored.name)

    def once(self, name: str, made_from: str, kind: type[T], make: Callable[["PartWriter"], T]) -> T:
        """The result `name`: what `make` returns after it has written the result's tables.

        If there is a result that was made from the same, and its files are intact, it is returned and nothing is made. `kind`
        is its type, which msgspec can encode. `made_from` identifies all that the result depends on.
        """
        if (former := self.finished(name, made_from, kind)) is not None:
            return former
        with self._output.workspace() as work:
            writer = PartWriter(self._output, name, Path(work))
            result = make(writer)
            record = Path(work, _RECORD)
            content = {"made_from": made_from, "tables": writer.tables, "result": result}
            record.write_bytes(msgspec.json.encode(content))
            self._output.put(f"{name}/{_RECORD}", record)
        return result

    def check_writable(self) -> None:
        """Raise SourceError unless this process can write here."""
        self._put_empty()
        self._output.delete(_REACH)

    def check_reach(self, engine: Engine) -> None:
        """Raise EngineError if the workers of `engine` do not see what this process writes here."""
        self._put_empty()
        ((_, is_there),) = engine.map(_is_there, self, [_REACH])
        if not is_there:
            raise EngineError(
                f"the workers do not see {self}, where the parts of the run are: set PDM_PARTS_FOLDER to a folder that this "
                "machine and all workers reach by the same name, such as s3://bucket/parts"
            )
        self._output.delete(_REACH)

    def delete(self, name: str) -> None:
        """Delete the results whose names begin with the folder `name`."""
        self._output.delete(name)

    def discard(self, stored: StoredTable) -> None:
        """Delete a temporary table."""
        self._output.delete(stored.name)

    def finished(self, name: str, made_from: str, kind: type[T]) -> T | None:
        """The result `name` that was made from the same, if there is one with intact files."""
        content = self._output.read(f"{name}/{_RECORD}")
        if content is None:
            return None
        try:
            record = msgspec.json.decode(content, type=_Record)
            if record.made_from != made_from:
                return None
            for stored in record.tables:
                with self.local(stored):
                    pass
            return msgspec.json.decode(record.result, type=kind)
        except (msgspec.DecodeError, PartError):
            return None  # damaged: it is made again

    @contextmanager
    def local(self, stored: StoredTable) -> Iterator[Path]:
        """The file of a table on this machine, until the end of the block. Raises PartError as `read` does."""
        try:
            with self._output.local(stored.name) as path:
                problem = _problem(path, stored)
                if problem is None:
                    yield path
        except SourceError as error:
            if error.transient:
                raise
            problem = f"cannot be read: {error}"
        if problem is not None:
            folder = stored.name.split("/", 1)[0]
            step = _STEPS.get(folder, folder)
            raise PartError(f"{self}/{stored.name}: {problem}: the step {step} wrote it, and has to be repeated", step)

    def _put_empty(self) -> None:
        with self._output.workspace() as work:
            path = Path(work, _REACH)
            path.write_bytes(b"")
            self._output.put(_REACH, path)

    @cached_property
    def _output(self) -> OutputFolder:
        return open_output(self.uri)

    def __getstate__(self) -> dict[str, Any]:
        """All but the connection to the storage."""
        return {"uri": self.uri}


class PartWriter:
    """Writes the tables of one result, named `name`, to the folder `output`. Files are complete before they appear there."""

    def __init__(self, output: OutputFolder, name: str, work: Path) -> None:
        self._output, self._name, self._work = output, name, work
        self.tables: list[StoredTable] = []

    def write(self, name: str, frame: pd.DataFrame, row_group_size: int | None = None) -> StoredTable:
        """Write one table, with so many rows in each row group, or with pyarrow's number."""
        stored = self.write_temporary(name, frame, row_group_size)
        self.tables.append(stored)
        return stored

    def write_temporary(self, name: str, frame: pd.DataFrame, row_group_size: int | None = None) -> StoredTable:
        """Write a table that the result does not need to be complete: it may be discarded."""
        path = self._work / "table.parquet"
        pq.write_table(arrow_table(frame), path, row_group_size=row_group_size)
        return self._moved(name, path, len(frame))

    def open(self, name: str) -> "TableAppender":
        """A table that is written in several calls."""
        return TableAppender(self, name, self._work / f"{name.replace('/', '-')}.parquet")

    def move(self, name: str, path: Path, rows: int) -> StoredTable:
        """Move a finished local file to its place."""
        stored = self._moved(name, path, rows)
        self.tables.append(stored)
        return stored

    def _moved(self, name: str, path: Path, rows: int) -> StoredTable:
        """Move a file to its place, which its hash is a part of: two runs at once never write one file."""
        sha256 = _sha256(path)
        size = path.stat().st_size
        full = f"{self._name}/{name}.{sha256[:_HASH_CHARACTERS]}.parquet"
        self._output.put(full, path)
        return StoredTable(name=full, rows=rows, bytes=size, sha256=sha256)


class TableAppender:
    """One table of a result that is written piece by piece, each a row group."""

    def __init__(self, writer: PartWriter, name: str, path: Path) -> None:
        self._writer, self._name, self._path = writer, name, path
        self._file: pq.ParquetWriter | None = None
        self._rows = 0

    def append(self, table: pa.Table) -> None:
        """Add rows. All calls have the same columns."""
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema)
        self._file.write_table(table)
        self._rows += table.num_rows

    def finish(self) -> StoredTable | None:
        """Move the table to its place. None if nothing was added."""
        if self._file is None:
            return None
        self._file.close()
        return self._writer.move(self._name, self._path, self._rows)


class _Record(msgspec.Struct, frozen=True):
    made_from: str
    tables: Sequence[StoredTable]
    result: msgspec.Raw


def _is_there(folder: PartFolder, name: str) -> bool:
    return folder._output.read(name) is not None


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """The rows as they are written to a file."""
    return pa.Table.from_pandas(frame, preserve_index=False)


def digest(*parts: Any) -> str:
    """A hash of the code of this package and of values that msgspec can encode, independent of the process."""
    content = hashlib.sha256(_code())
    for part in parts:
        content.update(hashlib.sha256(msgspec.json.encode(part, order="deterministic")).digest())
    return content.hexdigest()


@cache
def _code() -> bytes:
    """A hash of this package's modules: a step that is resumed after a change of the code takes nothing over."""
    content = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        content.update(path.relative_to(_PACKAGE).as_posix().encode() + path.read_bytes())
    return content.digest()


def _problem(path: Path, stored: StoredTable) -> str | None:
    """Why a file is not the one that was written; None if it is."""
    if not path.is_file():
        return "is missing"
    if (size := path.stat().st_size) != stored.bytes:
        return f"is damaged: it has {size:,} bytes instead of {stored.bytes:,}"
    return None if _sha256(path) == stored.sha256 else "is damaged: its content was changed"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
