"""Readings in the store with their history as it was when they were scored.

What arrived later, such as a late reading or a maintenance that was reported the next day, is left out: the version in
production did not know it either. Times of arrival have seconds: what arrived in the same second counts as known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from ..history.features import complete_some, take
from ..machine.compatibility import SAME_UNIT, unit_conversion
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from ..store.event_tables import as_tables
from ..store.known_past import KnownPast, KnownReading
from ..store.lookback import Lookback
from ..store.rows import Event, Sensors
from ..store.times import as_times

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class KeptPredictions:
    """n predictions of readings in the store: machine, time as a key, and when they were made, in seconds since 1970."""

    machine_ids: Sequence[str]
    keys: Sequence[int]
    known: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Predictions at the positions `wanted` that had the same past, and this past: readings by time, and events."""

    wanted: Sequence[int]
    readings: Mapping[int, Sensors]
    events: Sequence[Event]


def columns_with_past(
    past: KnownPast, machine: Machine, production: Machine, scored: KeptPredictions
) -> tuple[Positions, dict[str, Any]]:
    """The positions (m,) of the predictions whose readings the store still has, and their columns with features from the past.

    The columns are those of `machine`, the readings those of `production`.

    Raises StoreError.
    """
    groups = list(_groups(past, machine, scored))
    rows = [
        (str(number), key, sensors) for number, group in enumerate(groups) for key, sensors in group.readings.items()
    ]
    place = {(name, key): row for row, (name, key, _) in enumerate(rows)}
    wanted = [
        (position, place[str(number), scored.keys[position]])
        for number, group in enumerate(groups)
        for position in group.wanted
    ]
    if not wanted:
        return np.empty(0, dtype=np.intp), {}
    positions, chosen = np.array(wanted, dtype=np.intp).T
    columns = input_columns(
        machine, production, {name: [sensors.get(name) for _, _, sensors in rows] for name in machine.input_names}
    )
    if not machine.needs_history:
        return positions, take(columns, chosen)
    times = as_times([key for _, key, _ in rows], machine)
    columns[MACHINE_ID] = np.array([name for name, _, _ in rows], dtype=object)
    columns[machine.time_name] = times if machine.time_is_counter else times.view("datetime64[us]")
    events = as_tables(machine, [(str(number), event) for number, group in enumerate(groups) for event in group.events])
    return positions, complete_some(machine, columns, chosen, events)


def input_columns(machine: Machine, production: Machine, values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Values of the inputs of `production` as columns of those of `machine`, in its units.

    A value of another kind than its description says is missing.
    """
    rows = len(next(iter(values.values())))
    columns: dict[str, Any] = {}
    for name in machine.input_names:
        given = values.get(name) or [None] * rows
        if name in machine.sensor_names:
            numbers = [value if isinstance(value, int | float) else np.nan for value in given]
            columns[name] = np.array(numbers, dtype=np.float64)
            known = unit_conversion(machine, production, name) if name in production.sensor_names else None
            if known and known != SAME_UNIT:
                columns[name] = columns[name] * known[0] + known[1]
        else:
            columns[name] = np.array([value if isinstance(value, str) else None for value in given], dtype=object)
    return columns


def _groups(past: KnownPast, machine: Machine, scored: KeptPredictions) -> Iterator[_Group]:
    ids, keys = scored.machine_ids, scored.keys
    order = sorted(range(len(ids)), key=lambda position: (ids[position], keys[position]))
    for machine_id, positions in groupby(order, key=ids.__getitem__):
        key = past.machine(machine_id)
        if key is None:
            continue
        for stretch in _stretches(list(positions), keys, machine):
            yield from _with_same_past(past, machine, key, stretch, scored)


def _stretches(positions: Sequence[int], keys: Sequence[int], machine: Machine) -> Iterator[list[int]]:
    """Positions, in the order of their times, whose windows overlap: what lies between others is not read."""
    lookback, stretch = _lookback(machine), list[int]()
    for position in positions:
        if stretch and lookback.beginning(keys[position], machine) > keys[stretch[-1]]:
            yield stretch
            stretch = []
        stretch.append(position)
    yield stretch


def _with_same_past(
    past: KnownPast, machine: Machine, key: int, stretch: Sequence[int], scored: KeptPredictions
) -> Iterator[_Group]:
    """The predictions of a stretch: together, but one before which something arrived late is read alone."""
    known = [scored.known[position] for position in stretch]
    readings = _window(past, machine, key, stretch, scored)
    times, arrived = np.array(list(readings)), np.array([one.received for one in readings.values()])
    latest_arrival = np.maximum.accumulate(arrived) if len(arrived) else arrived
    has_late_event = bool(machine.event_tables) and past.has_event_of(key, after=min(known), known=max(known))
    alone, together = list[int](), list[int]()
    for position in stretch:
        before = int(np.searchsorted(times, scored.keys[position]))
        is_late = before and latest_arrival[before - 1] > scored.known[position]
        (alone if has_late_event or is_late else together).append(position)
    for positions in ([together] if together else []) + [[position] for position in alone]:
        found = readings if positions is together else _window(past, machine, key, positions, scored)
        if present := [position for position in positions if scored.keys[position] in found]:
            sensors = {time: reading.sensors for time, reading in found.items()}
            yield _Group(wanted=present, readings=sensors, events=_events(past, machine, key, positions, scored))


def _window(
    past: KnownPast, machine: Machine, key: int, positions: Sequence[int], scored: KeptPredictions
) -> dict[int, KnownReading]:
    lookback, first = _lookback(machine), scored.keys[positions[0]]
    return past.window(
        key, lookback, first=first, beginning=lookback.beginning(first, machine), last=scored.keys[positions[-1]],
        known=max(scored.known[position] for position in positions),
    )  # fmt: skip


def _events(
    past: KnownPast, machine: Machine, key: int, positions: Sequence[int], scored: KeptPredictions
) -> list[Event]:
    if not machine.event_tables:
        return []
    spans = [feature.span.length for feature in machine.event_features.values() if feature.span]
    beginning = Lookback(length=max(spans, default=0.0)).beginning(scored.keys[positions[0]], machine)
    known = max(scored.known[position] for position in positions)
    return past.events(key, machine.event_tables, beginning=beginning, last=scored.keys[positions[-1]], known=known)


@lru_cache(maxsize=4)
def _lookback(machine: Machine) -> Lookback:
    return Lookback.of(machine)
