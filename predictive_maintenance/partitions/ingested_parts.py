"""Ingest the sources of a run into parts, each with all rows of some machines.

The result does not depend on how many parts there are. With one part nothing is divided: its rows are merged as they are read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.sources import READINGS, Source
from ..config.uris import redact
from ..engine.engine import Engine, InProcess
from ..errors import DataError, PartError, SourceError
from ..ingestion.attributes import join_attributes
from ..ingestion.ingest import check_columns, check_needed_tables, tables_of
from ..ingestion.joining import Joined, add_columns, check_share, with_unmatched_rows
from ..ingestion.locations import list_files
from ..ingestion.merging import Ingested, SourceRecord, common_columns, concatenated
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID
from ..validation.row_identity import are_content_ids, row_hashes
from .part_folder import PartFolder, PartWriter, StoredTable, digest
from .planning import BUCKETS_PER_PART, LARGEST_MACHINE, number_of_parts, packed
from .progress import OnPart, ignore, map_parts
from .shuffle import FileTable, ReadingJob, StoredRows, divide, read_whole, write_rows

UNEVEN = 2
"""If a part has more than so many times the rows that it should have, and that parts have on average, files are divided again."""

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True)
class JoinedPart:
    """What a part knows of one join. The fields are those of Joined; `unmatched` is a table with a column of that name.

    `shared` is whether all parts have the same rows of the join, instead of each those of its readings.
    """

    name: str
    shared: bool
    rows: int
    found: int
    reading_id: str | None
    joined_id: str | None
    unmatched: StoredTable


@dataclass(frozen=True, kw_only=True)
class IngestedPart:
    """All rows of some machines: readings, and events by table.

    `ids` are hashes of the reading ids, if other parts may have the same ones. `records` are those of all sources; `files` are
    the files of readings, as place of the source and name, in their order. `columns` are the types of the readings' columns.
    """

    number: int
    readings: StoredRows
    columns: Mapping[str, str]
    events: Mapping[str, StoredRows]
    records: tuple[SourceRecord, ...]
    files: tuple[tuple[int, str], ...]
    joins: tuple[JoinedPart, ...] = ()
    ids: StoredTable | None = None


@dataclass(frozen=True, kw_only=True)
class IngestedParts:
    """The manifest of the ingested rows. `conflicting` are the hashes of reading ids that are in several parts."""

    folder: PartFolder
    parts: tuple[IngestedPart, ...]
    records: tuple[SourceRecord, ...]
    conflicting: Hashes = field(default_factory=lambda: np.empty(0, dtype=np.uint64))

    @property
    def rows(self) -> int:
        """The number of ingested readings, with those in quarantine."""
        return sum(part.readings.rows for part in self.parts)

    @property
    def files(self) -> tuple[tuple[int, str], ...]:
        """The files of readings, as place of the source and name, in their order."""
        return self.parts[0].files

    @property
    def frame(self) -> pd.DataFrame:
        """All well-formed readings, which are loaded into memory."""
        return pd.concat([self.folder.read(part.readings.frame) for part in self.parts], ignore_index=True)


@dataclass(frozen=True, kw_only=True)
class _MergingJob(ReadingJob):
    """What merging the rows of a part needs. `tables` are those of the divided files, empty for one part."""

    tables: tuple[FileTable, ...] = ()


def ingest_parts(
    sources: Sequence[Source],
    machine: Machine,
    folder: PartFolder,
    engine: Engine,
    rows_per_part: int,
    on_part: OnPart = ignore,
) -> IngestedParts:
    """Fetch and merge `sources` into parts of about `rows_per_part` readings in `folder`.

    Parts that a former call has finished are not made again. Raises SourceError that names the source and the column, DataError
    if one machine has too many rows for a part, and EngineError.
    """
    files = tuple(file for place, source in enumerate(sources) for file in list_files(source, place))
    job = _MergingJob(
        folder=folder,
        machine=machine,
        sources=tuple(sources),
        files=files,
        parts=number_of_parts(files, rows_per_part, machine),
        rows_per_part=rows_per_part,
    )
    if not isinstance(engine, InProcess):
        folder.check_reach(engine)
    numbers = range(job.parts)
    if job.parts > 1 and not _are_finished(job):
        job = _divided(job, engine, on_part)
    parts = map_parts(engine, "merging", _merge_part, job, numbers, on_part)
    folder.delete("shuffle")
    return IngestedParts(
        folder=folder, parts=tuple(parts), records=_records(parts, folder), conflicting=_conflicting(parts, folder)
    )


def _divided(job: _MergingJob, engine: Engine, on_part: OnPart) -> _MergingJob:
    """`job` with the tables of the divided files.

    Hashes give few machines to parts unevenly. Then all files are read a second time, and divided by a plan of even parts.
    """
    job = _with_tables(job, map_parts(engine, "reading files", divide, job, range(len(job.files)), on_part))
    _check_sizes(job)
    rows_of_parts = _part_rows(job)
    if max(rows_of_parts) <= UNEVEN * max(job.rows_per_part, sum(rows_of_parts) / job.parts):
        return job
    try:
        rows = _bucket_rows(job)
    except PartError:
        if _are_finished(job):  # by another process, which has deleted the divided files
            return job
        raise
    job = replace(job, plan=tuple(packed(rows, job.parts).tolist()))
    return _with_tables(job, map_parts(engine, "dividing evenly", divide, job, range(len(job.files)), on_part))


def _with_tables(job: _MergingJob, divided: Iterable[list[FileTable]]) -> _MergingJob:
    return replace(job, tables=tuple(table for tables in divided for table in tables))


def _own_tables(job: _MergingJob) -> list[FileTable]:
    """The tables of readings, without joins."""
    return [table for table in job.tables if table.record.table == READINGS and table.record.merge == "append"]


def _part_rows(job: _MergingJob) -> list[int]:
    """The readings of each part."""
    return [sum(table.rows_of(number) for table in _own_tables(job)) for number in range(job.parts)]


def _bucket_rows(job: _MergingJob) -> npt.NDArray[np.int64]:
    """(B,) the readings of each bucket."""
    rows = np.zeros(job.parts * BUCKETS_PER_PART, dtype=np.int64)
    for table in _own_tables(job):
        assert table.buckets is not None  # it was divided
        found = job.folder.read(table.buckets)
        rows[found["bucket"]] += found["rows"].to_numpy()
    return rows


def _name(number: int) -> str:
    return f"ingest/{number:05d}"


def _are_finished(job: _MergingJob) -> bool:
    return all(_finished(job, number) is not None for number in range(job.parts))


def _finished(job: _MergingJob, number: int) -> IngestedPart | None:
    return job.folder.finished(_name(number), _made_from(job, number), IngestedPart)


def _made_from(job: _MergingJob, number: int) -> str:
    """A hash of all that a part depends on. The plan follows from the content of the files and the rows of a part."""
    return digest(job.digest, number, job.rows_per_part)


def _merge_part(job: _MergingJob, number: int) -> IngestedPart:
    try:
        return job.folder.once(_name(number), _made_from(job, number), IngestedPart, partial(_merged, job, number))
    except PartError:
        # Another process that works on the same parts has finished all of them, and deleted the divided files.
        if (found := _finished(job, number)) is not None:
            return found
        raise


def _merged(job: _MergingJob, number: int, writer: PartWriter) -> IngestedPart:
    tables = list(_all_tables(job) if job.parts == 1 else _tables_of(job, number))
    machine = job.machine
    by_table = {name: [found for found in tables if found[0].record.table == name] for name in tables_of(machine)}
    check_needed_tables(machine, {name for name, found in by_table.items() if found})
    readings = [found for found in by_table[READINGS] if found[0].record.merge == "append"]
    merged, joins = _appended(readings, machine), []
    for place, source in enumerate(job.sources):
        if source.merge == "join":
            shared = [table for table in job.tables if table.place == place and _is_shared(job, table)]
            right = [(table, _all_rows(job, table)) for table in shared] or [
                found for found in tables if found[0].place == place
            ]
            merged, joined = _joined(merged, _appended(right, machine), redact(source.uri), bool(shared and number))
            joins.append(_joined_part(joined, redact(source.uri), bool(shared), right, writer))
    for name in machine.attribute_tables:
        if by_table[name]:
            merged = join_attributes(merged, _appended(by_table[name], machine), name, machine)
    events = {name: _appended(by_table[name], machine) for name in machine.description.events if by_table[name]}
    check_columns(merged, machine)
    _check_machine(job, merged)
    records = (*merged.records, *(record for part in events.values() for record in part.records))
    return IngestedPart(
        number=number,
        readings=write_rows(writer, "readings", merged),
        columns={str(name): str(kind) for name, kind in merged.frame.dtypes.items()},
        events={name: write_rows(writer, name, rows) for name, rows in events.items()},
        records=records,
        files=tuple((table.place, table.record.name) for table, _ in readings),
        joins=tuple(joins),
        ids=_write_ids(writer, merged.frame) if _ids_may_repeat(job) else None,
    )


def _tables_of(job: _MergingJob, number: int) -> Iterator[tuple[FileTable, Ingested]]:
    """The rows of a part by file."""
    return ((table, table.load(job.folder, number)) for table in _needed(job))


def _all_tables(job: _MergingJob) -> Iterator[tuple[FileTable, Ingested]]:
    """The rows of all files, which are not divided. Raises DataError if they are too many for one part."""
    readings, most = 0, LARGEST_MACHINE * job.rows_per_part
    for file in job.files:
        for table, rows in read_whole(job, file):
            if table.record.table == READINGS and table.record.merge == "append":
                readings += table.record.rows
            if readings > most:
                raise DataError(
                    f"{table.record.name}: with it, {readings:,} readings are in one part, of at most {LARGEST_MACHINE} times "
                    "data.rows_per_part. They are not divided, since nothing says how many rows a query, or a file of unknown "
                    "size, has before it is read. Write them to Parquet files, bring fewer rows, such as one reading per minute, "
                    f"or increase data.rows_per_part in params.yaml from {job.rows_per_part:,} if the memory allows it"
                )
            yield table, rows


def _appended(tables: Sequence[tuple[FileTable, Ingested]], machine: Machine) -> Ingested:
    """The rows of files, in their order, with the columns that all files of all parts have."""
    common = common_columns([table.shape for table, _ in tables], machine)
    parts = [common.of(rows) for _, rows in tables] if len(tables) > 1 else [rows for _, rows in tables]
    return concatenated(parts) if len(parts) > 1 else parts[0]


def _needed(job: _MergingJob) -> Iterable[FileTable]:
    """The divided tables, without those of joins that are not divided as the readings are."""
    return (table for table in job.tables if not _is_shared(job, table))


def _is_shared(job: _MergingJob, table: FileTable) -> bool:
    """Whether each part needs all rows of a table: of a join, if readings are not divided by their ids."""
    return table.record.merge == "join" and _reading_column(job) != READING_ID


def _reading_column(job: _MergingJob) -> str | None:
    return next((table.column for table in _own_tables(job)), None)


def _all_rows(job: _MergingJob, table: FileTable) -> Ingested:
    """The rows of a file for all parts."""
    rows = concatenated([table.load(job.folder, number) for number in range(job.parts)])
    return replace(rows, records=(table.record,))


def _joined(merged: Ingested, right: Ingested, name: str, is_repeated: bool) -> tuple[Ingested, Joined]:
    """The readings of a part with the columns of a join. If other parts have all rows of it, too, its bad rows are theirs."""
    joined = add_columns(merged, right, name)
    result = replace(joined.ingested, records=merged.records + right.records)
    return replace(result, quarantined=merged.quarantined) if is_repeated else result, joined


def _joined_part(
    joined: Joined, name: str, shared: bool, right: Sequence[tuple[FileTable, Ingested]], writer: PartWriter
) -> JoinedPart:
    sources = pd.concat([rows.frame["source"].astype("str") for _, rows in right], ignore_index=True)
    table = pd.DataFrame({"unmatched": joined.unmatched, "source": sources})
    return JoinedPart(
        name=name,
        shared=shared,
        rows=joined.rows,
        found=joined.found,
        reading_id=joined.reading_id,
        joined_id=joined.joined_id,
        unmatched=writer.write(f"joins/{len(writer.tables)}", table),
    )


def _check_machine(job: _MergingJob, merged: Ingested) -> None:
    """Raise SourceError if the readings have a machine, but were divided by another column: it is in a join."""
    if job.parts > 1 and MACHINE_ID in merged.frame and _reading_column(job) != MACHINE_ID:
        raise SourceError(
            f"the column {job.machine.header(MACHINE_ID)!r} is in a join, so the readings cannot be divided by machine: add it "
            f"to the readings, or increase data.rows_per_part in params.yaml from {job.rows_per_part:,} if the memory allows it"
        )


def _ids_may_repeat(job: _MergingJob) -> bool:
    """Whether readings of different parts may have one id, which contradict each other."""
    return job.parts > 1 and not job.machine.is_over_time and _reading_column(job) != READING_ID


def _write_ids(writer: PartWriter, frame: pd.DataFrame) -> StoredTable:
    ids = frame[READING_ID]
    given = ids[ids.notna() & ~are_content_ids(ids)]
    return writer.write("ids", pd.DataFrame({"hash": np.unique(row_hashes(given))}))


def _conflicting(parts: Sequence[IngestedPart], folder: PartFolder) -> Hashes:
    """The hashes of the ids that several parts have. Rows that are equal are in one part, so these contradict each other."""
    found = [folder.read(part.ids)["hash"].to_numpy() for part in parts if part.ids]
    if not found:
        return np.empty(0, dtype=np.uint64)
    values, counts = np.unique(np.concatenate(found), return_counts=True)
    return values[counts > 1]


def _records(parts: Sequence[IngestedPart], folder: PartFolder) -> tuple[SourceRecord, ...]:
    """The records of all sources, with the numbers of unmatched rows of joins. Raises SourceError as `join` does."""
    records = list(parts[0].records)
    for joins in zip(*(part.joins for part in parts), strict=True):
        reading_id, joined_id = (
            next((getattr(join, name) for join in joins if getattr(join, name) is not None), None)
            for name in ("reading_id", "joined_id")
        )
        found, rows = sum(join.found for join in joins), sum(join.rows for join in joins)
        check_share(joins[0].name, found, rows, reading_id, joined_id)
        unmatched = _unmatched(joins, folder)
        records = [
            with_unmatched_rows((record,), unmatched)[0]
            if record.merge == "join" and record.name in unmatched
            else record
            for record in records
        ]
    return tuple(records)


def _unmatched(joins: Sequence[JoinedPart], folder: PartFolder) -> dict[str, int]:
    """The number of rows of a join, by source, that no reading of any part has."""
    tables = [folder.read(join.unmatched) for join in joins]
    if joins[0].shared:
        table = tables[0].assign(unmatched=np.logical_and.reduce([table["unmatched"] for table in tables]))
    else:
        table = pd.concat(tables, ignore_index=True)
    return {str(name): int(rows) for name, rows in table.groupby("source")["unmatched"].sum().items()}


def _check_sizes(job: _MergingJob) -> None:
    """Raise DataError if a machine or all rows are too large, and SourceError if a join is too large for all parts to share."""
    most = LARGEST_MACHINE * job.rows_per_part
    for table in job.tables:
        if _is_shared(job, table) and table.record.rows > most:
            raise SourceError(
                f"{table.record.name}: {table.record.rows:,} rows are too many to join by reading id, since the readings are "
                f"divided by {_reading_column(job)}: a part needs all of them. Join them before, or increase "
                f"data.rows_per_part in params.yaml from {job.rows_per_part:,} if the memory allows it"
            )
    rows_of_parts = _part_rows(job)
    for number, rows in enumerate(rows_of_parts):
        if rows > most:
            _check_machines(job, number, rows)
    if (total := sum(rows_of_parts)) > most * job.parts:
        raise DataError(
            f"{total:,} readings are too many for {job.parts} parts, of at most {LARGEST_MACHINE} times data.rows_per_part: "
            f"increase data.rows_per_part in params.yaml from {job.rows_per_part:,} to {-(-total // job.parts):,} if the memory "
            "allows it, or train several models"
        )


def _check_machines(job: _MergingJob, number: int, rows: int) -> None:
    """Raise DataError if the largest machine of a part with `rows` readings is too large."""
    tables, column, name = _own_tables(job), _reading_column(job), None
    if column is not None:
        stored = [found for table in tables if (found := table.parts[number])]
        values = pd.concat([job.folder.read(found.frame, [column])[column] for found in stored])
        counts = values.value_counts()
        name, rows = counts.index[0], int(counts.iloc[0])
        if rows <= LARGEST_MACHINE * job.rows_per_part:
            return
    way_out = (
        f"Bring fewer rows, such as one reading per minute from a query, or increase data.rows_per_part in params.yaml from "
        f"{job.rows_per_part:,} to {-(-rows // LARGEST_MACHINE):,} if the memory allows it"
    )
    if column is None:
        raise DataError(
            f"the readings have no column {job.machine.header(MACHINE_ID)!r}, so all {rows:,} are of one machine and in one "
            f"part, of at most {LARGEST_MACHINE} times data.rows_per_part. Add the column. Or: {way_out}"
        )
    raise DataError(
        f"{column} {name!r} has {rows:,} readings, which cannot be divided, and a part may have at most {LARGEST_MACHINE} times "
        f"data.rows_per_part. {way_out}"
    )
