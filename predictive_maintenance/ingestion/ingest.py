"""Fetch all sources of a run and merge them into one table with canonical columns and the source of each row."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from ..config.sources import Source
from ..config.uris import redact, scheme_of
from ..errors import SourceError
from ..machine.header_matching import HeaderMatch
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID
from ..machine.sections import GroupColumn
from ..validation.cleaning import unlabelled_hint
from ..validation.parsing import parse
from ..validation.quarantine import QUARANTINE_COLUMNS
from ..validation.row_identity import content_ids
from . import locations
from .csv_reader import MalformedRow
from .joining import join
from .merging import Ingested, SourceRecord, append
from .table_reader import TableFile


def check_sources(sources: Sequence[Source], machine: Machine) -> None:
    """Raise SourceError unless all sources of readings of `machine` can be reached. It lists all problems and how to fix them."""
    errors: list[SourceError] = []
    missing_file = False
    for source in sources:
        try:
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
    parts = [(source, _ingest_source(source, index, machine)) for index, source in enumerate(sources)]
    merged = append([part for source, part in parts if source.merge == "append"], machine)
    for source, part in parts:
        if source.merge == "join":
            merged = join(merged, part, redact(source.uri))
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
    return merged


def _group_column(machine: Machine) -> tuple[str, ...]:
    """The column that groups of readings are made from, if the description names one."""
    group = machine.description.group
    if group == "machine":
        return (MACHINE_ID,)
    return (group.column,) if isinstance(group, GroupColumn) and group.column else ()


def _ingest_source(source: Source, index: int, machine: Machine) -> Ingested:
    parts = []
    with locations.fetch(source, machine) as tables:
        for fetched in tables:
            try:
                parts.append(_read(fetched, source, index, machine))
            except SourceError as error:
                text = str(error)
                text = text if fetched.name in text else f"{fetched.name}: {text}"
                raise SourceError(text, transient=error.transient) from None
    return append(parts, machine)


def _read(fetched: locations.FetchedTable, source: Source, index: int, machine: Machine) -> Ingested:
    malformed: list[MalformedRow] = []
    decimal = "."
    if isinstance(fetched.table, TableFile):
        match = machine.match_headers(fetched.table.headers)
        _check_recognised(fetched.name, match, machine)
        wanted = [header for header, _, _ in match.columns.values()]
        batches = list(fetched.table.batches(malformed, wanted))
        table = pa.Table.from_batches(batches) if batches else pa.table({name: [] for name in wanted})
        decimal = fetched.table.dialect.decimal if fetched.table.dialect else "."
    else:
        table = fetched.table
        match = machine.match_headers(table.column_names)
        _check_recognised(fetched.name, match, machine)
    if table.num_rows == 0 and not malformed:
        raise SourceError(f"{fetched.name}: no rows")
    names = [name for name in machine.columns if name in match.columns]
    frame, faults = parse(table, match, names, machine, decimal)
    rows = np.delete(np.arange(1, len(frame) + len(malformed) + 1), [bad.row - 1 for bad in malformed])
    if READING_ID not in frame:
        frame[READING_ID] = content_ids(frame, machine)
    frame["source"] = pd.Categorical.from_codes(np.zeros(len(frame), dtype=np.int8), [fetched.name])
    frame["source_index"] = np.int16(index)
    frame["row"] = rows
    unused = tuple(header for header in match.ignored if header.strip())
    record = SourceRecord(
        name=fetched.name,
        merge=source.merge,
        rows=len(frame),
        sha256=fetched.sha256,
        bytes=fetched.bytes,
        dvc_md5=fetched.dvc_md5,
        ignored_columns=unused,
    )
    return Ingested(
        frame=frame, faults=faults, quarantined=_malformed_quarantine(fetched.name, malformed), records=(record,)
    )


def _check_recognised(name: str, match: HeaderMatch, machine: Machine) -> None:
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
