"""Keep the readings of a batch in the store, and score them with what the store has of their machines."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from predictive_maintenance.history.features import complete
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID

from ..http.batch import Batch
from ..http.batch_response import ScoredBatch, score_columns
from ..serving.kept_rows import CONFLICT, KeptRows, Rows, keep_rows, machine_id_fault, sensors_of, time_fault
from ..serving.served_model import ServedModel

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

_FEWEST_ROWS, _MOST_ROWS = 100, 2_000
"""Rows in one transaction."""
_TRANSACTION_SECONDS = 0.03
"""How long a transaction should take: readings that others send wait for its end."""
_PAUSE_SECONDS = 0.005
"""Between two transactions. Who waits for the lock looks for it every few milliseconds."""

Positions = npt.NDArray[np.int64]


def keep_batch(
    store: "Store", batch: Batch, model: ServedModel, model_name: str, max_skew_seconds: float
) -> tuple[ScoredBatch, Mapping[str, int]]:
    """Keep the valid rows of `batch`, and score them. Return the scores, and the number of rows by outcome.

    Some rows at a time are kept in one transaction, in the order of machines and times. If a later one fails with StoreError, or
    the process ends, the earlier ones are kept: sent again, they are repeats. A row with an error that only the store shows is
    invalid then.
    """
    machine, outcomes = model.scorer.machine, Counter[str]()
    _add_errors(batch, machine, max_skew_seconds)
    keys = _keys(batch, machine)
    order, originals = _in_order(batch, keys)
    scored: list[tuple[Positions, dict[str, Any]]] = []
    parts = _Parts(order[originals[order] == order])
    for places in parts:
        rows = Rows(
            columns={name: batch.columns[name][places] for name in (MACHINE_ID, *machine.input_names)},
            keys=keys[places],
            sensors=_sensors(batch, machine, places),
        )
        with store.writing() as transaction:
            began = time.monotonic()
            kept = keep_rows(transaction, model, model_name, rows)
        parts.adjust(time.monotonic() - began)
        outcomes.update(kept.outcomes)
        _add_store_errors(batch, machine, places, kept)
        scored.append((places[kept.scored], kept.columns))
    for row in order[originals[order] != order].tolist():
        outcomes["repeated"] += 1
        for field, reason in batch.errors.get(int(originals[row]), ()):
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


def _in_order(batch: Batch, keys: Positions) -> tuple[Positions, Positions]:
    """The valid rows in the order of machine ids and times, and for each row of the batch the first one that is equal.

    `add_place_errors` has refused rows of one machine and time that are not equal.
    """
    rows = np.flatnonzero(batch.valid_rows())
    codes = np.unique(batch.columns[MACHINE_ID][rows], return_inverse=True)[1]
    positions = np.lexsort((rows, keys[rows], codes))
    order, codes = rows[positions], codes[positions]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (codes[1:] != codes[:-1]) | (keys[order][1:] != keys[order][:-1])
    originals = np.arange(batch.rows)
    originals[order] = order[is_first][np.cumsum(is_first) - 1]
    return order, originals


class _Parts:
    """Iterates over rows, as many at a time as one transaction should have."""

    def __init__(self, rows: Positions) -> None:
        self._rows, self._count = rows, _FEWEST_ROWS

    def __iter__(self) -> Iterator[Positions]:
        begin = 0
        while begin < len(self._rows):
            if begin:
                time.sleep(_PAUSE_SECONDS)
            end = begin + self._count
            yield self._rows[begin:end]
            begin = end

    def adjust(self, seconds: float) -> None:
        """Change the number of rows after a transaction that took `seconds`."""
        wanted = int(self._count * _TRANSACTION_SECONDS / max(seconds, 1e-6))
        self._count = min(max(wanted, _FEWEST_ROWS), _MOST_ROWS)


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
    originals: Positions,
    scored: list[tuple[Positions, dict[str, Any]]],
) -> dict[str, Any]:
    """The columns of all valid rows in their order; rows that repeat another one get the columns of that one."""
    if not scored:
        names = (*machine.history_names, *machine.input_names)
        return dict(complete(machine, {name: batch.columns[name][:0] for name in names}))
    rows = np.concatenate([places for places, _ in scored])
    position = np.empty(batch.rows, dtype=np.int64)
    position[rows] = np.arange(len(rows))
    order = position[originals[batch.valid_rows()]]
    # Each part's column is freed when it is copied: with many windows, columns take most of a batch's memory.
    return {name: np.concatenate([part.pop(name) for _, part in scored])[order] for name in list(scored[0][1])}
