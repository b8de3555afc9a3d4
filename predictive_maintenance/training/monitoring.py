"""What a version carries for monitoring: the distribution of its rows, and how much windows of them usually differ."""

import numpy as np
import pandas as pd

from ..machine.machine import Machine
from ..machine.names import COUNTER, MACHINE_ID, TIMESTAMP
from ..scorer.monitoring_reference import (
    ALARM,
    PROBABILITY,
    FloatArray,
    IntArray,
    MonitoringReference,
    WatchedColumn,
    attribute_columns,
    edges_of,
    machine_clusters,
    watched_inputs,
)
from .splits import SplitRows

WINDOW_ROWS = 1_000
_MIN_WINDOW_ROWS = 100


def monitoring_reference(
    rows: SplitRows, machine: Machine, probabilities: FloatArray, threshold: float, window_days: float
) -> MonitoringReference:
    """The reference of a version that gives the held-out rows these `probabilities` (n,).

    Inputs are those of the trained rows. Predictions for these would be better than those in production. Attributes are those of
    all machines, because a split leaves some out.
    """
    predictions = {PROBABILITY: probabilities, ALARM: (probabilities >= threshold).astype(np.float64)}
    windows = _windows(rows.train, window_days)
    columns = _columns(watched_inputs(machine, rows.train), windows, machine)
    columns |= _columns(predictions, _windows(rows.test, window_days), machine)
    columns |= _attributes(rows, machine, window_days)
    by_time = f"{window_days:g} days" if TIMESTAMP in rows.train else f"{WINDOW_ROWS:,} readings"
    return MonitoringReference(columns=columns, window=None if windows is None else by_time)


def _columns(values: dict[str, FloatArray], windows: IntArray | None, machine: Machine) -> dict[str, WatchedColumn]:
    return {name: WatchedColumn.of(column, edges_of(name, column, machine), windows) for name, column in values.items()}


def _attributes(rows: SplitRows, machine: Machine, window_days: float) -> dict[str, WatchedColumn]:
    """The columns that describe machines, by cluster of machines."""
    attributes = attribute_columns(machine)
    if not attributes:
        return {}
    frame = pd.concat([rows.train, rows.test], ignore_index=True)
    values = {name: column for name, column in watched_inputs(machine, frame).items() if name in attributes}
    clusters = machine_clusters(frame[MACHINE_ID].to_numpy(dtype=object))
    columns = _columns(values, _windows(frame, window_days), machine)
    return {name: column.with_clusters(values[name], clusters) for name, column in columns.items()}


def _windows(frame: pd.DataFrame, window_days: float) -> IntArray | None:
    """(n,) the number of each row's window; -1 for windows with few rows. None if time cannot tell what is at the same time."""
    if TIMESTAMP in frame:
        age = frame[TIMESTAMP] - frame[TIMESTAMP].min()
        numbers = (age // pd.Timedelta(days=window_days)).to_numpy(dtype=np.intp)
    elif COUNTER in frame or MACHINE_ID in frame:
        return None
    else:
        numbers = np.arange(len(frame)) // WINDOW_ROWS
    return np.where(np.bincount(numbers)[numbers] >= _MIN_WINDOW_ROWS, numbers, -1)
