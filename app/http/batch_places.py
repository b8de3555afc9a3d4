"""Machine and time of the readings in a batch, for machines with history: parse the times, and find invalid rows."""

from typing import Any

import numpy as np
import numpy.typing as npt

from predictive_maintenance.history.features import machine_codes, plain_time
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.validation.cell_validation import SAME_TIME

from .batch import Batch


def add_place_errors(batch: Batch, machine: Machine) -> None:
    """Convert the timestamps of `batch` to datetime64. Add an error for a time that is invalid, or that another row has, too.

    Only rows without another error count: an invalid row is in no window.
    """
    name = machine.time_name
    if not machine.time_is_counter:
        batch.columns[name], invalid = _parsed(batch.columns[name])
        for row in invalid:
            batch.add_error(row, name, "is not a time in ISO 8601, such as 2024-01-31T12:00:00Z")
    for row in np.flatnonzero(~np.isfinite(batch.columns[name])).tolist():
        if row not in batch.errors:
            batch.add_error(row, name, "is not a finite number")
    rows = np.flatnonzero(batch.valid_rows())
    machines, times = machine_codes(batch.columns[MACHINE_ID][rows]), batch.columns[name][rows]
    order = np.lexsort((times, machines))
    same = (np.diff(machines[order]) == 0) & (np.diff(times[order]).astype(np.float64) == 0)
    places = np.unique(np.flatnonzero(same)[:, None] + [0, 1])
    for position in rows[order[places]].tolist():
        batch.add_error(position, name, SAME_TIME)


def _parsed(texts: npt.NDArray[Any]) -> tuple[npt.NDArray[np.datetime64], list[int]]:
    """(n,) datetime64 in microseconds, NaT for missing and invalid texts, and the rows of the invalid ones."""
    times, invalid = np.full(len(texts), "NaT", dtype="datetime64[us]"), []
    for row, text in enumerate(texts):
        try:
            times[row] = plain_time(text)
        except ValueError:
            invalid.append(row)
    return times, invalid
