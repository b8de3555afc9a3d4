"""Pull every source of a run and merge them into one table in canonical columns, each row knowing where it came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from ..config import Columns, Source
from ..errors import SourceError
from ..readings import MISSING, Faults
from ..sensors import (
    COLUMNS,
    INPUT_NAMES,
    LABEL,
    MODE_NAMES,
    READING_ID,
    HeaderMatch,
    describe_missing,
    match_headers,
)
from . import locations
from .identity import are_content_ids, content_ids
from .parsing import fault_table, parse
from .reading import MalformedRow, TableFile
from .uris import check_no_password, redact

MIN_JOINED_SHARE = 0.01


@dataclass(frozen=True)
class SourceRecord:
    """Lineage of one file or table of a source, without secrets."""

    name: str
    merge: str
    rows: int
    sha256: str
    bytes: int | None
    dvc_md5: str | None
    ignored_columns: tuple[str, ...]


@dataclass(frozen=True)
class Ingested:
    """The merged rows. `frame` has the canonical columns plus `source` (its name), `source_index` and `row` (from 1).

    `faults` are the cells that did not parse, by position in `frame`; `malformed` are the CSV rows that could not even
    be split into cells, as quarantine rows.
    """

    frame: pd.DataFrame
    faults: pd.DataFrame
    malformed: pd.DataFrame
    records: tuple[SourceRecord, ...]


@dataclass(frozen=True)
class _Part:
    frame: pd.DataFrame
    faults: pd.DataFrame
    malformed: list[dict[str, object]]
    records: tuple[SourceRecord, ...]


def check_sources(sources: Sequence[Source]) -> None:
    """Raises SourceError unless every source can be reached: all failures at once, each with its way out."""
    problems = []
    for source in sources:
        try:
            check_no_password(source.uri)
            locations.check(source.uri)
        except SourceError as error:
            problems.append(str(error))
    if problems:
        raise SourceError("\n".join(problems))


def ingest(sources: Sequence[Source], columns: Columns) -> Ingested:
    """Pull and merge `sources` in order. Raises SourceError that names the source, the column and the way out."""
    parts = [(source, _pull(source, index, columns)) for index, source in enumerate(sources)]
    appended = [part for source, part in parts if source.merge == "append"]
    merged = _append(appended)
    for source, part in parts:
        if source.merge == "join":
            merged = _join(merged, part, redact(source.uri))
    headers = [column for column in merged.frame if column in {known.name for known in COLUMNS}]
    if missing := [name for name in (*INPUT_NAMES, LABEL.name) if name not in merged.frame]:
        names = ", ".join(record.name for record in merged.records)
        ignored = [header for record in merged.records for header in record.ignored_columns]
        raise SourceError(
            f"{names}: {describe_missing(missing, [*headers, *ignored])}\n"
            f"columns not recognised: {', '.join(ignored) or 'none'}; name your own in params.yaml, columns.aliases"
        )
    for name in MODE_NAMES:
        if name in merged.frame and merged.frame[name].isna().any() and len(merged.records) > 1:
            merged = _without_partial_mode(merged, name)
    malformed = pd.DataFrame(merged.malformed, columns=list(QUARANTINE_COLUMNS))
    return Ingested(merged.frame, merged.faults, malformed, merged.records)


QUARANTINE_COLUMNS = ("source", "row", "reading_id", "column", "value", "reason", "record")
"""A quarantined cell: where it came from, what is wrong, and the whole row as JSON, so that nothing is lost."""


def _pull(source: Source, index: int, columns: Columns) -> _Part:
    parts = []
    with locations.fetch(source.uri) as arrivals:
        for arrival in arrivals:
            try:
                parts.append(_read(arrival, source, index, columns))
            except SourceError as error:
                text = str(error)
                raise SourceError(text if arrival.name in text else f"{arrival.name}: {text}") from None
    return _append(parts)


def _read(arrival: locations.Arrival, source: Source, index: int, columns: Columns) -> _Part:
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
        arrival.name, source.merge, len(frame), arrival.sha256, arrival.bytes, arrival.dvc_md5, unused
    )
    return _Part(frame, faults, [_malformed_row(arrival.name, bad) for bad in malformed], (record,))


def _check_recognised(name: str, match: HeaderMatch) -> None:
    if not match.columns:
        raise SourceError(
            f"{name}: no column is recognised ({', '.join(match.ignored[:8])}); expected headers such as "
            "'Air temperature [K]', 'Torque [Nm]'; name your own in params.yaml, columns.aliases"
        )


def _malformed_row(source: str, bad: MalformedRow) -> dict[str, object]:
    values = (source, bad.row, "", "", "", bad.reason, json.dumps(bad.text))
    return dict(zip(QUARANTINE_COLUMNS, values, strict=True))


def _append(parts: Sequence[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    _check_same_columns(parts)
    offsets = np.cumsum([0, *(len(part.frame) for part in parts)])
    faults = [
        part.faults.assign(position=part.faults["position"] + offset)
        for part, offset in zip(parts, offsets, strict=False)
    ]
    frames = [part.frame.assign(source=part.frame["source"].astype("str")) for part in parts]
    frame = pd.concat(frames, ignore_index=True)
    frame["source"] = frame["source"].astype("category")
    return _Part(
        frame,
        pd.concat(faults, ignore_index=True),
        [row for part in parts for row in part.malformed],
        tuple(record for part in parts for record in part.records),
    )


def _check_same_columns(parts: Sequence[_Part]) -> None:
    """A failure mode may be recorded by some of the parts only; any other column must be in all of them or in none."""
    for part in parts:
        for other in parts:
            if lacking := [name for name in other.frame if name not in part.frame and name not in MODE_NAMES]:
                raise SourceError(
                    f"{part.records[0].name}: {describe_missing(lacking, part.records[0].ignored_columns)}, "
                    f"which {other.records[0].name} has"
                )


def _join(left: _Part, right: _Part, name: str) -> _Part:
    """`left` with the columns of `right` for the same reading ids; unmatched rows get missing values."""
    key = READING_ID.name
    for side in (right.frame, left.frame):
        if (made := are_content_ids(side[key])).any():
            lacking = side.loc[made, "source"].iloc[0]
            raise SourceError(f"{lacking}: a join needs a column of reading ids (such as 'UDI') on both sides")
    added = [column for column in right.frame if column not in (key, "source", "source_index", "row")]
    if clash := [column for column in added if column in left.frame]:
        raise SourceError(f"{name}: {', '.join(clash)} is already there from an earlier source: join adds new columns")
    if not added:
        raise SourceError(f"{name}: has reading ids but no other column that is recognised: nothing to join")
    table = right.frame[[key, *added]].drop_duplicates()
    if (repeated := table[key].duplicated()).any():
        raise SourceError(
            f"{name}: reading {table[key][repeated].iloc[0]!r} is there more than once, with other values"
        )
    frame = left.frame.merge(table, on=key, how="left", validate="many_to_one")
    matched = left.frame[key].isin(table[key])
    if matched.mean() < MIN_JOINED_SHARE:
        raise SourceError(
            f"{name}: only {int(matched.sum())} of {len(frame)} reading ids are found in it "
            f"(here {left.frame[key].iloc[0]!r}, there {table[key].iloc[0]!r})"
        )
    return _Part(
        frame,
        pd.concat([left.faults, _joined_faults(frame, right, matched, added)], ignore_index=True),
        left.malformed + right.malformed,
        left.records + right.records,
    )


def _joined_faults(frame: pd.DataFrame, right: _Part, matched: pd.Series, added: Sequence[str]) -> pd.DataFrame:
    """The faults of the joined source moved to the rows they now belong to, and a fault for each unmatched row."""
    key = READING_ID.name
    faults = right.faults[right.faults["column"] != key]
    by_id = faults.assign(**{key: right.frame[key].to_numpy()[faults["position"]]}).drop(columns="position")
    places = pd.DataFrame({key: frame[key], "position": np.arange(len(frame))})
    moved = places.merge(by_id.drop_duplicates(), on=key)[["position", "column", "value", "reason"]]
    lost = np.flatnonzero(~matched)
    unmatched = [Faults(column, f"{MISSING}: the join has no such reading", lost, [""] * len(lost)) for column in added]
    return pd.concat([moved, fault_table(unmatched)], ignore_index=True)


def _without_partial_mode(merged: _Part, name: str) -> _Part:
    """A failure mode that only some of the sources record cannot be reported on: the column is left out."""
    per_source = merged.frame.groupby("source", observed=True)[name].apply(lambda flags: flags.isna().all())
    if not per_source.any():
        return merged
    faults = merged.faults[merged.faults["column"] != name].reset_index(drop=True)
    frame = merged.frame.drop(columns=name)
    return _Part(frame, faults, merged.malformed, merged.records)
