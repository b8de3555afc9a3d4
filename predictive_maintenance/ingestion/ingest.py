"""Pull every source of a run and merge them into one table in canonical columns, each row knowing where it came from."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from ..config.params import ColumnSettings
from ..config.sources import Source
from ..config.uris import redact, scheme_of
from ..errors import SourceError
from ..machine.sensors import COLUMNS, INPUT_NAMES, LABEL, READING_ID, HeaderMatch, describe_missing, match_headers
from ..validation.parsing import parse
from ..validation.quarantine import QUARANTINE_COLUMNS
from ..validation.row_identity import content_ids
from . import locations
from .joining import join
from .merging import Ingested, SourceRecord, append
from .table_reader import MalformedRow, TableFile


def check_sources(sources: Sequence[Source]) -> None:
    """Raises SourceError unless every source can be reached: all failures at once, each with its way out."""
    problems = []
    lost_file = False
    for source in sources:
        try:
            locations.check(source)
        except SourceError as error:
            problems.append(str(error))
            lost_file |= not scheme_of(source.uri)
    if lost_file and any("query=" in source.uri for source in sources):
        problems.append('a comma in a query is written %2C, or --sources as a JSON list: ["sqlite:///...", "b.csv"]')
    if problems:
        raise SourceError("\n".join(problems))


def ingest(sources: Sequence[Source], columns: ColumnSettings) -> Ingested:
    """Pull and merge `sources` in order. Raises SourceError that names the source, the column and the way out."""
    parts = [(source, _pull(source, index, columns)) for index, source in enumerate(sources)]
    merged = append([part for source, part in parts if source.merge == "append"])
    for source, part in parts:
        if source.merge == "join":
            merged = join(merged, part, redact(source.uri))
    if missing := [name for name in (*INPUT_NAMES, LABEL.name) if name not in merged.frame]:
        headers = [column.name for column in COLUMNS if column.name in merged.frame]
        names = ", ".join(record.name for record in merged.records)
        ignored = [header for record in merged.records for header in record.ignored_columns]
        raise SourceError(
            f"{names}: {describe_missing(missing, [*headers, *ignored])}\n"
            f"columns not recognised: {', '.join(ignored) or 'none'}; name your own in params.yaml, columns.aliases"
        )
    return merged


def _pull(source: Source, index: int, columns: ColumnSettings) -> Ingested:
    parts = []
    with locations.fetch(source) as arrivals:
        for arrival in arrivals:
            try:
                parts.append(_read(arrival, source, index, columns))
            except SourceError as error:
                text = str(error)
                text = text if arrival.name in text else f"{arrival.name}: {text}"
                raise SourceError(text, transient=error.transient) from None
    return append(parts)


def _read(arrival: locations.FetchedTable, source: Source, index: int, columns: ColumnSettings) -> Ingested:
    malformed: list[MalformedRow] = []
    decimal = "."
    if isinstance(arrival.table, TableFile):
        match = match_headers(arrival.table.headers, columns.aliases)
        wanted = [header for header, _, _ in match.columns.values()]
        batches = [batch.select(wanted) for batch in arrival.table.batches(malformed)]
        table = pa.Table.from_batches(batches) if batches else pa.table({name: [] for name in wanted})
        decimal = arrival.table.dialect.decimal if arrival.table.dialect else "."
    else:
        table = arrival.table
        match = match_headers(table.column_names, columns.aliases)
    if table.num_rows == 0 and not malformed:
        raise SourceError(f"{arrival.name}: no rows")
    _check_recognised(arrival.name, match)
    names = [column.name for column in COLUMNS if column.name in match.columns]
    frame, faults = parse(table, match, names, decimal)
    rows = np.delete(np.arange(1, len(frame) + len(malformed) + 1), [bad.row - 1 for bad in malformed])
    if READING_ID.name not in frame:
        frame[READING_ID.name] = content_ids(frame)
    frame["source"] = pd.Categorical.from_codes(np.zeros(len(frame), dtype=np.int8), [arrival.name])
    frame["source_index"] = np.int16(index)
    frame["row"] = rows
    unused = tuple(header for header in match.ignored if header.strip())
    record = SourceRecord(
        name=arrival.name,
        merge=source.merge,
        rows=len(frame),
        sha256=arrival.sha256,
        bytes=arrival.bytes,
        dvc_md5=arrival.dvc_md5,
        ignored_columns=unused,
    )
    return Ingested(
        frame=frame, faults=faults, set_aside=_malformed_quarantine(arrival.name, malformed), records=(record,)
    )


def _check_recognised(name: str, match: HeaderMatch) -> None:
    if not match.columns:
        raise SourceError(
            f"{name}: no column is recognised ({', '.join(match.ignored[:8])}); expected headers such as "
            "'Air temperature [K]', 'Torque [Nm]'; name your own in params.yaml, columns.aliases"
        )


def _malformed_quarantine(source: str, malformed: Sequence[MalformedRow]) -> pd.DataFrame:
    """Malformed CSV rows as quarantine lines. The row's text is the record, because the row did not split into cells."""
    lines = [(source, bad.row, "", "", "", bad.reason, json.dumps(bad.text)) for bad in malformed]
    return pd.DataFrame(lines, columns=list(QUARANTINE_COLUMNS))
