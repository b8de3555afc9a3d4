"""Keep what people found out about alarms and predictions."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.store.rows import Actor, AuditEntry

from ..problems import Problem, field_problem
from ..schemas.feedback import Feedback
from .kept_rows import time_fault

if TYPE_CHECKING:
    from predictive_maintenance.store import rows
    from predictive_maintenance.store.store import Store, Transaction

T = TypeVar("T")


def feedback_rows(machine: Machine, given: Sequence[Feedback], max_skew_seconds: float) -> list["rows.Feedback"]:
    """The reports as the store keeps them. Raises Problem for one that does not fit the description of `machine`."""
    from predictive_maintenance.store.rows import Feedback as Row

    return [
        Row(
            subject=_subject(machine, report, row, max_skew_seconds),
            verdict=report.verdict,
            mode=_mode(machine, report, row),
            failed=None
            if report.failed is None
            else time_as_key(machine, report.failed, row, "failed", max_skew_seconds),
            comment=report.comment,
            author=report.by,
        )
        for row, report in _rows(given)
    ]


def keep_feedback(
    store: "Store", machine: Machine, model_name: str, given: Sequence["rows.Feedback"], actor: Actor
) -> Counter[str]:
    """Keep reports, and return the number of new, changed and repeated ones. The newest about a subject counts, all are kept.

    Each new or changed one has an entry in the audit log.

    Raises Problem, and keeps nothing, if one is about an alarm that the store does not have.
    """
    outcomes, received = Counter[str](), int(time.time())
    entries: list[AuditEntry] = []
    with store.writing() as transaction:
        for row, report in _rows(given):
            newest = transaction.newest_feedback(model_name, report.subject)
            if report.subject.kind == "alarm":
                report = _with_failure(transaction, machine, model_name, report, newest, row)
            outcome = "new" if newest is None else "repeated" if newest == report else "changed"
            if outcome != "repeated":
                transaction.add_feedback(model_name, report, received)
                entries.append(_audit_entry(machine, report, actor, received))
            outcomes[outcome] += 1
        transaction.add_audit(model_name, entries)
    return outcomes


def _audit_entry(machine: Machine, report: "rows.Feedback", actor: Actor, received: int) -> AuditEntry:
    from predictive_maintenance.store.times import shown_time

    kind, name, place = report.subject.kind, report.subject.name, report.subject.place
    where = {
        "alarm": f"{name}, {shown_time(place, machine)}" if kind == "alarm" else "",
        "request": f"{name}, row {place}",
    }
    detail = {"verdict": report.verdict, "failure_mode": report.mode, "by": report.author, "comment": report.comment}
    return AuditEntry(
        at=received,
        action="feedback",
        actor=actor,
        subject=f"{kind} {'of ' if kind == 'alarm' else ''}{where.get(kind, name)}",
        detail={key: value for key, value in detail.items() if value},
    )


def _rows(given: Sequence[T]) -> Iterator[tuple[int | None, T]]:
    """The reports with their rows as errors name them: from 1, None for a single one."""
    return ((None if len(given) == 1 else row, report) for row, report in enumerate(given, start=1))


def _with_failure(
    transaction: "Transaction",
    machine: Machine,
    model_name: str,
    report: "rows.Feedback",
    newest: "rows.Feedback | None",
    row: int | None,
) -> "rows.Feedback":
    """The report with the time of the failure, if it confirms an alarm of a machine with a table of failures."""
    subject = report.subject
    if (found := transaction.alarm(model_name, subject.name, subject.place)) is None:
        raise field_problem([(row, "alarm", f"the store has no alarm of {subject.name!r} that opened at this time")])
    alarm, latest = found
    if report.failed is not None and report.failed < alarm.opened:
        raise field_problem([(row, "failed", "is before the alarm opened")])
    if report.verdict != "confirmed" or report.failed is not None or not machine.description.label.failures:
        return report
    if newest is not None and newest.failed is not None:
        return replace(report, failed=newest.failed)
    if alarm.closed is not None:
        return replace(report, failed=alarm.closed)
    return replace(report, failed=alarm.opened if latest is None else max(alarm.opened, latest))


def _subject(machine: Machine, report: Feedback, row: int | None, max_skew_seconds: float) -> "rows.Subject":
    from predictive_maintenance.store.rows import Subject

    if report.reading_id is not None:
        return Subject("reading", report.reading_id)
    if report.request_id is not None:
        return Subject("request", report.request_id, report.row or 1)
    if not machine.can_be_kept:
        raise field_problem([(row, "alarm", f"a {machine.description.name} has no alarms: name a reading_id")])
    assert report.machine_id is not None
    return Subject("alarm", report.machine_id, time_as_key(machine, report.alarm, row, "alarm", max_skew_seconds))


def _mode(machine: Machine, report: Feedback, row: int | None) -> str | None:
    choices, failures = machine.feedback_modes, machine.description.label.failures
    if report.failure_mode is None:
        types = machine.description.events[failures.table].types if failures else ()
        if report.verdict == "confirmed" and report.alarm is not None and types:
            raise _wrong_mode(row, "is missing", choices)
        return None
    if report.failure_mode not in choices:
        raise _wrong_mode(row, f"{report.failure_mode[:60]!r} is unknown", choices)
    return report.failure_mode


def _wrong_mode(row: int | None, reason: str, choices: Sequence[str]) -> Problem:
    known = f"name one of {', '.join(choices)}" if choices else "the description has no failure modes"
    return field_problem([(row, "failure_mode", f"{reason}: {known}")])


def time_as_key(machine: Machine, moment: Any, row: int | None, field: str, max_skew_seconds: float) -> int:
    """The time of a field as the store orders it. Raises Problem for an invalid one, and one in the future."""
    from predictive_maintenance.store.times import as_keys

    if isinstance(moment, str) == machine.time_is_counter:
        raise field_problem([(row, field, f"is not a {machine.time_name} of this machine")])
    try:
        times = as_times([moment], machine)
    except DataError:
        raise field_problem([(row, field, f"is not a {machine.time_name} of this machine")]) from None
    if reason := time_fault(machine, times[0], max_skew_seconds):
        raise field_problem([(row, field, reason)])
    return int(as_keys(times)[0])
