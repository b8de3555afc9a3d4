"""What the store has of machines beside readings: events for features, and the alarms that decisions open and close."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from predictive_maintenance.history.alarms import is_open_after
from predictive_maintenance.history.events import NO_EVENTS, Events
from predictive_maintenance.machine.machine import Machine

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import Alarm, Event, LockedMachine, Score
    from predictive_maintenance.store.store import Transaction


def stored_events(
    transaction: "Transaction", machine: Machine, machines: Mapping["LockedMachine", str], first: int, last: int
) -> Events:
    """The events that the features of readings of `machines`, by id, from the time `first` to `last` depend on."""
    from predictive_maintenance.store.event_tables import as_tables
    from predictive_maintenance.store.lookback import Lookback

    if not machine.event_tables:
        return NO_EVENTS
    spans = [feature.span.length for feature in machine.event_features.values() if feature.span]
    beginning = Lookback(length=max(spans, default=0.0)).beginning(first, machine)
    found = transaction.events(list(machines), machine.event_tables, beginning=beginning, last=last)
    names = {locked.key: name for locked, name in machines.items()}
    return as_tables(machine, [(names[key], event) for key, events in found.items() for event in events])


def follow_alarms(
    transaction: "Transaction", machine: Machine, decided: Mapping["LockedMachine", Sequence[tuple[int, "Score"]]]
) -> None:
    """Open and close the alarms of machines by their new decisions, which have times as keys, in any order.

    A late reading changes no alarm: people have seen it already. Nor does one that arrives after the failure that has closed the
    alarm of its time.
    """
    open_alarms = transaction.open_alarms(decided)
    failures = _failures(transaction, machine, decided, max(time for rows in decided.values() for time, _ in rows))
    for locked, rows in decided.items():
        _follow(
            transaction, machine, locked, sorted(rows, key=lambda row: row[0]), failures[locked.key],
            open_alarms.get(locked.key),
        )  # fmt: skip


def end_alarms(
    transaction: "Transaction", machine: Machine, events: Mapping["LockedMachine", Collection["Event"]]
) -> None:
    """Close the open alarms of machines that failed since they opened."""
    failures = machine.description.label.failures
    open_alarms = transaction.open_alarms(events) if failures and events else {}
    for locked, happened in events.items():
        alarm = open_alarms.get(locked.key)
        failed = [event.time for event in happened if failures and event.table == failures.table]
        if alarm and (after := [time for time in failed if time > alarm.opened]):
            transaction.save_alarm(locked, replace(alarm, closed=min(after), closed_by="failure"))


def _failures(
    transaction: "Transaction", machine: Machine, machines: Collection["LockedMachine"], last: int
) -> dict[int, list[int]]:
    """The times of the failures of each machine, by key, up to `last`."""
    from predictive_maintenance.store.times import FIRST_KEY

    rule = machine.description.label.failures
    if rule is None:
        return {locked.key: [] for locked in machines}
    found = transaction.events(machines, [rule.table], beginning=FIRST_KEY, last=last)
    return {key: sorted({event.time for event in events}) for key, events in found.items()}


def _follow(
    transaction: "Transaction", machine: Machine, locked: "LockedMachine", rows: Sequence[tuple[int, "Score"]],
    failures: Sequence[int], alarm: "Alarm | None",
) -> None:  # fmt: skip
    from predictive_maintenance.store.rows import Alarm
    from predictive_maintenance.store.times import FIRST_KEY

    policy, first = machine.description.alarm_policy(), rows[0][0]
    before = [time for time in failures if time < first]
    decisions = (
        transaction.decisions(locked, after=max(before, default=FIRST_KEY), before=first, most=policy.memory - 1)
        if policy.memory > 1
        else []
    )
    left = [time for time in failures if alarm is None or time > alarm.opened]
    for time, score in rows:
        passed = [failure for failure in left if failure < time]
        left = left[len(passed) :]
        if passed:
            decisions = decisions if passed[-1] < first else []
            if alarm and passed[0] > alarm.opened:
                transaction.save_alarm(locked, replace(alarm, closed=passed[0], closed_by="failure"))
                alarm = None
        decisions = [*decisions[-(policy.memory - 1) :], score.alarm] if policy.memory > 1 else [score.alarm]
        is_open = is_open_after(alarm is not None, np.array(decisions), policy)
        if is_open and alarm is None and not transaction.had_alarm(locked, time):
            alarm = Alarm(
                opened=time,
                probability=score.probability,
                version=score.version,
                mode=score.mode,
                mode_probability=score.mode_probability,
            )
            transaction.save_alarm(locked, alarm)
        elif alarm and not is_open:
            transaction.save_alarm(locked, replace(alarm, closed=time, closed_by="decisions"))
            alarm = None
