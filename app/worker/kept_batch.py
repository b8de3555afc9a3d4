"""Keep the readings of a batch in the store, and score them with what the store has of their machines."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from predictive_maintenance.history.features import complete, take
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.validation.cell_validation import formula_faults

from ..http.batch import Batch
from ..http.batch_response import ScoredBatch, score_columns
from ..serving.kept_reading import CONFLICT, machine_id_fault, sensors_of, time_fault
from ..serving.served_model import ServedModel

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import LockedMachine, Sensors
    from predictive_maintenance.store.store import Store, Transaction

_ROWS_TOGETHER = 2_000
"""Rows in one transaction, as far as machines allow: other processes wait for its end."""

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _Readings:
    """The rows of a batch that are of one machine, in the order of their times, and what the store has around them.

    `known` tells which rows the store has already; `stored` are the readings of other times, by time.
    """

    machine: "LockedMachine"
    rows: Rows
    known: Mask
    stored: Mapping[int, "Sensors"]


def keep_batch(
    store: "Store", batch: Batch, model: ServedModel, model_name: str, max_skew_seconds: float
) -> tuple[ScoredBatch, Counter[str]]:
    """Keep the valid rows of `batch`, and score them. Return the scores, and the number of rows by outcome.

    The rows of one machine are kept together, those of some machines in one transaction. If a later one fails with StoreError,
    the earlier ones are kept: sent again, they are repeats. A row with an error that only the store shows is invalid then.
    """
    machine, outcomes = model.scorer.machine, Counter[str]()
    _add_errors(batch, machine, max_skew_seconds)
    valid, keys = batch.valid_rows(), _keys(batch, machine)
    parts: list[tuple[Rows, dict[str, Any]]] = []
    for group in _groups(batch, keys):
        with store.writing() as transaction:
            found = [
                _look_up(transaction, batch, machine, keys, transaction.machine(model_name, name), rows)
                for name, rows in group
            ]
            columns, rows = _complete(batch, machine, keys, found)
            _add(transaction, batch, model, keys, found, rows, columns)
        for readings in found:
            _count(outcomes, keys, readings)
        parts.append((rows, columns))
    outcomes["refused"] += sum(CONFLICT in reason for errors in batch.errors.values() for _, reason in errors)
    return score_columns(batch, model, _joined(batch, machine, valid, keys, parts)), outcomes


def _add_errors(batch: Batch, machine: Machine, max_skew_seconds: float) -> None:
    """Add the errors of rows that can be scored, but not kept."""
    rows = np.flatnonzero(batch.valid_rows())
    times = as_times(batch.columns[machine.time_name][rows], machine)
    for row, moment in zip(rows.tolist(), times, strict=True):
        if reason := machine_id_fault(batch.columns[MACHINE_ID][row]):
            batch.add_error(row, MACHINE_ID, reason)
        if reason := time_fault(machine, moment, max_skew_seconds):
            batch.add_error(row, machine.time_name, reason)


def _keys(batch: Batch, machine: Machine) -> Rows:
    """(rows,) the time of each row as the store orders it; 0 in invalid rows."""
    from predictive_maintenance.store.times import as_keys

    keys, valid = np.zeros(batch.rows, dtype=np.int64), batch.valid_rows()
    keys[valid] = as_keys(as_times(batch.columns[machine.time_name][valid], machine))
    return keys


def _groups(batch: Batch, keys: Rows) -> Iterator[list[tuple[str, Rows]]]:
    """The valid rows of each machine in the order of times, without repeats; some machines at a time, in the order of ids."""
    by_machine: dict[str, list[int]] = {}
    for row in np.flatnonzero(batch.valid_rows()).tolist():
        by_machine.setdefault(batch.columns[MACHINE_ID][row], []).append(row)
    group: list[tuple[str, Rows]] = []
    for name in sorted(by_machine):
        rows = np.array(by_machine[name])
        group.append((name, rows[np.unique(keys[rows], return_index=True)[1]]))
        if sum(len(rows) for _, rows in group) >= _ROWS_TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _look_up(
    transaction: "Transaction", batch: Batch, machine: Machine, keys: Rows, place: "LockedMachine", rows: Rows
) -> _Readings:
    """Read what the windows of `rows` of one machine need. Rows that contradict the store get an error."""
    from predictive_maintenance.store.lookback import Lookback

    lookback, first, last = Lookback.of(machine), int(keys[rows[0]]), int(keys[rows[-1]])
    beginning = lookback.beginning(first, machine)
    stored = transaction.window(place, lookback, first=first, beginning=beginning, last=last)
    known, kept = np.zeros(len(rows), dtype=bool), np.ones(len(rows), dtype=bool)
    for position, row in enumerate(rows.tolist()):
        if (sensors := stored.get(int(keys[row]))) is None:
            continue
        known[position] = True
        if sensors == _sensors(batch, machine, row):
            del stored[int(keys[row])]
        else:
            batch.add_error(row, machine.time_name, CONFLICT)
            kept[position] = False
    return _Readings(machine=place, rows=rows[kept], known=known[kept], stored=stored)


def _sensors(batch: Batch, machine: Machine, row: int) -> dict[str, float | str]:
    cells = {name: batch.columns[name][row] for name in machine.input_names}
    numbers = set(machine.sensor_names)
    return sensors_of(machine, {name: float(cell) if name in numbers else cell for name, cell in cells.items()})


def _complete(batch: Batch, machine: Machine, keys: Rows, found: Sequence[_Readings]) -> tuple[dict[str, Any], Rows]:
    """The columns of the rows with the statistics of their windows, and these rows.

    A formula of statistics can have no value; then its row becomes invalid, but is kept for later windows.
    """
    rows = np.concatenate([readings.rows for readings in found])
    columns = _columns(batch, machine, keys, rows, found)
    completed = take(complete(machine, columns), np.arange(len(rows)))
    batch.add_faults(formula_faults(completed, machine), rows)
    scored = batch.valid_rows()[rows]
    return take(completed, np.flatnonzero(scored)), rows[scored]


def _columns(batch: Batch, machine: Machine, keys: Rows, rows: Rows, found: Sequence[_Readings]) -> dict[str, Any]:
    """The columns of `rows`, followed by the stored readings."""
    from predictive_maintenance.store.times import as_times as times_of_keys

    counts = [len(readings.stored) for readings in found]
    first = [batch.columns[MACHINE_ID][readings.rows[0]] if len(readings.rows) else None for readings in found]
    used = [place for place, name in enumerate(first) if name is not None]
    stored = [sensors for place in used for sensors in found[place].stored.values()]
    names = np.repeat(np.array([first[place] for place in used], dtype=object), [counts[place] for place in used])
    moments = [key for place in used for key in found[place].stored]
    times = times_of_keys(np.concatenate([keys[rows], np.array(moments, dtype=np.int64)]), machine)
    columns: dict[str, Any] = {
        MACHINE_ID: np.concatenate([batch.columns[MACHINE_ID][rows], names]),
        machine.time_name: times if machine.time_is_counter else times.view("datetime64[us]"),
    }
    for name in machine.category_names:
        cells = np.array([sensors.get(name) for sensors in stored], dtype=object)
        columns[name] = np.concatenate([batch.columns[name][rows], cells])
    for name in machine.sensor_names:
        numbers = np.array([sensors.get(name, np.nan) for sensors in stored], dtype=np.float64)
        columns[name] = np.concatenate([batch.columns[name][rows], numbers])
    return columns


def _add(
    transaction: "Transaction",
    batch: Batch,
    model: ServedModel,
    keys: Rows,
    found: Sequence[_Readings],
    scored: Rows,
    columns: dict[str, Any],
) -> None:
    """Add the rows that the store does not have, with their scores."""
    from predictive_maintenance.store.rows import Reading, Score

    scorer, received = model.scorer, int(time.time())
    probabilities = scorer.probabilities(columns) if len(scored) else np.empty(0)
    decisions = scorer.decisions(probabilities)
    scores = {
        row: Score(probability, decision, model.version.version)
        for row, probability, decision in zip(scored.tolist(), probabilities.tolist(), decisions.tolist(), strict=True)
    }
    for readings in found:
        new = [
            Reading(
                time=int(keys[row]),
                received=received,
                sensors=_sensors(batch, scorer.machine, row),
                score=scores.get(row),
            )
            for row in readings.rows[~readings.known].tolist()
        ]
        if new:
            transaction.add(readings.machine, new)


def _count(outcomes: Counter[str], keys: Rows, readings: _Readings) -> None:
    latest, new = readings.machine.latest, keys[readings.rows[~readings.known]]
    late = 0 if latest is None else int(np.count_nonzero(new < latest))
    outcomes["late"] += late
    outcomes["new"] += len(new) - late
    outcomes["repeated"] += int(readings.known.sum())


def _joined(
    batch: Batch, machine: Machine, was_valid: Mask, keys: Rows, parts: Sequence[tuple[Rows, dict[str, Any]]]
) -> dict[str, Any]:
    """The columns of all valid rows in their order; rows that repeat another one get the columns of that one.

    `was_valid` marks the rows that were valid before the store was asked.
    """
    if not parts:
        names = (*machine.history_names, *machine.input_names)
        return dict(complete(machine, {name: batch.columns[name][:0] for name in names}))
    position, offset = np.full(batch.rows, -1, dtype=np.int64), 0
    for rows, _ in parts:
        position[rows] = np.arange(len(rows)) + offset
        offset += len(rows)
    _place_repeats(batch, was_valid, keys, position)
    joined = {name: np.concatenate([columns[name] for _, columns in parts]) for name in parts[0][1]}
    return take(joined, position[batch.valid_rows()])


def _place_repeats(batch: Batch, was_valid: Mask, keys: Rows, position: Rows) -> None:
    """Give rows that repeat another one its position, or its errors if it became invalid."""
    names, first = batch.columns[MACHINE_ID], dict[tuple[str, int], int]()
    repeats = batch.valid_rows() & (position < 0)
    for row in np.flatnonzero(was_valid & ~repeats).tolist():
        first[names[row], int(keys[row])] = row
    for row in np.flatnonzero(repeats).tolist():
        original = first[names[row], int(keys[row])]
        if original in batch.errors:
            for field, reason in batch.errors[original]:
                batch.add_error(row, field, reason)
        position[row] = position[original]
