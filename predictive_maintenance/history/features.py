"""The features from the past that a machine's description asks for, of a table or of one machine's readings and events."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..machine.history import Statistic
from ..machine.machine import MAX_FLOAT32, Machine
from ..machine.spans import SLOPE_UNIT_US, Span
from .events import NO_EVENTS, Events, event_columns
from .machine_rows import Positions, Times
from .time_order import TimeOrder, in_time_order, of_one_machine
from .windows import Duration, Floats, Readings, window_statistics


def complete(machine: Machine, columns: Mapping[str, Any], events: Events = NO_EVENTS) -> Mapping[str, Any]:
    """`columns` (n rows of a table) with the features from the past of each row, from the rows and `events` of its machine.

    The rows may be in any order. `columns` are returned as they are if the machine has no history, or if they have the
    features already. Raises DataError that names a missing column, a row without machine or time, two rows of one machine at
    the same time, or an invalid event.
    """
    if not machine.needs_history or all(name in columns for name in machine.history_features):
        return columns
    if missing := [name for name in machine.history_names if name not in columns]:
        raise DataError(
            f"missing column: {', '.join(missing)}; the {machine.description.name} has features from the earlier readings of "
            "a machine, so each row needs its machine and its time"
        )
    return _described(machine, columns) | _past_features(machine, columns, None, events)


def complete_some(
    machine: Machine, columns: Mapping[str, Any], wanted: Positions, events: Events = NO_EVENTS
) -> dict[str, Any]:
    """The rows at the positions `wanted` as `complete` returns them. The other rows are only in their windows."""
    return take(_described(machine, columns), wanted) | _past_features(machine, columns, wanted, events)


def complete_reading(
    machine: Machine,
    reading: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]] = (),
    events: Events = NO_EVENTS,
) -> Mapping[str, Any]:
    """`reading` with its features from the past: from `history`, earlier readings of its machine in any order, and `events`.

    Events of other machines have no effect. A reading alone is one at a machine's start: it needs no time then. Raises DataError
    for a missing time, two readings at the same time, an entry of `history` that is not earlier than the reading or is of
    another machine, and an invalid event.
    """
    if not machine.needs_history or all(name in reading for name in machine.history_features):
        return reading
    rows = [*history, reading]
    if events and reading.get(machine.time_name) is None:
        raise DataError(f"{machine.time_name} is missing: events are before or after the time of the reading")
    order = of_one_machine(machine, rows, has_events=bool(events))
    if order.positions[-1] != len(rows) - 1:
        raise DataError(f"history: reading {int(order.positions[-1]) + 1} is later than the reading that is scored")
    sensors = {name: _cells(rows, name, order) for name in machine.window_sensors}
    last = np.array([len(rows) - 1])
    found = window_columns(machine, sensors, order.times, order.bounds, last)
    found |= event_columns(machine, events, order, last)
    return dict(reading) | {name: float(values[0]) for name, values in found.items()}


def is_shorter_than_windows(machine: Machine, reading: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether `history` does not reach back to the beginning of the longest windows of `reading`."""
    if not machine.window_features:
        return False
    spans = {feature.span for feature in machine.window_features.values()}
    if len(history) + 1 < max(span.readings or 1 for span in spans):
        return True
    times = of_one_machine(machine, [*history, reading]).times
    return bool(times[-1] - times[0] < max(span.length for span in spans))


def complete_values(
    machine: Machine, reading: Mapping[str, Any], history: Sequence[Mapping[str, Any]], sensor: str, values: Floats
) -> Mapping[str, Floats]:
    """The statistics of the windows of `sensor`, each (m,), if the value of `reading` were one of `values` (m,)."""
    if sensor not in machine.window_sensors:
        return {}
    rows, count = [*history, reading], len(values)
    order = of_one_machine(machine, rows)
    cells = np.tile(_cells(rows, sensor, order), (count, 1))
    cells[:, -1] = values
    bounds = np.arange(count + 1) * len(rows)
    return window_columns(machine, {sensor: cells.ravel()}, np.tile(order.times, count), bounds, bounds[1:] - 1)


def needed_rows(machine: Machine, columns: Mapping[str, Any], rows: Positions) -> Positions:
    """The positions, ascending, of the rows of a table that the features of `rows` depend on, `rows` included."""
    if not machine.needs_history:
        return np.unique(rows)
    order = in_time_order(machine, columns)
    places = np.flatnonzero(np.isin(order.positions, rows))
    spans = {feature.span for feature in machine.window_features.values()}
    windows = [_window(span).starts(order.times, order.bounds)[places] for span in spans]
    starts = np.min([places, *windows], axis=0)  # without windows, features depend on events or the counter alone
    return np.unique(
        order.positions[np.concatenate([np.arange(*pair) for pair in zip(starts, places + 1, strict=True)])]
    )


def window_columns(
    machine: Machine, sensors: Mapping[str, Floats], times: Times, bounds: Positions, rows: Positions
) -> dict[str, Floats]:
    """The window features of m readings by name, each (m,), in the order of the description, for the sensors in `sensors`.

    `sensors` has (n,) values of each sensor by name, with NaN for missing ones, in the order of machines and times. `times` (n,)
    are int64 microseconds, or float64 counts; `bounds` (M + 1,) are the machines' first readings, and the end; `rows` (m,)
    are the readings that are wanted. A statistic that is too large for float32 is missing.
    """
    features = {name: feature for name, feature in machine.window_features.items() if feature.sensor in sensors}
    names = list(dict.fromkeys(feature.sensor for feature in features.values()))
    statistics = list(dict.fromkeys(feature.statistic for feature in features.values()))
    values = np.stack([sensors[name] for name in names]) if names else np.empty((0, len(times)))
    slope_unit = SLOPE_UNIT_US if times.dtype.kind == "i" else 1.0
    found: dict[Span, Mapping[Statistic, Floats]] = {}
    for span in dict.fromkeys(feature.span for feature in features.values()):
        starts = _window(span).starts(times, bounds)
        statistics_of_span = window_statistics(values, times, starts, rows, statistics, slope_unit)
        found[span] = {name: _finite(statistic) for name, statistic in statistics_of_span.items()}
    return {
        name: found[feature.span][feature.statistic][names.index(feature.sensor)] for name, feature in features.items()
    }


def take(columns: Mapping[str, Any], rows: Positions) -> dict[str, Any]:
    """The rows of columns at the positions `rows`."""
    return {name: np.asarray(values)[rows] for name, values in columns.items()}


def _described(machine: Machine, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: columns[name] for name in machine.columns if name in columns}


def _past_features(
    machine: Machine, columns: Mapping[str, Any], wanted: Positions | None, events: Events
) -> dict[str, Floats]:
    """The features from the past of the rows at the positions `wanted` (m,), each (m,); of all n rows, each (n,), for None."""
    rows = in_time_order(machine, columns)
    count = len(rows.positions)
    ordered = {name: _numbers(columns, name, count)[rows.positions] for name in machine.window_sensors}
    places = np.empty(count, dtype=np.int64)
    places[rows.positions] = np.arange(count)
    # All rows are computed in their order, which is faster.
    chosen = np.arange(count) if wanted is None else places[wanted]
    found = window_columns(machine, ordered, rows.times, rows.bounds, chosen)
    found |= event_columns(machine, events, rows, chosen)
    return {name: values[places] for name, values in found.items()} if wanted is None else found


def _finite(statistic: Floats) -> Floats:
    """`statistic` with NaN where it is too large for a model, such as a slope over a difference of times near 0."""
    return np.where(np.abs(statistic) <= MAX_FLOAT32, statistic, np.nan)


def _cells(rows: Sequence[Mapping[str, Any]], name: str, order: TimeOrder) -> Floats:
    cells = np.array([np.nan if row.get(name) is None else row[name] for row in rows], dtype=np.float64)
    return cells[order.positions]


def _numbers(columns: Mapping[str, Any], name: str, rows: int) -> npt.NDArray[np.float64]:
    return np.asarray(columns[name], dtype=np.float64) if name in columns else np.full(rows, np.nan)


def _window(span: Span) -> Duration | Readings:
    return Duration(span.length) if span.readings is None else Readings(span.readings)
