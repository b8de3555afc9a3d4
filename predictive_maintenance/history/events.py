"""What the events before a reading say: how many there were in a span, and the time since the last one.

A feature depends on the events of its span, or on the last event, alone. Two events of one machine at the same time and of
the same type count once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..machine.events import EVENT_TYPE
from ..machine.history import EventFeature
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from ..machine.spans import SLOPE_UNIT_US
from ..strict_model import suggestion
from .machine_rows import Positions, Times, slices
from .time_order import TimeOrder, as_times

Events = Mapping[str, Mapping[str, Any]]
"""Tables of events by name. Each has the columns machine_id, time and, if its events have types, type: (e,) values each."""

NO_EVENTS: Events = {}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OrderedEvents:
    """Events in the order of M machines and of their times.

    `times` (e,) are int64 microseconds or float64 counts, `types` (e,) the places of their types in the description, and
    `bounds` (M + 1,) the place of each machine's first event, and the end. `positions` (e,) are their places in their table.
    """

    times: Times
    types: npt.NDArray[np.int16]
    bounds: Positions
    positions: Positions

    def of_type(self, place: int) -> "OrderedEvents":
        """The events of one type, by its place in the description."""
        chosen = self.types == place
        before = np.concatenate([[0], np.cumsum(chosen)])
        return OrderedEvents(self.times[chosen], self.types[chosen], before[self.bounds], self.positions[chosen])


def check_events(machine: Machine, events: Events) -> None:
    """Raise DataError for an invalid event, or a table that the description does not have."""
    check_tables(machine, events)
    for table, given in events.items():
        times = _times(machine, given, table)
        _kinds(given, table, machine.description.events[table].types, len(times))


def check_tables(machine: Machine, events: Events) -> None:
    """Raise DataError for a table that the description does not have."""
    known = machine.description.events
    if unknown := [name for name in events if name not in known]:
        hint = suggestion(unknown[0], known) if known else ": it has no events"
        raise DataError(f"events: the {machine.description.name} has no table {unknown[0]!r}{hint}")


def ordered_events(machine: Machine, events: Events, table: str, machines: Sequence[Any]) -> OrderedEvents:
    """The events of `machines` (M ids, in the order of the readings) in one table; those of other machines are left out.

    Events without a machine are those of the machine, if there is one only. Raises DataError for an event without time, or
    with a type that the description does not have.
    """
    given, types = events.get(table, {}), machine.description.events[table].types
    times = _times(machine, given, table)
    owners = _owners(given, table, machines, len(times))
    kinds = _kinds(given, table, types, len(times))
    positions = np.flatnonzero(owners >= 0)
    times, kinds = times[positions], kinds[positions]
    order = np.lexsort((kinds, times, owners[positions]))
    owners, times, kinds = owners[positions][order], times[order], kinds[order]
    again = np.zeros(len(owners), dtype=bool)
    again[1:] = (owners[1:] == owners[:-1]) & (times[1:] == times[:-1]) & (kinds[1:] == kinds[:-1])
    bounds = np.searchsorted(owners[~again], np.arange(len(machines) + 1)).astype(np.int64)
    return OrderedEvents(times[~again], kinds[~again], bounds, positions[order][~again])


def event_columns(machine: Machine, events: Events, order: TimeOrder, rows: Positions) -> dict[str, Floats]:
    """The event features of m readings by name, each (m,), in the order of the description.

    `order` are the readings, and `rows` (m,) the places in it of those that are wanted. A table that is not in `events` has no
    events. Raises DataError as `ordered_events` does.
    """
    check_tables(machine, events)
    tables = {name: ordered_events(machine, events, name, order.machines) for name in machine.event_tables}
    same_instant = bool(machine.description.history and machine.description.history.same_instant)
    found: dict[str, Floats] = {}
    for name, feature in machine.event_features.items():
        chosen = _chosen(machine, tables[feature.table], feature)
        found[name] = _feature(feature, chosen, order, same_instant)[rows]
    return found


def needed_events(machine: Machine, events: Events, order: TimeOrder, rows: Positions) -> dict[str, Positions]:
    """The positions, ascending, of the events in each table that the features of `rows` (m,), places in `order`, depend on."""
    side = _side(bool(machine.description.history and machine.description.history.same_instant))
    needed: dict[str, list[Positions]] = {name: [] for name in machine.event_tables}
    tables = {name: ordered_events(machine, events, name, order.machines) for name in machine.event_tables}
    owners = np.searchsorted(order.bounds, rows, side="right") - 1
    for feature in machine.event_features.values():
        chosen = _chosen(machine, tables[feature.table], feature)
        for owner, time in zip(owners, order.times[rows], strict=True):
            first, end = chosen.bounds[owner], chosen.bounds[owner + 1]
            known = chosen.times[first:end]
            last = np.searchsorted(known, time, side)
            length = feature.span.length if feature.span else None
            begin = last - 1 if length is None else np.searchsorted(known, time - known.dtype.type(length), side)
            needed[feature.table].append(chosen.positions[first:end][max(begin, 0) : last])
    return {
        name: np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64) for name, parts in needed.items()
    }


def _feature(feature: EventFeature, events: OrderedEvents, order: TimeOrder, same_instant: bool) -> Floats:
    """(n,) the feature of each reading in `order`."""
    result = np.full(len(order.times), 0.0 if feature.span else np.nan)
    side = _side(same_instant)
    unit = SLOPE_UNIT_US if order.times.dtype.kind == "i" else 1.0
    for rows, known in zip(slices(order.bounds), slices(events.bounds), strict=True):
        own, past = order.times[rows], events.times[known]
        if not len(past):
            continue
        before = np.searchsorted(past, own, side)
        if feature.span:
            result[rows] = before - np.searchsorted(past, own - own.dtype.type(feature.span.length), side)
        else:
            some = before > 0
            result[rows][some] = (own[some] - past[before[some] - 1]) / unit
    return result


def _chosen(machine: Machine, events: OrderedEvents, feature: EventFeature) -> OrderedEvents:
    if feature.type is None:
        return events
    return events.of_type(machine.description.events[feature.table].types.index(feature.type))


def _owners(given: Mapping[str, Any], table: str, machines: Sequence[Any], count: int) -> Positions:
    """(e,) the place of each event's machine in `machines`, or -1. An event without a machine is one of the only machine."""
    names = given.get(MACHINE_ID, (None,) * count)
    is_alone = len(machines) == 1
    if len(names) != count or (not is_alone and any(name is None for name in names)):
        raise DataError(f"events: {table}: each event needs its {MACHINE_ID}")
    if is_alone and machines[0] is None and any(name is not None for name in names):
        raise DataError(f"events: {table}: events name their machine: the reading needs its {MACHINE_ID}, too")
    places = {name: place for place, name in enumerate(machines)} | ({None: 0} if is_alone else {})
    return np.array([places.get(name, -1) for name in names], dtype=np.int64)


def _times(machine: Machine, given: Mapping[str, Any], table: str) -> Times:
    values = given.get(machine.time_name, ())
    if not len(values):
        return np.empty(0, dtype=np.float64 if machine.time_is_counter else np.int64)
    try:
        return as_times(values, machine)
    except DataError as error:
        raise DataError(f"events: {table}: {error}") from None


def _kinds(given: Mapping[str, Any], table: str, types: Sequence[str], count: int) -> npt.NDArray[np.int16]:
    """(e,) the place of each event's type in the description; 0 without types."""
    if not types:
        return np.zeros(count, dtype=np.int16)
    places = {name: place for place, name in enumerate(types)}
    kinds = np.array([places.get(kind, -1) for kind in given.get(EVENT_TYPE, ())], dtype=np.int16)
    if len(kinds) != count or (kinds < 0).any():
        wrong = given[EVENT_TYPE][int(np.argmin(kinds))] if len(kinds) == count else None
        problem = f"{wrong!r} is not one of {', '.join(types)}" if len(kinds) == count else "is missing"
        raise DataError(f"events: {table}: type {problem}")
    return kinds


def _side(same_instant: bool) -> Any:
    return "right" if same_instant else "left"
