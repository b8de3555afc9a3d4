"""Keep the readings of a batch in the store, and score them with what the store has of their machines."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from predictive_maintenance.history.features import complete, take
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID

from ..http.batch import Batch
from ..http.batch_response import ScoredBatch, score_columns
from ..serving.kept_rows import CONFLICT, KeptRows, Rows, keep_rows, machine_id_fault, sensors_of, time_fault
from ..serving.served_model import ServedModel

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

_ROWS_TOGETHER = 2_000
"""Rows in one transaction, as far as machines allow: other processes wait for its end."""

Positions = npt.NDArray[np.int64]


def keep_batch(
    store: "Store", batch: Batch, model: ServedModel, model_name: str, max_skew_seconds: float
) -> tuple[ScoredBatch, Mapping[str, int]]:
    """Keep the valid rows of `batch`, and score them. Return the scores, and the number of rows by outcome.

    The rows of one machine are kept together, those of some machines in one transaction. If a later one fails with StoreError,
    the earlier ones are kept: sent again, they are repeats. A row with an error that only the store shows is invalid then.
    """
    machine, outcomes = model.scorer.machine, Counter[str]()
    _add_errors(batch, machine, max_skew_seconds)
    keys, originals = _keys(batch, machine), _originals(batch, machine)
    scored: list[tuple[Positions, dict[str, Any]]] = []
    for places in _parts(batch, originals):
        rows = Rows(
            columns={name: batch.columns[name][places] for name in (MACHINE_ID, *machine.input_names)},
            keys=keys[places],
            sensors=_sensors(batch, machine, places),
        )
        with store.writing() as transaction:
            kept = keep_rows(transaction, model, model_name, rows)
        outcomes.update(kept.outcomes)
        _add_store_errors(batch, machine, places, kept)
        scored.append((places[kept.scored], kept.columns))
    for row, original in originals.items():
        outcomes["repeated"] += row != original
        for field, reason in batch.errors.get(original, ()) if row != original else ():
            batch.add_error(row, field, reason)
    return score_columns(batch, model, _joined(batch, machine, originals, scored)), outcomes


def _add_errors(batch: Batch, machine: Machine, max_skew_seconds: float) -> None:
    """Add the errors of rows that can be scored, but not kept."""
    rows = np.flatnonzero(batch.valid_rows())
    times = as_times(batch.columns[machine.time_name][rows], machine)
    for row, moment in zip(rows.tolist(), times.tolist(), strict=True):
        if reason := machine_id_fault(batch.columns[MACHINE_ID][row]):
            batch.add_error(row, MACHINE_ID, reason)
        if reason := time_fault(machine, moment, max_skew_seconds):
            batch.add_error(row, machine.time_name, reason)


def _keys(batch: Batch, machine: Machine) -> Positions:
    """(rows,) the time of each row as the store orders it; 0 in invalid rows."""
    from predictive_maintenance.store.times import as_keys

    keys, valid = np.zeros(batch.rows, dtype=np.int64), batch.valid_rows()
    keys[valid] = as_keys(as_times(batch.columns[machine.time_name][valid], machine))
    return keys


def _originals(batch: Batch, machine: Machine) -> dict[int, int]:
    """For each valid row the first one that is equal: `add_place_errors` has refused those with other values."""
    rows = np.flatnonzero(batch.valid_rows()).tolist()
    ids, times = batch.columns[MACHINE_ID], batch.columns[machine.time_name].tolist()
    first: dict[tuple[str, Any], int] = {}
    return {row: first.setdefault((ids[row], times[row]), row) for row in rows}


def _parts(batch: Batch, originals: Mapping[int, int]) -> Iterator[Positions]:
    """The rows of some machines at a time, in the order of their ids, without repeats."""
    of_machines: dict[str, list[int]] = {}
    for row, original in originals.items():
        if row == original:
            of_machines.setdefault(batch.columns[MACHINE_ID][row], []).append(row)
    part: list[int] = []
    for name in sorted(of_machines):
        part += of_machines[name]
        if len(part) >= _ROWS_TOGETHER:
            yield np.array(part)
            part = []
    if part:
        yield np.array(part)


def _sensors(batch: Batch, machine: Machine, places: Positions) -> list[dict[str, float | str]]:
    names = machine.input_names
    cells = zip(*(batch.columns[name][places].tolist() for name in names), strict=True)
    return [sensors_of(machine, dict(zip(names, row, strict=True))) for row in cells]


def _add_store_errors(batch: Batch, machine: Machine, places: Positions, kept: KeptRows) -> None:
    batch.add_faults(kept.faults, places)
    for row, outcome in zip(places.tolist(), kept.outcomes, strict=True):
        if outcome == "refused":
            batch.add_error(row, machine.time_name, CONFLICT)


def _joined(
    batch: Batch,
    machine: Machine,
    originals: Mapping[int, int],
    scored: list[tuple[Positions, dict[str, Any]]],
) -> dict[str, Any]:
    """The columns of all valid rows in their order; rows that repeat another one get the columns of that one."""
    if not scored:
        names = (*machine.history_names, *machine.input_names)
        return dict(complete(machine, {name: batch.columns[name][:0] for name in names}))
    rows = np.concatenate([places for places, _ in scored])
    position = dict(zip(rows.tolist(), range(len(rows)), strict=True))
    wanted = [position[originals[row]] for row in np.flatnonzero(batch.valid_rows()).tolist()]
    columns = {name: np.concatenate([part[name] for _, part in scored]) for name in scored[0][1]}
    return take(columns, np.array(wanted, dtype=np.int64))
