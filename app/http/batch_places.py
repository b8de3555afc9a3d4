"""Machine and time of the readings in a batch, for machines with history: parse the times, and find invalid rows."""

from typing import Any

import numpy as np
import numpy.typing as npt

from predictive_maintenance.history.time_order import at_the_same_time, machine_codes, plain_time
from predictive_maintenance.machine.machine import MAX_FLOAT32, Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.validation.value_validation import SAME_TIME

from .batch import Batch


def add_place_errors(batch: Batch, machine: Machine, repeats: bool = False) -> None:
    """Convert the timestamps of `batch` to datetime64. Add an error for a time that is invalid, or that another row has, too.

    Only rows without another error count: an invalid row is in no window. With `repeats`, rows that are equal are valid.
    """
    name = machine.time_name
    if not machine.time_is_counter:
        batch.columns[name], invalid = _parsed(batch.columns[name])
        for row in invalid:
            batch.add_error(row, name, "is not a time in ISO 8601, such as 2024-01-31T12:00:00Z")
    elif machine.time_names:
        for row in np.flatnonzero(np.abs(batch.columns[name]) > MAX_FLOAT32).tolist():
            batch.add_error(row, name, "is too large")
    for row in np.flatnonzero(~np.isfinite(batch.columns[name])).tolist():
        if row not in batch.errors:
            batch.add_error(row, name, "is not a finite number")
    rows = np.flatnonzero(batch.valid_rows())
    _, codes = machine_codes(batch.columns[MACHINE_ID][rows])
    repeated = at_the_same_time(codes, batch.columns[name][rows])
    for row in _contradicting(batch, machine, rows[repeated].tolist()) if repeats else rows[repeated].tolist():
        batch.add_error(row, name, SAME_TIME)


def _contradicting(batch: Batch, machine: Machine, rows: list[int]) -> list[int]:
    """The rows, of those that are not the only ones of their machine and time, that are not all equal there."""
    found: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {}
    places = {row: (batch.columns[MACHINE_ID][row], batch.columns[machine.time_name][row]) for row in rows}
    for row, place in places.items():
        cells = (batch.columns[name][row] for name in machine.input_names)
        found.setdefault(place, set()).add(tuple(None if cell != cell else cell for cell in cells))
    return [row for row, place in places.items() if len(found[place]) > 1]


def _parsed(texts: npt.NDArray[Any]) -> tuple[npt.NDArray[np.datetime64], list[int]]:
    """(n,) datetime64 in microseconds, NaT for missing and invalid texts, and the rows of the invalid ones."""
    times, invalid = np.full(len(texts), "NaT", dtype="datetime64[us]"), []
    for row, text in enumerate(texts):
        try:
            times[row] = plain_time(text)
        except ValueError:
            invalid.append(row)
    return times, invalid
