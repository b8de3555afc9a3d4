"""Read a file of a source in pieces, and divide its rows among the parts.

Each part gets a file for each file of the sources that has rows of it, in their order. Memory holds one piece of the file at a
time.
"""

import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from ..config.sources import READINGS, Source
from ..errors import SourceError
from ..ingestion.ingest import Piece, check_table, numbered_rows, read_pieces
from ..ingestion.locations import SourceFile, fetch_file
from ..ingestion.merging import Ingested, SourceRecord, TableShape
from ..machine.machine import Machine
from ..machine.machine_json import to_json
from ..machine.names import MACHINE_ID, READING_ID
from ..validation.parsing import fault_table
from ..validation.quarantine import QUARANTINE_COLUMNS
from .part_folder import PartFolder, PartWriter, StoredTable, TableAppender, arrow_table, digest
from .planning import BUCKETS_PER_PART, LARGEST_MACHINE, PartNumbers, bucket_numbers, part_column

PIECE_ROWS = 500_000
"""The rows of a file that are in memory at a time."""

_FILES_PER_PART = 3 * 5  # good rows, faults and quarantine, of readings and of some tables of events
_OTHER_FILES = 256


@dataclass(frozen=True, kw_only=True)
class StoredRows:
    """Parsed rows: those that are well-formed, their faults, and the quarantine of the others. None: there are none."""

    frame: StoredTable
    faults: StoredTable | None
    quarantined: StoredTable | None

    @property
    def rows(self) -> int:
        """All rows, with those in quarantine."""
        return self.frame.rows + (self.quarantined.rows if self.quarantined else 0)

    def load(self, folder: PartFolder) -> Ingested:
        """The rows, without records."""
        return Ingested(
            frame=folder.read(self.frame),
            faults=folder.read(self.faults) if self.faults else fault_table(),
            quarantined=folder.read(self.quarantined) if self.quarantined else _no_quarantine(),
            records=(),
        )


@dataclass(frozen=True, kw_only=True)
class FileTable:
    """What is known of the rows of a file that belong to one table.

    `place` is the source's place among those of the run. `column` is the one by which the rows were divided; `parts` are the
    rows of each part, None if it has none, and empty if they were not divided. `schema` is the Arrow schema of the rows, which
    parts without rows need. `buckets` has the rows in each bucket that has any.
    """

    place: int
    record: SourceRecord
    shape: TableShape
    lacks_ids: bool
    column: str | None = None
    parts: tuple[StoredRows | None, ...] = ()
    schema: bytes = b""
    buckets: StoredTable | None = None

    def rows_of(self, number: int) -> int:
        """The number of well-formed rows of a part."""
        stored = self.parts[number]
        return stored.frame.rows if stored else 0

    def load(self, folder: PartFolder, number: int) -> Ingested:
        """The rows of a part."""
        stored = self.parts[number]
        rows = replace(stored.load(folder) if stored else self._no_rows(), records=(self.record,))
        return numbered_rows(rows) if self.lacks_ids else rows

    def _no_rows(self) -> Ingested:
        """No rows, with the types of those of the file."""
        empty = pa.ipc.read_schema(pa.py_buffer(self.schema)).empty_table()
        return Ingested(frame=empty.to_pandas(), faults=fault_table(), quarantined=_no_quarantine(), records=())


@dataclass(frozen=True, kw_only=True)
class ReadingJob:
    """What reading each file needs.

    The rows are divided into `parts` of about `rows_per_part`, by hashes or by a `plan`: the part of each bucket.
    """

    folder: PartFolder
    machine: Machine
    sources: tuple[Source, ...]
    files: tuple[SourceFile, ...]
    parts: int
    rows_per_part: int
    plan: tuple[int, ...] | None = None

    @cached_property
    def digest(self) -> str:
        """A hash of all that the rows of the parts depend on."""
        files = [(file.place, file.name, file.fingerprint) for file in self.files]
        settings = [source.model_dump_json() for source in self.sources]
        return digest(to_json(self.machine), settings, files, self.parts)


def read_whole(job: ReadingJob, file: SourceFile) -> list[tuple[FileTable, Ingested]]:
    """All rows of a file by table."""
    found = []
    for piece in _pieces(job, file, None):
        rows = numbered_rows(piece.rows) if piece.lacks_ids else piece.rows
        table = FileTable(
            place=file.place, record=rows.records[0], shape=TableShape.of(rows), lacks_ids=piece.lacks_ids
        )
        found.append((table, rows))
    return found


def divide(job: ReadingJob, number: int) -> list[FileTable]:
    """Write the rows of a file for each part. Raises SourceError that names the file and the column."""
    return job.folder.once(
        f"shuffle/{number:05d}" if job.plan is None else f"shuffle/planned/{number:05d}",
        digest(job.digest, number, job.plan),
        list[FileTable],
        lambda writer: list(_divided(job, job.files[number], writer)),
    )


def _divided(job: ReadingJob, file: SourceFile, writer: PartWriter) -> Iterator[FileTable]:
    _allow_open_files(job.parts * _FILES_PER_PART + _OTHER_FILES)
    tables: dict[str, _DividedTable] = {}
    for piece in _pieces(job, file, PIECE_ROWS):
        name = piece.rows.records[0].table
        if name not in tables:
            tables[name] = _DividedTable(job, name, writer)
        tables[name].add(piece)
    for table in tables.values():
        yield table.finish(file.place)


def _allow_open_files(count: int) -> None:
    """Let this process have so many open files, as far as the system allows it: 1,024 is a usual limit at first."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < count:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (count if most == resource.RLIM_INFINITY else min(count, most), most)
        )


def _pieces(job: ReadingJob, file: SourceFile, piece_rows: int | None) -> Iterator[Piece]:
    check_table(file.source, job.machine)
    with fetch_file(file, job.machine, LARGEST_MACHINE * job.rows_per_part) as tables:
        for fetched in tables:
            table = fetched.table_name or file.source.table
            try:
                yield from read_pieces(fetched, file.source, file.place, job.machine, table, piece_rows)
            except SourceError as error:
                text = str(error) if fetched.name in str(error) else f"{fetched.name}: {error}"
                raise SourceError(text, transient=error.transient) from None


class _DividedTable:
    """The rows of one table of a file, which are written to a file for each part."""

    def __init__(self, job: ReadingJob, name: str, writer: PartWriter) -> None:
        self._job, self._name, self._writer = job, name, writer
        self._plan = np.arange(job.parts * BUCKETS_PER_PART) % job.parts if job.plan is None else np.array(job.plan)
        self._rows = np.zeros(len(self._plan), dtype=np.int64)
        self._appenders = [_PartAppender(writer, f"{name}/{number:05d}") for number in range(job.parts)]
        self._schema = b""
        self._pieces: list[tuple[SourceRecord, TableShape, bool]] = []
        self._column: str | None = None

    def add(self, piece: Piece) -> None:
        rows = piece.rows
        self._column = self._part_column(rows)
        buckets = self._buckets(rows.frame)
        self._rows += np.bincount(buckets, minlength=len(self._rows))
        numbers = self._plan[buckets]
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(self._job.parts + 1))
        table = arrow_table(rows.frame.iloc[order])
        self._schema = self._schema or table.schema.serialize().to_pybytes()
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        fault_places = place[rows.faults["position"]]
        for number, appender in enumerate(self._appenders):
            first, end = bounds[number], bounds[number + 1]
            own = (fault_places >= first) & (fault_places < end)
            faults = rows.faults[own].assign(position=fault_places[own] - first)
            # A malformed row has no cells, so it belongs to no machine.
            quarantined = rows.quarantined if number == 0 else rows.quarantined.head(0)
            appender.add(table.slice(first, end - first), faults, quarantined)
        self._pieces.append((rows.records[0], TableShape.of(rows), piece.lacks_ids))

    def finish(self, place: int) -> FileTable:
        records, shapes, lack_ids = zip(*self._pieces, strict=True)
        shape = shapes[0]
        for other in shapes[1:]:
            shape += other
        return FileTable(
            place=place,
            record=replace(records[0], rows=sum(record.rows for record in records)),
            shape=shape,
            lacks_ids=lack_ids[0],
            column=self._column,
            parts=tuple(appender.finish() for appender in self._appenders),
            schema=self._schema,
            buckets=self._writer.write(f"{self._name}/buckets", self._filled_buckets()),
        )

    def _part_column(self, rows: Ingested) -> str | None:
        if self._name != READINGS:
            return MACHINE_ID
        if rows.records[0].merge == "join":
            return READING_ID
        return part_column(rows.frame.columns, self._job.machine)

    def _buckets(self, frame: pd.DataFrame) -> PartNumbers:
        if self._column is None or self._column not in frame:
            return np.zeros(len(frame), dtype=np.int64)
        return bucket_numbers(frame[self._column], self._job.parts)

    def _filled_buckets(self) -> pd.DataFrame:
        filled = np.flatnonzero(self._rows)
        return pd.DataFrame({"bucket": filled, "rows": self._rows[filled]})


class _PartAppender:
    """The rows of a part, piece by piece."""

    def __init__(self, writer: PartWriter, name: str) -> None:
        self._frame, self._faults, self._quarantined = (
            writer.open(f"{name}/{kind}") for kind in ("rows", "faults", "quarantine")
        )
        self._rows = 0

    def add(self, rows: pa.Table, faults: pd.DataFrame, quarantined: pd.DataFrame) -> None:
        if rows.num_rows or len(quarantined):  # a quarantine is stored beside a table of rows, which may be empty
            self._frame.append(rows)
        _append(self._faults, faults.assign(position=faults["position"] + self._rows))
        _append(self._quarantined, quarantined)
        self._rows += rows.num_rows

    def finish(self) -> StoredRows | None:
        """The rows of the part; None if it has none."""
        frame = self._frame.finish()
        if frame is None:
            return None
        return StoredRows(frame=frame, faults=self._faults.finish(), quarantined=self._quarantined.finish())


def _append(table: TableAppender, frame: pd.DataFrame) -> None:
    if len(frame):
        table.append(arrow_table(frame))


def _no_quarantine() -> pd.DataFrame:
    return pd.DataFrame(columns=list(QUARANTINE_COLUMNS))


def write_rows(writer: PartWriter, name: str, rows: Ingested) -> StoredRows:
    """Write parsed rows to the tables `name`, `name`/faults and `name`/quarantine."""
    return StoredRows(
        frame=writer.write(f"{name}/rows", rows.frame),
        faults=writer.write(f"{name}/faults", rows.faults) if len(rows.faults) else None,
        quarantined=writer.write(f"{name}/quarantine", rows.quarantined) if len(rows.quarantined) else None,
    )
