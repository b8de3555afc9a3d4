"""Events of machines as features need them: tables by column."""

from collections.abc import Sequence
from typing import Any

from ..history.events import Events
from ..machine.events import EVENT_TYPE
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID
from .rows import Event
from .times import as_times


def as_tables(machine: Machine, events: Sequence[tuple[str, Event]]) -> Events:
    """Events of machines, by id, as tables by column."""
    tables: dict[str, dict[str, Any]] = {}
    for name in {event.table for _, event in events}:
        own = [(machine_id, event) for machine_id, event in events if event.table == name]
        times = as_times([event.time for _, event in own], machine)
        tables[name] = {
            MACHINE_ID: [machine_id for machine_id, _ in own],
            machine.time_name: times if machine.time_is_counter else times.view("datetime64[us]"),
        }
        if machine.description.events[name].types:
            tables[name][EVENT_TYPE] = [event.type for _, event in own]
    return tables
