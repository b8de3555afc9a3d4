"""The failures of confirmed alarms, for training and for monitoring."""

from collections.abc import Sequence

from ..machine.machine import Machine
from .rows import AlarmReport, Event


def confirmed_failures(
    stored: Sequence[tuple[str, Event]], reports: Sequence[AlarmReport], machine: Machine
) -> list[tuple[str, Event]]:
    """The failures of confirmed alarms that the store does not have as events, with their machines, by time.

    `stored` are events of a machine with a table of failures. A failure since the alarm opened is the same one as the alarm's: an
    event, or the earlier failure of another confirmed alarm. The order in which the reports arrived does not matter.
    """
    label = machine.description.label
    assert label.failures is not None
    table, types = label.failures.table, label.mode_types()
    times: dict[str, list[int]] = {}
    for name, event in stored:
        if event.table == table:
            times.setdefault(name, []).append(event.time)
    confirmed = [
        (report.failed, report.opened, report)
        for report in reports
        if report.verdict == "confirmed" and report.failed is not None
    ]
    found: list[tuple[str, Event]] = []
    for failed, opened, report in sorted(confirmed, key=lambda one: one[:2]):
        own = times.setdefault(report.machine_id, [])
        if not any(opened <= time <= failed for time in own):
            own.append(failed)
            found.append((report.machine_id, Event(table, failed, types.get(report.mode or "", report.mode or ""))))
    return found
