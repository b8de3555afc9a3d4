"""Split rows by time: the latest ones are held out, of the same machines. It is what a model in production is asked.

The label of a row looks ahead by the horizon, and its features look back by the longest window. So rows less than both, the
embargo, before a boundary are left out: no label before it depends on what happened after it, and no feature after it on a
reading that was trained on.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import SplitSettings
from ..errors import DataError
from ..machine.machine import Machine
from ..machine.names import COUNTER, TIMESTAMP

Times = npt.NDArray[np.float64] | npt.NDArray[np.int64]

QUESTION = "How good is the model later, on the machines that it was trained on?"

_US_PER_HOUR = 3.6e9
_MAX_LOST_SHARE = 0.5


@dataclass(frozen=True)
class Places:
    """Where n rows are: `held_out` (n,), and `fold` (n,), the number of a fold of training rows or -1 for no training row."""

    held_out: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int8]
    notes: tuple[str, ...]


def is_by_time(machine: Machine, settings: SplitSettings) -> bool:
    """Whether rows are split by time: as `settings.by` says, by default where failures with timestamps are predicted.

    Raises DataError for a machine without time.
    """
    if settings.by == "time" and machine.time_name not in machine.columns:
        raise DataError(f"split.by: time in params.yaml: the {machine.description.name} has no time: write by: group")
    return settings.by == "time" or (
        settings.by == "auto" and machine.description.label.failures is not None and TIMESTAMP in machine.columns
    )


def places(rows: pd.DataFrame, machine: Machine, settings: SplitSettings) -> Places:
    """Hold out the latest `settings.test_share` of `rows`, and make folds of successive training rows.

    Raises DataError for a row without time, and if the embargoes leave too few rows.
    """
    if machine.time_name not in rows or rows[machine.time_name].isna().any():
        raise DataError(f"split.by: time in params.yaml: rows have no {machine.time_name}: write by: group")
    times = _times(rows, machine)
    embargo = _embargo(machine, times, rows)
    boundary = float(np.quantile(times, 1 - settings.test_share))
    held_out = times >= boundary
    early = times < boundary - embargo
    fold = np.full(len(rows), -1, dtype=np.int8)
    if early.any():
        shares = np.linspace(0, 1, settings.folds + 1)[1:-1]
        edges = np.quantile(times[early], shares, overwrite_input=True)  # of a copy, which is not needed any more
        fold[early] = 0
        for edge in edges:  # one after the other: there may be a hundred million rows
            fold[early & (times >= edge)] += 1
        for edge in edges:
            fold[(times >= edge - embargo) & (times < edge)] = -1
    lost = int((~held_out & (fold < 0)).sum())
    length = _text(embargo, machine)
    if lost > _MAX_LOST_SHARE * (~held_out).sum():
        raise DataError(
            f"the embargo of {length} (the horizon and the longest window) before the held-out rows and between the "
            f"{settings.folds} folds leaves {int((fold >= 0).sum()):,} of {len(rows):,} rows to train on: add data, lower "
            "split.folds, or write split.by: group in params.yaml"
        )
    start = _start(rows, held_out, machine)
    text = (
        f"the held-out rows are those from {start} on, of the same machines; {lost:,} rows within an embargo of {length} before "
        "them and between the folds are not trained on"
    )
    return Places(held_out, fold, (text,))


def _times(rows: pd.DataFrame, machine: Machine) -> Times:
    """(n,) times in microseconds or in the counter's unit. Those in microseconds are whole numbers below 2^53, as floats are."""
    if machine.time_is_counter:
        return rows[COUNTER].to_numpy(dtype=np.float64)
    return rows[TIMESTAMP].to_numpy(dtype="datetime64[us]").view(np.int64)


def _embargo(machine: Machine, times: Times, rows: pd.DataFrame) -> float:
    """The horizon plus the longest window. A window of a number of readings is as long as so many usual steps."""
    spans = [feature.span for feature in machine.window_features.values()]
    spans += [feature.span for feature in machine.event_features.values() if feature.span]
    counts = [span.readings for span in spans if span.readings]
    step = _usual_step(times, rows) if counts else 0.0
    longest = max([span.length for span in spans] + [step * count for count in counts], default=0.0)
    return longest + (machine.horizon.length if machine.horizon else 0.0)


def _usual_step(times: Times, rows: pd.DataFrame) -> float:
    """The median time between readings of a group; 0 if there is none."""
    groups = rows["group"].cat.codes.to_numpy()
    steps = np.diff(times)[groups[1:] == groups[:-1]]
    return float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0


def _text(embargo: float, machine: Machine) -> str:
    if machine.time_is_counter:
        return f"{embargo:g} {machine.unit(COUNTER)}"
    hours = embargo / _US_PER_HOUR
    return f"{hours / 24:g} d" if hours >= 48 else f"{hours:g} h"


def _start(rows: pd.DataFrame, held_out: npt.NDArray[np.bool_], machine: Machine) -> str:
    first = rows.loc[held_out, machine.time_name].min()
    return f"{first:g}" if machine.time_is_counter else str(pd.Timestamp(first).strftime("%Y-%m-%d %H:%M UTC"))
