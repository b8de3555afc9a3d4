"""Events in requests: tables of the description of the machine that is served, each with a list of events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field

from predictive_maintenance.history.events import Events
from predictive_maintenance.machine.events import EVENT_TYPE
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID

EVENTS = "events"
"""The field of a single reading, and of a batch of records, with the events of its machines."""


def event_fields(
    machine: Machine, names: Iterable[str], place_fields: Mapping[str, Any], *, of_one_machine: bool
) -> dict[str, Any]:
    """The fields of `events`: a list of events for each of the tables `names`.

    `place_fields` are machine and time of a reading. Events of one machine need not name it.
    """
    fields: dict[str, Any] = {}
    for name in names:
        table = machine.description.events[name]
        entry = dict(place_fields)
        if of_one_machine:
            entry[MACHINE_ID] = NotRequired[entry[MACHINE_ID]]
        if table.type:
            kind: Any = Literal[table.types]
            entry[EVENT_TYPE] = Annotated[kind, Field(description=f"{table.type.label}.")]
        fields[name] = (entry, f"{table.label}, in any order.")
    return fields


def as_events(given: Mapping[str, Sequence[Mapping[str, Any]]], machine: Machine) -> Events:
    """The tables of a request by column. Their entries are valid by `event_fields`. One without a machine has None for it."""
    tables: dict[str, dict[str, list[Any]]] = {}
    for name, entries in given.items():
        types = machine.description.events[name].types
        columns = [machine.time_name, *([EVENT_TYPE] if types else [])]
        if any(MACHINE_ID in entry for entry in entries):
            columns.append(MACHINE_ID)
        tables[name] = {column: [entry.get(column) for entry in entries] for column in columns}
    return tables
