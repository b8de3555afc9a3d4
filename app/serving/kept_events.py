"""Keep events of machines in the store: errors, maintenance, failures."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from predictive_maintenance.history.events import Events
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.events import EVENT_TYPE
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.store.rows import Actor, AuditEntry

from .kept_past import end_alarms
from .kept_rows import machine_id_fault, time_fault

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import Event
    from predictive_maintenance.store.store import Store

EventsByMachine = Mapping[str, set["Event"]]

_EVENTS_TOGETHER = 2_000
"""Events in one transaction, as far as machines allow: other processes wait for its end."""


def event_faults(
    machine: Machine, columns: Mapping[str, Sequence[Any]], max_skew_seconds: float
) -> Iterator[tuple[int, str, str]]:
    """Why events that are valid otherwise cannot be kept: (place, field, reason)."""
    times = as_times(columns[machine.time_name], machine)
    for place, (machine_id, moment) in enumerate(zip(columns[MACHINE_ID], times.tolist(), strict=True)):
        if reason := machine_id_fault(machine_id):
            yield place, MACHINE_ID, reason
        if reason := time_fault(machine, moment, max_skew_seconds):
            yield place, machine.time_name, reason


def events_by_machine(machine: Machine, tables: Events) -> dict[str, set["Event"]]:
    """The events of each machine."""
    from predictive_maintenance.store.rows import Event
    from predictive_maintenance.store.times import as_keys

    found: dict[str, set[Event]] = {}
    for table, columns in tables.items():
        keys = as_keys(as_times(columns[machine.time_name], machine)).tolist()
        types = columns.get(EVENT_TYPE) or [""] * len(keys)
        for machine_id, key, kind in zip(columns[MACHINE_ID] if keys else (), keys, types, strict=True):
            found.setdefault(machine_id, set()).add(Event(table, key, kind))
    return found


def keep_events(store: "Store", machine: Machine, model_name: str, events: EventsByMachine, actor: Actor | None) -> int:
    """Keep events, and end the alarms of machines that failed. Return the number of events.

    Some machines are in one transaction, with an entry in the audit log if `actor` is a person. If a later one fails with
    StoreError, the earlier events are kept: sent again, they are not stored twice.
    """
    received = int(time.time())
    for part in _parts(events):
        with store.writing() as transaction:
            locked = transaction.machines(model_name, part)
            happened = {locked[machine_id]: found for machine_id, found in part.items()}
            transaction.add_events(happened, received)
            end_alarms(transaction, machine, happened)
            if actor and actor.person:
                transaction.add_audit(model_name, [_audit_entry(part, actor, received)])
    return sum(map(len, events.values()))


def _audit_entry(events: EventsByMachine, actor: Actor, received: int) -> AuditEntry:
    tables = sorted({event.table for found in events.values() for event in found})
    return AuditEntry(
        at=received,
        action="events",
        actor=actor,
        subject=", ".join(tables) + (f" of {next(iter(events))}" if len(events) == 1 else ""),
        detail={"events": sum(map(len, events.values())), "machines": len(events)},
    )


def _parts(events: EventsByMachine) -> Iterator[EventsByMachine]:
    part: dict[str, set[Event]] = {}
    for machine_id in sorted(events):
        part[machine_id] = events[machine_id]
        if sum(map(len, part.values())) >= _EVENTS_TOGETHER:
            yield part
            part = {}
    if part:
        yield part
