"""The statistics of windows that a machine's description asks for, of a table or of one machine's readings."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..machine.history import Statistic
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from ..machine.spans import SLOPE_UNIT_US, Span
from .machine_rows import Positions, Times, machine_bounds
from .windows import Duration, Floats, Readings, window_statistics


def complete(machine: Machine, columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """`columns` (n rows of a table) with the statistics of each row's windows, computed from the rows of its machine.

    The rows may be in any order. `columns` are returned as they are if the machine has no history, or if they have the
    statistics already. Raises DataError that names a missing column, a row without machine or time, or two rows of one machine at
    the same time.
    """
    if not machine.needs_history or all(name in columns for name in machine.window_features):
        return columns
    if missing := [name for name in machine.place_names if name not in columns]:
        raise DataError(
            f"missing column: {', '.join(missing)}; the {machine.description.name} has features from the earlier readings of "
            "a machine, so each row needs its machine and its time"
        )
    machines, times = machine_codes(columns[MACHINE_ID]), as_times(columns[machine.time_name], machine)
    order = time_order(machines, times)
    ordered = {name: _numbers(columns, name, len(order))[order] for name in machine.window_sensors}
    found = window_columns(machine, ordered, times[order], machine_bounds(machines[order]), np.arange(len(order)))
    statistics = {name: np.empty(len(order)) for name in found}
    for name, values in found.items():
        statistics[name][order] = values
    return {name: columns[name] for name in machine.columns if name in columns} | statistics


def complete_reading(
    machine: Machine, reading: Mapping[str, Any], history: Sequence[Mapping[str, Any]] = ()
) -> Mapping[str, Any]:
    """`reading` with the statistics of its windows over `history`, earlier readings of the same machine in any order.

    A reading alone is one at a machine's start: it needs no time then. Raises DataError for a missing time, two readings at the
    same time, and an entry of `history` that is not earlier than the reading.
    """
    if not machine.needs_history or all(name in reading for name in machine.window_features):
        return reading
    rows = [*history, reading]
    if history:
        times = as_times([row.get(machine.time_name) for row in rows], machine)
        order = time_order(np.zeros(len(rows), dtype=np.int64), times)
        if order[-1] != len(rows) - 1:
            raise DataError(f"history: reading {int(order[-1]) + 1} is later than the reading that is scored")
    else:
        times, order = np.zeros(1), np.zeros(1, dtype=np.int64)
    sensors = {name: _cells(rows, name)[order] for name in machine.window_sensors}
    found = window_columns(machine, sensors, times[order], np.array([0, len(rows)]), np.array([len(rows) - 1]))
    return dict(reading) | {name: float(values[0]) for name, values in found.items()}


def is_shorter_than_windows(machine: Machine, reading: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether `history` does not reach back to the beginning of the longest windows of `reading`."""
    if not machine.window_features:
        return False
    spans = {feature.span for feature in machine.window_features.values()}
    if len(history) + 1 < max(span.readings or 1 for span in spans):
        return True
    times = as_times([row.get(machine.time_name) for row in (*history, reading)], machine) if history else np.zeros(1)
    return bool(times[-1] - times.min() < max(span.length for span in spans))


def complete_values(
    machine: Machine, reading: Mapping[str, Any], history: Sequence[Mapping[str, Any]], sensor: str, values: Floats
) -> Mapping[str, Floats]:
    """The statistics of the windows of `sensor`, each (m,), if the value of `reading` were one of `values` (m,)."""
    if sensor not in machine.window_sensors:
        return {}
    rows, count = [*history, reading], len(values)
    times = as_times([row.get(machine.time_name) for row in rows], machine) if history else np.zeros(1)
    order = time_order(np.zeros(len(rows), dtype=np.int64), times)
    cells = np.tile(_cells(rows, sensor)[order], (count, 1))
    cells[:, -1] = values
    bounds = np.arange(count + 1) * len(rows)
    return window_columns(machine, {sensor: cells.ravel()}, np.tile(times[order], count), bounds, bounds[1:] - 1)


def needed_rows(machine: Machine, columns: Mapping[str, Any], rows: Positions) -> Positions:
    """The positions, ascending, of the rows of a table that the features of `rows` depend on, `rows` included."""
    if not machine.needs_history:
        return np.unique(rows)
    machines, times = machine_codes(columns[MACHINE_ID]), as_times(columns[machine.time_name], machine)
    order = time_order(machines, times)
    bounds, places = machine_bounds(machines[order]), np.flatnonzero(np.isin(order, rows))
    spans = {feature.span for feature in machine.window_features.values()}
    starts = np.min([_window(span).starts(times[order], bounds)[places] for span in spans], axis=0)
    return np.unique(order[np.concatenate([np.arange(*pair) for pair in zip(starts, places + 1, strict=True)])])


def as_times(values: Any, machine: Machine) -> Times:
    """(n,) int64 microseconds of timestamps, or float64 of a counter. Raises DataError for a missing or invalid time."""
    counter = machine.time_is_counter
    try:
        if not counter and (isinstance(values, list) or values.dtype == object):
            values = [plain_time(value) for value in values]
        times: Times = np.asarray(values, dtype=np.float64 if counter else "datetime64[us]")
    except (TypeError, ValueError) as error:
        raise DataError(f"column {machine.time_name} is not a time: {error}") from None
    if (missing := np.flatnonzero(~np.isfinite(times))).size:
        raise DataError(f"row {missing[0] + 1} has no {machine.time_name}: {missing.size} of {len(times)} rows")
    return times if counter else times.view(np.int64)


def plain_time(value: str | datetime | None) -> datetime | None:
    """A text in ISO 8601, or a time, in UTC and without zone. A time without a zone is UTC. Raises ValueError."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time.astimezone(UTC).replace(tzinfo=None) if time is not None and time.tzinfo else time


def machine_codes(values: Any) -> Positions:
    """(n,) a number for each machine. Raises DataError for a row without machine."""
    names = np.asarray(values, dtype=object)
    if missing := [row for row, name in enumerate(names) if name is None or name != name]:
        raise DataError(f"row {missing[0] + 1} has no {MACHINE_ID}: {len(missing)} of {len(names)} rows")
    codes: dict[Any, int] = {}
    return np.array([codes.setdefault(name, len(codes)) for name in names], dtype=np.int64)


def time_order(machines: Positions, times: Times) -> Positions:
    """The positions of the rows in the order of machines and times. Raises DataError for two rows at the same time."""
    order = np.lexsort((times, machines))
    same = (np.diff(machines[order]) == 0) & (np.diff(times[order]) == 0)
    if same.any():
        first, second = sorted(int(row) + 1 for row in order[np.argmax(same) :][:2])
        raise DataError(
            f"rows {first} and {second} are of one machine and have the same time: {int(same.sum())} such rows"
        )
    return order


def window_columns(
    machine: Machine, sensors: Mapping[str, Floats], times: Times, bounds: Positions, rows: Positions
) -> dict[str, Floats]:
    """The window features of m readings by name, each (m,), in the order of the description, for the sensors in `sensors`.

    `sensors` has (n,) values of each sensor by name, with NaN for missing ones, in the order of machines and times. `times` (n,)
    are int64 microseconds, or float64 counts; `bounds` (M + 1,) are the machines' first readings, and the end; `rows` (m,)
    are the readings that are wanted.
    """
    features = {name: feature for name, feature in machine.window_features.items() if feature.sensor in sensors}
    names = list(dict.fromkeys(feature.sensor for feature in features.values()))
    statistics = list(dict.fromkeys(feature.statistic for feature in features.values()))
    values = np.stack([sensors[name] for name in names]) if names else np.empty((0, len(times)))
    slope_unit = SLOPE_UNIT_US if times.dtype.kind == "i" else 1.0
    found: dict[Span, Mapping[Statistic, Floats]] = {}
    for span in dict.fromkeys(feature.span for feature in features.values()):
        starts = _window(span).starts(times, bounds)
        found[span] = window_statistics(values, times, starts, rows, statistics, slope_unit)
    return {
        name: found[feature.span][feature.statistic][names.index(feature.sensor)] for name, feature in features.items()
    }


def _cells(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], dtype=np.float64)


def _numbers(columns: Mapping[str, Any], name: str, rows: int) -> npt.NDArray[np.float64]:
    return np.asarray(columns[name], dtype=np.float64) if name in columns else np.full(rows, np.nan)


def _window(span: Span) -> Duration | Readings:
    return Duration(span.length) if span.readings is None else Readings(span.readings)
