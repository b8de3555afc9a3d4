"""Check or score a file of readings in batches, so that it can be larger than memory.

If the machine has a history, a score depends on earlier rows, which may be anywhere in the file. The columns that the model
reads are then held in memory while the file is scored, and the file is read twice.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import SourceError
from ..history.events import NO_EVENTS, Events
from ..history.features import complete
from ..ingestion.csv_reader import Dialect, MalformedRow
from ..ingestion.table_reader import TableFile
from ..ingestion.table_writer import is_parquet, writer
from ..machine.header_matching import HeaderMatch
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, TIMESTAMP
from ..scorer.missing_values import MissingValues
from ..scorer.scoring import Scorer
from ..validation.cell_validation import plain_array, unparsed
from ..validation.cleaning import validate
from ..validation.parsing import fault_table, parse
from ..validation.times import parse_times
from ..validation.value_validation import SAME_TIME, Faults, formula_faults
from .further_tables import NO_TABLES, FurtherTables
from .unit_check import UnitCheck

ADDED_COLUMNS = ("failure_probability", "predicted_failure", "model_version", "rejected")
"""The columns that scoring adds: probability, 0 or 1 at the decision threshold, model version, reason for no score."""

WHOLE_ROW = "the row"
"""The column of a BadCell that is a whole row, because the row has too many or too few cells."""

Aliases = Mapping[str, Sequence[str]]
T = TypeVar("T")


@dataclass
class ScoredFile:
    """The numbers of rows in a scored file, and of the cells that rows were rejected for, by column and reason.

    `warnings` are sentences about sensors that are missing far more or less often than in training.
    """

    rows: int = 0
    alarms: int = 0
    rejected: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    warnings: Sequence[str] = ()


class BadCell(NamedTuple):
    """A bad cell of a file. `row` counts from 1, without the header; `column` is canonical.

    `value` is the text of the cell, and `header` the header of its column, as they are in the file. `line` is the line of
    a CSV file at which the row starts.
    """

    row: int
    column: str
    value: str
    reason: str
    header: str = ""
    line: int | None = None


@dataclass(frozen=True)
class Past:
    """The features from the past of the valid rows of a file, by their places in it.

    `statistics` has a row for each valid row but those at the places `repeated` (r,), of a machine and time that other rows have.
    """

    statistics: pd.DataFrame
    repeated: npt.NDArray[np.int64]


@dataclass(kw_only=True)
class CheckedFile:
    """The result of a check: matched columns, numbers of rows, bad cells by column and reason, and the first bad cells."""

    match: HeaderMatch
    kind: Literal["CSV", "Parquet"]
    rows: int = 0
    bad_rows: int = 0
    failures: int | None = None
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[BadCell] = field(default_factory=list)
    unit_hints: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        return self.bad_rows == 0

    def add_batch(
        self, raw: pa.RecordBatch, frame: pd.DataFrame, faults: pd.DataFrame, label: str, examples: int
    ) -> None:
        if label in frame:
            self.failures = (self.failures or 0) + int(np.nansum(frame[label] == 1))
        self.reasons.update(zip(faults["column"], faults["reason"], strict=True))
        for fault in faults.head(examples - len(self.first)).itertuples():
            position, header = int(fault.position), self.match.columns[fault.column][0]
            value = _as_text(raw.column(header)[position].as_py())
            self.first.append(BadCell(self.rows + position + 1, fault.column, value, fault.reason, header))
        self.rows += len(frame)
        self.bad_rows += faults["position"].nunique()

    def add_malformed(self, malformed: Sequence[MalformedRow], examples: int) -> None:
        """Add the rows that reading skipped, and correct the row numbers after them."""
        for bad in malformed:
            self.first = [cell._replace(row=cell.row + (cell.row >= bad.row)) for cell in self.first]
            self.first.append(BadCell(bad.row, WHOLE_ROW, bad.text, bad.reason))
            self.reasons[WHOLE_ROW, bad.reason] += 1
        self.first = sorted(self.first)[:examples]
        self.rows += len(malformed)
        self.bad_rows += len(malformed)

    def add_lines(self, table: TableFile) -> None:
        """Add the lines of the first bad cells."""
        lines = table.line_numbers({cell.row for cell in self.first})
        self.first = [cell._replace(line=lines.get(cell.row)) for cell in self.first]


def check_file(path: Path, machine: Machine, examples: int = 10) -> CheckedFile:
    """Find every bad cell in `path`. Raises SourceError if it cannot be read or a sensor is missing.

    Times are not checked: their format is determined from a whole column, and this reads one batch at a time. Attributes of
    machines, which come from another table, may be missing.
    """
    table = TableFile.open(path, written=machine.description.format)
    match = _match(table, machine, {}, {name for names in machine.attribute_tables.values() for name in names})
    names = [name for name in machine.columns if name in match.columns and name != TIMESTAMP]
    checked = CheckedFile(match=match, kind="Parquet" if table.dialect is None else "CSV")
    units = UnitCheck(machine.columns, match, machine.ranges)
    malformed: list[MalformedRow] = []
    for raw, frame, faults in _prefetch(_checked_batches(table, match, names, machine, malformed)):
        checked.add_batch(raw, frame, faults, machine.label_name, examples)
        units.add(frame)
    checked.add_malformed(malformed, examples)
    checked.add_lines(table)
    checked.unit_hints = units.hints()
    if checked.rows == 0:
        raise SourceError(f"{path}: no rows")
    return checked


def score_file(
    path: Path, output: Path, scorer: Scorer, version: str, aliases: Aliases,
    on_rows: Callable[[int], None] = lambda _: None, tables: FurtherTables = NO_TABLES, others: pd.DataFrame | None = None,
    past: Past | None = None,
) -> ScoredFile:  # fmt: skip
    """Write the rows of `path`, unchanged and followed by ADDED_COLUMNS, to `output`.

    The suffix of `output` determines its format: .parquet, or CSV (compressed for .gz) with the separator and the decimal
    mark of the input. A row that cannot be scored stays in its place, with the reason in `rejected`. `output` is created
    only when it is complete. `on_rows` is called with the number of rows of each batch. `tables` are the events and the
    attributes of the machines, and `others` the valid rows of other files that the features of these rows depend on. `past` has
    these features, if they are known.
    """
    machine = scorer.machine
    table = TableFile.open(path, written=machine.description.format)
    match = _match(table, machine, aliases, tables.columns)
    names = _needed_names(match, machine, tables)
    if clash := sorted(set(ADDED_COLUMNS) & set(table.headers)):
        raise SourceError(f"{path}: the column {clash[0]!r} is reserved for the result of scoring: remove or rename it")
    scored, missing = ScoredFile(), MissingValues(scorer)
    dialect = table.dialect or Dialect()
    checked = _checked_batches(table, match, names, machine)
    if machine.needs_history:
        checked = _completed(checked, table, match, machine, tables, others, past)
    elif tables.attributes:
        checked = _with_attributes(checked, machine, tables)
    with writer(output, dialect) as write:
        for batch, frame, faults in _prefetch(checked):
            good = np.ones(len(frame), dtype=bool)
            good[faults["position"]] = False
            missing.add(frame[good], int(good.sum()))
            added = _score(frame, faults, good, scorer, version)
            if dialect.decimal == "," and not is_parquet(output):
                text = pc.cast(added["failure_probability"], pa.string())
                added["failure_probability"] = pc.replace_substring(text, ".", ",")
            write(_with_columns(batch, added))
            scored.rows += len(frame)
            scored.rejected += faults["position"].nunique()
            scored.reasons.update(zip(faults["column"], faults["reason"], strict=True))
            scored.alarms += pc.sum(added["predicted_failure"]).as_py() or 0
            on_rows(len(frame))
        if scored.rows == 0:
            raise SourceError(f"{path}: no rows")
    scored.warnings = [*tables.warnings, *missing.warnings()]
    return scored


def read_valid(path: Path, machine: Machine, aliases: Aliases, tables: FurtherTables = NO_TABLES) -> pd.DataFrame:
    """The rows of a file that scoring would not reject, with the columns that the model reads. Their index is their place.

    Raises SourceError if the file cannot be read or lacks a column.
    """
    table = TableFile.open(path, written=machine.description.format)
    match = _match(table, machine, aliases, tables.columns)
    checked = _checked_batches(table, match, _needed_names(match, machine, tables), machine)
    rows, faults, _ = _whole_file(checked, table, match, machine, tables)
    return rows.drop(index=faults["position"].unique())


def past_of(rows: pd.DataFrame, machine: Machine, events: Events = NO_EVENTS) -> Past:
    """The features from the past of valid rows, from these rows and `events`. Places are those of the index of `rows`."""
    repeated = rows.duplicated(list(machine.history_names), keep=False)
    unique = rows[~repeated]
    completed = complete(machine, unique, events)
    statistics = pd.DataFrame({name: completed[name] for name in machine.history_features}, index=unique.index)
    return Past(statistics, rows.index[repeated].to_numpy())


def read_places(path: Path, machine: Machine, aliases: Aliases) -> pd.DataFrame:
    """The machines and times of the rows of a file, without the rows in which one of them is invalid.

    Raises SourceError if the file cannot be read or lacks a column.
    """
    table = TableFile.open(path, written=machine.description.format)
    match = _match(table, machine, aliases, machine.input_names)
    names = [name for name in machine.place_names if name != TIMESTAMP]
    checked = _checked_batches(table, match, names, machine, columns=machine.place_names)
    rows, faults, _ = _whole_file(checked, table, match, machine, NO_TABLES)
    return rows.drop(index=faults["position"].unique()).reset_index(drop=True)


def _match(table: TableFile, machine: Machine, aliases: Aliases, attributes: Collection[str] = ()) -> HeaderMatch:
    try:
        match = machine.match_headers(table.headers, aliases)
    except SourceError as error:
        raise SourceError(f"{table.name}: {error}") from None
    needed = (*machine.history_names, *machine.required_input_names, *([MACHINE_ID] if attributes else []))
    if missing := [name for name in match.missing(needed) if name not in attributes]:
        raise SourceError(
            f"{table.name}: {machine.describe_missing(missing, match.ignored)}\n"
            f"columns not recognised: {', '.join(match.ignored) or 'none'}; add your headers to columns.aliases in params.yaml"
        )
    return match


def _needed_names(match: HeaderMatch, machine: Machine, tables: FurtherTables) -> list[str]:
    """The columns of a file that scoring reads, except timestamps."""
    needed = (*machine.history_names, *(name for name in machine.input_names if name not in tables.columns))
    needed = (MACHINE_ID, *needed) if tables.attributes and MACHINE_ID not in needed else needed
    return [name for name in needed if name in match.columns and name != TIMESTAMP]


def _checked_batches(
    table: TableFile,
    match: HeaderMatch,
    names: Sequence[str],
    machine: Machine,
    malformed: list[MalformedRow] | None = None,
    columns: Collection[str] | None = None,
) -> Iterator[tuple[pa.RecordBatch, pd.DataFrame, pd.DataFrame]]:
    """The raw batches of a file, each with its canonical columns and their faults, at most one per cell.

    With `columns`, the raw batches have only those.
    """
    decimal = table.dialect.decimal if table.dialect else "."
    headers = None if columns is None else [match.columns[name][0] for name in columns]
    for batch in table.batches(malformed, headers):
        frame, unparsed = parse(pa.Table.from_batches([batch]), match, names, machine, decimal)
        found = validate(frame, names, machine)
        faults = pd.concat([unparsed, found]).drop_duplicates(["position", "column"])
        yield batch, frame, faults.sort_values("position", ignore_index=True)


def _completed(
    checked: Iterator[tuple[pa.RecordBatch, pd.DataFrame, pd.DataFrame]],
    table: TableFile,
    match: HeaderMatch,
    machine: Machine,
    tables: FurtherTables,
    others: pd.DataFrame | None,
    past: Past | None,
) -> Iterator[tuple[pa.RecordBatch, pd.DataFrame, pd.DataFrame]]:
    """The checked batches with the features from the past of each row. A row with a bad cell is in no window.

    A row of the same machine and time as another row, also one of `others`, is a fault. Reads the file again for the raw batches.
    """
    rows, faults, starts = _whole_file(checked, table, match, machine, tables)
    if past is None:
        valid = rows.drop(index=faults["position"].unique())
        # The places of the other rows are behind those of this file.
        places = range(len(rows), len(rows) + (0 if others is None else len(others)))
        known = valid if others is None else pd.concat([valid, others.set_axis(places)])
        found = past_of(known, machine, tables.events)
        past = Past(found.statistics.loc[: len(rows) - 1], found.repeated[found.repeated < len(rows)])
    own = past.statistics.index.to_numpy()
    names = [name for name in (*machine.input_names, *machine.time_names) if name in rows]
    completed = rows.loc[own, names].join(past.statistics)
    faults = pd.concat(
        [faults, _same_times(past.repeated, machine), _formula_faults(completed, own, machine)], ignore_index=True
    )
    rows = pd.concat([rows, past.statistics.reindex(rows.index)], axis=1)
    for batch, start, end in zip(table.batches(), starts, starts[1:], strict=False):
        own = faults[faults["position"].between(start, end, inclusive="left")].sort_values(
            "position", ignore_index=True
        )
        yield batch, rows[start:end].reset_index(drop=True), own.assign(position=own["position"] - start)


def _whole_file(
    checked: Iterator[tuple[pa.RecordBatch, pd.DataFrame, pd.DataFrame]],
    table: TableFile,
    match: HeaderMatch,
    machine: Machine,
    tables: FurtherTables,
) -> tuple[pd.DataFrame, pd.DataFrame, npt.NDArray[np.intp]]:
    """The rows of all batches with times and attributes, their faults, and the place of each batch's first row, and the end."""
    parts: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    cells: list[pa.Array] = []
    for batch, frame, faults in checked:
        parts.append((frame, faults))
        cells += [batch.column(match.columns[TIMESTAMP][0])] if TIMESTAMP in match.columns else []
    if not parts:
        raise SourceError(f"{table.name}: no rows")
    starts = np.cumsum([0, *(len(frame) for frame, _ in parts)])
    rows = pd.concat([frame for frame, _ in parts], ignore_index=True)
    found = [
        faults.assign(position=faults["position"] + start) for (_, faults), start in zip(parts, starts, strict=False)
    ]
    if cells:
        rows[TIMESTAMP], bad_times = _times(cells, match.columns[TIMESTAMP][0])
        found.append(bad_times)
    rows, without_attributes = tables.joined(rows, machine)
    return rows, pd.concat([*found, *without_attributes], ignore_index=True), starts


def _with_attributes(
    checked: Iterator[tuple[pa.RecordBatch, pd.DataFrame, pd.DataFrame]], machine: Machine, tables: FurtherTables
) -> Iterator[tuple[pa.RecordBatch, pd.DataFrame, pd.DataFrame]]:
    """The checked batches with the attributes of their machines."""
    for batch, frame, faults in checked:
        joined, missing = tables.joined(frame, machine)
        formulas = fault_table(formula_faults(joined, machine))
        found = pd.concat([faults, *missing, formulas]).drop_duplicates(["position", "column"])
        yield batch, joined, found.sort_values("position", ignore_index=True)


def _formula_faults(columns: pd.DataFrame, positions: npt.NDArray[np.intp], machine: Machine) -> pd.DataFrame:
    """The faults of formulas in the rows at `positions`, of which `columns` has the statistics. They stay in later windows."""
    found = fault_table(formula_faults(columns, machine))
    return found.assign(position=positions[found["position"]])


def _times(cells: Sequence[pa.Array], header: str) -> tuple[pd.Series, pd.DataFrame]:
    """The times of a whole column, because one format applies to all of it, and its faults."""
    plain = plain_array(pa.chunked_array(cells), header)
    times, reason = parse_times(plain, header)
    return times, fault_table(unparsed(TIMESTAMP, plain, times.isna().to_numpy(), reason))


def _same_times(repeated: npt.NDArray[np.int64], machine: Machine) -> pd.DataFrame:
    """A fault for each of the rows at the places `repeated`, whose machine and time another row has."""
    return fault_table([Faults(machine.time_name, SAME_TIME, repeated, [""] * len(repeated))])


def _score(
    frame: pd.DataFrame, faults: pd.DataFrame, good: npt.NDArray[np.bool_], scorer: Scorer, version: str
) -> dict[str, pa.Array]:
    probabilities = np.full(len(frame), np.nan)
    if good.any():
        probabilities[good] = scorer.probabilities(frame if good.all() else frame[good])
    decisions = scorer.decisions(probabilities).astype(np.int8)
    reasons = np.full(len(frame), None, dtype=object)
    for position, texts in (faults["column"] + ": " + faults["reason"]).groupby(faults["position"]):
        reasons[position] = "; ".join(texts)
    bad = ~good
    return {
        "failure_probability": pa.array(probabilities, mask=bad),
        "predicted_failure": pa.array(decisions, mask=bad),
        "model_version": pa.repeat(pa.scalar(version), len(frame)),
        "rejected": pa.array(reasons, pa.string()),
    }


def _as_text(cell: object) -> str:
    """A cell as it is in the file; '' if it is empty."""
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    return "" if cell is None else str(cell)


def _with_columns(batch: pa.RecordBatch, added: Mapping[str, pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [*batch.columns, *(added[name] for name in ADDED_COLUMNS)], [*batch.schema.names, *ADDED_COLUMNS]
    )


def _prefetch(items: Iterator[T]) -> Iterator[T]:
    """Yield `items`, computing the next one in a thread meanwhile. The scorer releases the interpreter lock."""
    with ThreadPoolExecutor(1) as thread:
        end = object()
        upcoming = thread.submit(next, items, end)
        while (item := upcoming.result()) is not end:
            upcoming = thread.submit(next, items, end)
            yield cast(T, item)
