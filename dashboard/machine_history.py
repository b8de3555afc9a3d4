"""The history of one machine on one time axis: readings, alarms, events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from app.schemas.events import EVENTS
from app.schemas.machines import MachineHistory, StoredAlarm, StoredEvent, StoredReading
from app.schemas.reading import HISTORY
from dashboard.formatting import ALARM_ENDS
from dashboard.machine_time import axis_value, elapsed_text, exact_text
from predictive_maintenance.history.features import window_columns
from predictive_maintenance.history.machine_rows import Times
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.events import EVENT_TYPE
from predictive_maintenance.machine.history import WindowFeature
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID

ALARM, EVENT, FAILURE = "alarm", "event", "failure"
"""The kinds of marks on the time axis."""
ALARMS_LABEL = "Alarms"
_FAILURES = "failures"
"""The table of failures where the description names none."""
_SHOWN_STATISTICS = ("mean", "min", "max")
"""The statistics of windows that have the scale of their sensor."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What happened to a machine from the oldest of its shown readings on. Times are axis values, see `machine_time`.

    `readings` has the columns time, when (text), probability and those of the sensors, in the order of time; values may be
    missing. `marks` has a row for each alarm and event: row (its label), start, end (that of an event is its start), when,
    what, kind. `earlier` is the number of alarms and events before the oldest reading. `times` (n,) are those of the
    readings for `predictive_maintenance.history`. `is_whole` is false if the store has older readings.
    """

    readings: pd.DataFrame
    times: Times
    is_whole: bool
    marks: pd.DataFrame
    earlier: int

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last time."""
        times = self.readings["time"]
        return float(times.iloc[0]), float(
            max(times.iloc[-1], self.marks["end"].max() if len(self.marks) else times.iloc[-1])
        )

    @property
    def failures(self) -> pd.DataFrame:
        return self.marks[self.marks["kind"] == FAILURE]

    @property
    def alarms(self) -> pd.DataFrame:
        return self.marks[self.marks["kind"] == ALARM]


def timeline(found: MachineHistory, machine: Machine) -> Timeline:
    """Return the timeline of a machine in the store. An alarm that is open ends with the latest reading."""
    latest = found.latest[::-1]
    readings = pd.DataFrame(
        {
            "time": [axis_value(reading.time) for reading in latest],
            "when": [exact_text(reading.time) for reading in latest],
            "probability": pd.Series([reading.failure_probability for reading in latest], dtype=float),
            **{
                name: pd.Series([_number(reading.values.get(name)) for reading in latest], dtype=float)
                for name in machine.sensor_names
            },
        }
    )
    rows = [_alarm_mark(alarm, found, machine) for alarm in found.alarms] + [
        _event_mark(event, machine) for event in found.events
    ]
    marks = pd.DataFrame(rows, columns=["row", "start", "end", "when", "what", "kind"])
    first = readings["time"].iloc[0]
    shown = marks[marks["end"] >= first] if len(marks) else marks
    shown = shown.assign(start=shown["start"].clip(lower=first))
    return Timeline(
        readings=readings,
        times=as_times([reading.time for reading in latest], machine),
        is_whole=len(latest) == found.readings,
        marks=shown.reset_index(drop=True),
        earlier=len(marks) - len(shown),
    )


def latest_with_past(found: MachineHistory, machine: Machine) -> dict[str, Any]:
    """Return the latest reading of a machine in the store as `/predict` reads it, with those of `found` that it depends on.

    Readings of an earlier description that lack a required sensor are left out.
    """
    latest, *earlier = found.latest
    reading: dict[str, Any] = {name: latest.values[name] for name in machine.input_names if name in latest.values}
    if not machine.needs_history:
        return reading
    time, required = machine.time_name, set(machine.required_sensor_names)
    history = [
        {time: one.time, **{name: one.values[name] for name in machine.sensor_names if name in one.values}}
        for one in _within_windows(earlier, latest, machine)
        if required <= one.values.keys()
    ]
    events: dict[str, list[dict[str, Any]]] = {}
    for event in found.events:
        if event.table in machine.event_tables:
            kind = {EVENT_TYPE: event.type} if event.type else {}
            events.setdefault(event.table, []).append({time: event.time, **kind})
    reading |= {MACHINE_ID: found.machine_id, time: latest.time, HISTORY: history}
    return reading | ({EVENTS: events} if events else {})


def _within_windows(
    earlier: Sequence[StoredReading], latest: StoredReading, machine: Machine
) -> Sequence[StoredReading]:
    """The readings, the newest first, that the windows of the latest one contain."""
    spans = [feature.span for feature in machine.window_features.values()]
    count = max((span.readings or 1 for span in spans), default=1) - 1
    times = as_times([reading.time for reading in (latest, *earlier)], machine)
    within = times[0] - times[1:] < max((span.length for span in spans), default=0)
    return earlier[: max(count, int(within.sum()))]


def _alarm_mark(alarm: StoredAlarm, found: MachineHistory, machine: Machine) -> tuple[str, float, float, str, str, str]:
    end = found.time if alarm.closed is None else alarm.closed
    state = "open" if alarm.closed_by is None else f"closed after {ALARM_ENDS[alarm.closed_by]}"
    text = f"{exact_text(alarm.opened)} to {exact_text(end)}"
    what = f"{state}, {elapsed_text(alarm.opened, end, machine)}"
    return ALARMS_LABEL, axis_value(alarm.opened), axis_value(end), text, what, ALARM


def _event_mark(event: StoredEvent, machine: Machine) -> tuple[str, float, float, str, str, str]:
    described = machine.description.events.get(event.table)
    label = described.label if described else event.table
    time, kind = axis_value(event.time), FAILURE if event.table == _failure_table(machine) else EVENT
    return label, time, time, exact_text(event.time), event.type or label, kind


def _number(value: float | str | None) -> float | None:
    """The value of a sensor; None for a text, which an earlier description had under its name."""
    return None if isinstance(value, str) else value


def _failure_table(machine: Machine) -> str:
    failures = machine.description.label.failures
    return failures.table if failures else _FAILURES


def charted_sensors(found: Timeline, machine: Machine) -> list[str]:
    """Return the sensors with a value in the readings, without attributes of the machine, which a reading does not measure."""
    attributes = {name for names in machine.attribute_tables.values() for name in names}
    return [name for name in machine.sensor_names if name not in attributes and found.readings[name].notna().any()]


def shown_windows(machine: Machine) -> dict[str, dict[str, WindowFeature]]:
    """Return the windows that the charts can show, by their text, such as "mean of 12 h": the feature of each sensor."""
    found: dict[str, dict[str, WindowFeature]] = {}
    for feature in machine.window_features.values():
        if feature.statistic in _SHOWN_STATISTICS:
            text = feature.label.removeprefix(f"{machine.columns[feature.sensor].label}, ")
            found.setdefault(text, {})[feature.sensor] = feature
    return found


def window_values(found: Timeline, features: Mapping[str, WindowFeature], machine: Machine) -> dict[str, pd.Series]:
    """Return the statistics at each reading, by sensor, as the model gets them.

    They are missing where a window begins before the readings.
    """
    count = len(found.times)
    sensors = {name: found.readings[name].to_numpy() for name in features}
    columns = window_columns(machine, sensors, found.times, np.array([0, count]), np.arange(count))
    values = {}
    for name, feature in features.items():
        within = found.is_whole | (
            np.arange(1, count + 1) >= feature.span.readings
            if feature.span.readings
            else found.times - found.times[0] >= feature.span.length
        )
        values[name] = pd.Series(np.where(within, columns[feature.name], np.nan))
    return values
