"""Past readings and events in steps of time, as a plant would have sent them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..config.params import Params
from ..errors import DataError
from ..ingestion.ingest import check_sources, ingest
from ..machine.events import EVENT_TYPE
from ..machine.machine import Machine
from ..machine.names import COUNTER, MACHINE_ID, TIMESTAMP
from ..strict_model import suggestion
from ..validation.cleaning import clean

_US_PER_HOUR = 3.6e9


@dataclass(frozen=True)
class Step:
    """What happened in one step of time, as JSON values: readings in the order of time, and events by table."""

    begins: str
    readings: list[dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Replay:
    """`past` is what the features of the first step look back at, `steps` what is sent after it."""

    past: Step
    steps: tuple[Step, ...]


def read_replay(
    params: Params,
    start: str | None,
    days: float,
    step_hours: float,
    past_days: float | None,
    shifts: Mapping[str, float] | None = None,
) -> Replay:
    """Read the sources of `params` and cut `days` from `start` on, by default the last ones, into steps.

    `past_days` are sent before; by default as many as the longest window or span of the features. `shifts` are added to the
    values of sensors from `start` on, in the units of the description. Raises ConfigError, SourceError and DataError, also for a
    machine without timestamps.
    """
    machine = params.machine
    if TIMESTAMP not in machine.columns or not machine.needs_history:
        raise DataError(f"the {machine.description.name} has no history with timestamps: there is nothing to replay")
    if unknown := [name for name in shifts or {} if name not in machine.sensor_names]:
        raise DataError(f"--shift: {unknown[0]!r} is not a sensor{suggestion(unknown[0], machine.sensor_names)}")
    check_sources(params.data.sources, machine)
    ingested = ingest(params.data.sources, machine)
    cleaned = clean(ingested, machine, params.cleaning, ingested.events)
    frame, events = cleaned.frame.sort_values([TIMESTAMP, MACHINE_ID]), cleaned.event_frames()
    end = frame[TIMESTAMP].max()
    begin = _time(start) if start else end - pd.Timedelta(days=days)
    past = pd.Timedelta(hours=_lookback_hours(machine)) if past_days is None else pd.Timedelta(days=past_days)
    chosen = frame[(frame[TIMESTAMP] >= begin) & (frame[TIMESTAMP] < begin + pd.Timedelta(days=days) + _LAST)]
    if chosen.empty:
        first = frame[TIMESTAMP].min()
        raise DataError(f"no readings from {begin} on: they are from {first} to {end}: choose another --start")
    chosen = chosen.assign(**{name: chosen[name] + shift for name, shift in (shifts or {}).items() if name in chosen})
    names = [name for name in (MACHINE_ID, TIMESTAMP, *machine.input_names) if name in frame]
    before = frame[(frame[TIMESTAMP] >= begin - past) & (frame[TIMESTAMP] < begin)]
    earlier = {name: table[table[TIMESTAMP] < begin] for name, table in events.items()}
    return Replay(
        Step(str(begin - past), _records(before, names), _events(earlier)),
        tuple(_steps(chosen, events, names, begin, pd.Timedelta(hours=step_hours))),
    )


_LAST = pd.Timedelta(microseconds=1)
"""So that the last reading of all is in the last step."""


def _time(text: str) -> pd.Timestamp:
    try:
        time = pd.Timestamp(text)
    except ValueError:
        raise DataError(f"--start: {text!r} is not a time: write 2025-06-30 or 2025-06-30T12:00") from None
    return time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")


def _lookback_hours(machine: Machine) -> float:
    spans = [feature.span for feature in machine.window_features.values()]
    spans += [feature.span for feature in machine.event_features.values() if feature.span]
    return max((span.length for span in spans), default=0.0) / _US_PER_HOUR


def _steps(
    frame: pd.DataFrame, events: Mapping[str, pd.DataFrame], names: list[str], begin: pd.Timestamp, step: pd.Timedelta
) -> Iterator[Step]:
    """Steps from `begin` on, also those without readings."""
    numbers = ((frame[TIMESTAMP] - begin) // step).to_numpy()
    for number in range(int(numbers.max()) + 1):
        since, until = begin + number * step, begin + (number + 1) * step
        happened = {
            name: table[(table[TIMESTAMP] >= since) & (table[TIMESTAMP] < until)] for name, table in events.items()
        }
        yield Step(str(since), _records(frame[numbers == number], names), _events(happened))


def _events(tables: Mapping[str, pd.DataFrame]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for name, table in tables.items():
        columns = [column for column in (MACHINE_ID, TIMESTAMP, COUNTER, EVENT_TYPE) if column in table]
        if records := _records(table, columns):
            found[name] = records
    return found


def _records(frame: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """The rows as JSON values, without missing ones."""
    columns = frame[names]
    if TIMESTAMP in columns:
        texts = np.datetime_as_string(columns[TIMESTAMP].to_numpy(dtype="datetime64[us]"), timezone="UTC")
        columns = columns.assign(**{TIMESTAMP: texts})
    rows = columns.astype(object).to_dict("records")
    return [{str(name): value for name, value in row.items() if value == value and value is not None} for row in rows]
