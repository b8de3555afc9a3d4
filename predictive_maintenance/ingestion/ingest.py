"""Fetch all sources of a run and merge them into a table of readings with canonical columns and the source of each row.

Attributes of machines become columns of the readings; tables of events stay tables of their own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..config.sources import READINGS, Source
from ..config.uris import redact, scheme_of
from ..errors import SourceError
from ..machine.header_matching import Column, HeaderMatch, describe_missing, match_headers
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID, TIMESTAMP
from ..machine.sections import GroupColumn
from ..strict_model import suggestion
from ..validation.cell_validation import plain_array
from ..validation.cleaning import unlabelled_hint
from ..validation.parsing import parse
from ..validation.quarantine import QUARANTINE_COLUMNS
from ..validation.row_identity import numbered, unnumbered_ids
from ..validation.times import TimeFormats
from . import locations
from .attributes import join_attributes
from .csv_reader import MalformedRow
from .joining import join
from .merging import Ingested, SourceRecord, append
from .table_reader import TableFile


def check_sources(sources: Sequence[Source], machine: Machine) -> None:
    """Raise SourceError unless all sources of `machine` can be reached. It lists all problems and how to fix them."""
    errors: list[SourceError] = []
    missing_file = False
    if not any(scheme_of(source.uri) in locations.SEVERAL_TABLES for source in sources):
        try:
            check_needed_tables(machine, {source.table for source in sources})
        except SourceError as error:
            errors.append(error)
    for source in sources:
        try:
            check_table(source, machine)
            locations.check(source, machine)
        except SourceError as error:
            errors.append(error)
            missing_file |= not scheme_of(source.uri)
    if not errors:
        return
    problems = [str(error) for error in errors]
    if missing_file and any("query=" in source.uri for source in sources):
        problems.append('write a comma in a query as %2C, or --sources as a JSON list: ["sqlite:///...", "b.csv"]')
    raise SourceError("\n".join(problems), transient=all(error.transient for error in errors))


def ingest(sources: Sequence[Source], machine: Machine) -> Ingested:
    """Fetch and merge `sources` in order. Raises SourceError that names the source and the column."""
    parts = [part for index, source in enumerate(sources) for part in _ingest_source(source, index, machine)]
    by_table = {table: [part for _, name, part in parts if name == table] for table in tables_of(machine)}
    check_needed_tables(machine, {table for table, found in by_table.items() if found})
    readings = [(source, part) for source, table, part in parts if table == READINGS]
    merged = append([part for source, part in readings if source.merge == "append"], machine)
    for source, part in readings:
        if source.merge == "join":
            merged = join(merged, part, redact(source.uri))
    for table in machine.attribute_tables:
        if by_table[table]:
            merged = join_attributes(merged, append(by_table[table], machine), table, machine)
    events = {table: append(by_table[table], machine) for table in machine.description.events if by_table[table]}
    check_columns(merged, machine)
    records = (*merged.records, *(record for part in events.values() for record in part.records))
    return replace(merged, events=events, records=records)


def ingest_tables(sources: Sequence[Source], machine: Machine) -> dict[str, Ingested]:
    """Fetch tables of events and of machine attributes, by name. Raises SourceError that names the source and the column."""
    parts = [part for index, source in enumerate(sources) for part in _ingest_source(source, index, machine)]
    found = dict.fromkeys(table for _, table, _ in parts if table != READINGS)
    return {table: append([part for _, name, part in parts if name == table], machine) for table in found}


def tables_of(machine: Machine) -> tuple[str, ...]:
    """The tables that the description has: readings, those of attributes, and those of events."""
    return (READINGS, *machine.attribute_tables, *machine.description.events)


def check_table(source: Source, machine: Machine) -> None:
    """Raise SourceError if the description has no such table."""
    if source.table not in (known := tables_of(machine)):
        raise SourceError(
            f"{source}: the {machine.description.name} has no table {source.table!r}{suggestion(source.table, known)}; for a "
            f"file whose name has a colon write ./{source}"
        )


def check_needed_tables(machine: Machine, given: set[str]) -> None:
    """Raise SourceError unless there is a source for each table that features, attributes or the label need."""
    failures = machine.description.label.failures
    attributes = [
        table
        for table, names in machine.attribute_tables.items()
        if not {*names}.isdisjoint(machine.required_input_names)
    ]
    needed = (*attributes, *machine.event_tables, *((failures.table,) if failures else ()))
    if missing := [table for table in dict.fromkeys(needed) if table not in given]:
        raise SourceError(
            f"no source has the table {', '.join(missing)}, which the {machine.description.name} needs: add "
            f"{missing[0]}:{missing[0]}.csv to --sources, or {{uri: {missing[0]}.csv, table: {missing[0]}}} to data.sources"
        )


def check_columns(merged: Ingested, machine: Machine) -> None:
    """Raise SourceError if the readings lack a column that training needs."""
    label = (machine.label_name,) if machine.label_name in machine.columns else ()
    needed = (*machine.required_input_names, *_group_column(machine), *machine.place_names, *label)
    if missing := [name for name in needed if name not in merged.frame]:
        headers = [name for name in machine.columns if name in merged.frame]
        names = ", ".join(record.name for record in merged.records)
        ignored = [header for record in merged.records for header in record.ignored_columns]
        text = (
            f"{names}: {machine.describe_missing(missing, [*headers, *ignored])}\n"
            f"columns not recognised: {', '.join(ignored) or 'none'}; add your headers to columns.aliases in params.yaml"
        )
        raise SourceError(
            f"{text}\n{unlabelled_hint(machine.columns[machine.label_name])}" if {*label} & {*missing} else text
        )


def _group_column(machine: Machine) -> tuple[str, ...]:
    """The column that groups of readings are made from, if the description names one."""
    group = machine.description.group
    if group == "machine":
        return (MACHINE_ID,)
    return (group.column,) if isinstance(group, GroupColumn) and group.column else ()


def _ingest_source(source: Source, index: int, machine: Machine) -> list[tuple[Source, str, Ingested]]:
    """The rows of a source by table: one, or several from a simulator or the store."""
    check_table(source, machine)
    parts: dict[str, list[Ingested]] = {}
    with locations.fetch(source, machine) as tables:
        for fetched in tables:
            table = fetched.table_name or source.table
            try:
                parts.setdefault(table, []).append(_read(fetched, source, index, machine, table))
            except SourceError as error:
                text = str(error)
                text = text if fetched.name in text else f"{fetched.name}: {text}"
                raise SourceError(text, transient=error.transient) from None
    return [(source, table, append(found, machine)) for table, found in parts.items()]


def columns_of(table: str, machine: Machine) -> Mapping[str, Column]:
    """The columns of a table of the description."""
    if table in machine.description.events:
        return machine.event_columns(table)
    if table in machine.attribute_tables:
        return machine.attribute_columns(table)
    return machine.columns


def _read(fetched: locations.FetchedTable, source: Source, index: int, machine: Machine, kind: str) -> Ingested:
    """All rows of a fetched table."""
    (piece,) = read_pieces(fetched, source, index, machine, kind)
    return numbered_rows(piece.rows) if piece.lacks_ids else piece.rows


@dataclass(frozen=True)
class Piece:
    """Successive rows of a fetched table. If it `lacks_ids`, they have ids made from their content, repeats not numbered."""

    rows: Ingested
    lacks_ids: bool


def numbered_rows(rows: Ingested) -> Ingested:
    """The rows of a file with an id for each repeat of a content."""
    return replace(rows, frame=rows.frame.assign(**{READING_ID: numbered(rows.frame[READING_ID])}))


def read_pieces(
    fetched: locations.FetchedTable,
    source: Source,
    index: int,
    machine: Machine,
    kind: str,
    piece_rows: int | None = None,
) -> Iterator[Piece]:
    """The rows of a fetched table of the table `kind`, about `piece_rows` at a time, by default all at once.

    The record of a piece has the number of its rows. Raises SourceError that names the column, and if there are no rows.
    """
    columns = columns_of(kind, machine)
    malformed: list[MalformedRow] = []
    file = fetched.table if isinstance(fetched.table, TableFile) else None
    headers = fetched.table.headers if isinstance(fetched.table, TableFile) else fetched.table.column_names
    match = match_headers(columns, headers)
    _check_recognised(fetched.name, match, kind, columns, machine)
    wanted = [header for header, _, _ in match.columns.values()]
    names = [name for name in columns if name in match.columns]
    decimal = file.dialect.decimal if file and file.dialect else "."
    record = SourceRecord(
        name=fetched.name,
        merge=source.merge,
        rows=0,
        sha256=fetched.sha256,
        bytes=fetched.bytes,
        dvc_md5=fetched.dvc_md5,
        ignored_columns=tuple(header for header in match.ignored if header.strip()),
        table=kind,
        for_training_only=source.for_training_only and kind == READINGS,
    )
    lacks_ids = READING_ID not in names and kind == READINGS
    formats, known_malformed, rows = None, 0, 0
    for raw, is_part in _cut(fetched.table, wanted, malformed, piece_rows):
        if is_part and TIMESTAMP in names and formats is None:
            formats = _time_formats(fetched.table, match.columns[TIMESTAMP][0])
        if raw.num_rows == 0 and not malformed:
            raise SourceError(f"{fetched.name}: no rows")
        frame, faults = parse(raw, match, names, machine, decimal, formats)
        if READING_ID not in frame:
            frame[READING_ID] = unnumbered_ids(frame, machine) if kind == READINGS else ""
        frame["source"] = pd.Categorical.from_codes(np.zeros(len(frame), dtype=np.int8), [fetched.name])
        frame["source_index"] = np.int16(index)
        frame["row"] = _row_numbers(np.arange(rows, rows + len(frame)), malformed)
        rows += len(frame)
        quarantined = _malformed_quarantine(fetched.name, malformed[known_malformed:])
        known_malformed = len(malformed)
        records = (replace(record, rows=len(frame)),)
        yield Piece(Ingested(frame=frame, faults=faults, quarantined=quarantined, records=records), lacks_ids)


def _cut(
    table: TableFile | pa.Table, wanted: Sequence[str], malformed: list[MalformedRow], piece_rows: int | None
) -> Iterator[tuple[pa.Table, bool]]:
    """The rows of a table in pieces, each with whether it is not the whole table. There is at least one piece."""
    batches = table.batches(malformed, wanted) if isinstance(table, TableFile) else iter(table.to_batches(piece_rows))
    found: list[pa.RecordBatch] = []
    rows, is_part = 0, False
    for batch in batches:
        length = piece_rows or max(batch.num_rows, 1)
        for start in range(0, batch.num_rows, length):
            if piece_rows is not None and rows >= piece_rows:
                is_part = True
                yield pa.Table.from_batches(found), is_part
                found, rows = [], 0
            found.append(batch.slice(start, length))
            rows += found[-1].num_rows
    empty = pa.table({name: [] for name in wanted})
    yield pa.Table.from_batches(found) if found else empty, is_part


def _time_formats(table: TableFile | pa.Table, header: str) -> TimeFormats:
    """The formats of a whole column of times, of which a piece may have others."""
    batches = table.batches([], [header]) if isinstance(table, TableFile) else table.select([header]).to_batches()
    columns = (pa.chunked_array([batch.column(header)]) for batch in batches)
    return sum((TimeFormats.of(plain_array(column, header)) for column in columns), TimeFormats())


def _row_numbers(places: npt.NDArray[np.int64], malformed: Sequence[MalformedRow]) -> npt.NDArray[np.int64]:
    """The numbers in the file, from 1, of the well-formed rows at `places` among the well-formed ones, from 0."""
    before = np.array([bad.row - 1 - place for place, bad in enumerate(malformed)], dtype=np.int64)
    return places + 1 + np.searchsorted(before, places, side="right")


def _check_recognised(
    name: str, match: HeaderMatch, table: str, columns: Mapping[str, Column], machine: Machine
) -> None:
    if table != READINGS:
        # A table of events needs all of its columns, one of attributes the machine and some attribute.
        needed = list(columns) if table in machine.description.events else [MACHINE_ID]
        if missing := match.missing(needed):
            raise SourceError(f"{name}: the table {table} has {describe_missing(columns, missing, match.ignored)}")
    if not match.columns:
        examples = ", ".join(repr(machine.header(sensor)) for sensor in machine.required_sensor_names[:2])
        raise SourceError(
            f"{name}: no column is recognised ({', '.join(match.ignored[:8])}); expected headers such as {examples}; "
            "add your headers to columns.aliases in params.yaml"
        )


def _malformed_quarantine(source: str, malformed: Sequence[MalformedRow]) -> pd.DataFrame:
    """Quarantine lines of malformed CSV rows. The record is the row's text, because the row has no cells."""
    lines = [(source, bad.row, "", "", "", bad.reason, json.dumps(bad.text)) for bad in malformed]
    return pd.DataFrame(lines, columns=list(QUARANTINE_COLUMNS))
