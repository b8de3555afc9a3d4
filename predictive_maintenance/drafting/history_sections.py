"""The sections of a draft that further tables make possible: events, history, a label from failures, and alarms."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..machine.header_matching import header_key
from ..printable import printable
from .column_headers import ColumnNamer
from .column_kinds import is_called_failure, is_called_maintenance
from .column_names import label_of
from .column_profile import ColumnProfile
from .observed_times import ObservedTimes, UsualSpan
from .table_roles import EventRoles
from .yaml_lines import CHECK, Noted

_MAX_SPLIT_TYPES = 20
_MANY_SENSORS = 30


def events_section(
    tables: Sequence[EventRoles], known_headers: Sequence[str], known_time: Sequence[str]
) -> dict[str, Any]:
    """The section of each table of events. `known_headers` and `known_time` are those of the readings' machine and time."""
    return {table.name: _event_table(table, known_headers, known_time) for table in tables}


def _event_table(table: EventRoles, known_headers: Sequence[str], known_time: Sequence[str]) -> Noted:
    section: dict[str, Any] = {"label": label_of(table.name)}
    for key, column, known in (
        ("machine_headers", table.machine, known_headers), ("time_headers", table.time, known_time),
    ):  # fmt: skip
        if header_key(column.header) not in map(header_key, known):
            what = "the machine of the event" if column is table.machine else "the time of the event"
            section[key] = Noted([printable(column.header)], f"{CHECK}{what}")
    if table.type:
        values = Noted(table.types, f"{CHECK}these are all; an event with another value is rejected")
        section["type"] = {
            "label": label_of(table.type.header), "values": values, "headers": [printable(table.type.header)],
        }  # fmt: skip
    note = (
        f"{CHECK}{table.name} has {table.table.rows:,} rows: machine {printable(table.machine.header)!r}, time "
        f"{printable(table.time.header)!r}, " + (f"type {printable(table.type.header)!r}" if table.type else "no types")
    )
    return Noted(section, note)


def history_section(
    tables: Sequence[EventRoles],
    failures: EventRoles | None,
    times: ObservedTimes,
    windows: Sequence[UsualSpan],
    sensors: int,
) -> Noted:
    """Windows, statistics and features from events. Tables of failures are the label, or would be one, and no input."""
    many = sensors > _MANY_SENSORS
    section: dict[str, Any] = {
        "windows": Noted(
            [window.text for window in windows],
            f"{CHECK}a machine has a reading every {times.text(times.interval)}, and {times.text(float(times.spans.mean()))} of "
            "readings on average; failures should show within the longest window",
        ),
        "statistics": Noted(
            ["mean", "slope"] if many else ["mean", "std", "slope"],
            f"{CHECK}each makes a feature for each sensor and window"
            + (f"; there are {sensors} sensors" if many else ""),
        ),
    }
    inputs = {table.name: _event_rule(table, windows) for table in tables if not is_called_failure(table.name)}
    if inputs:
        section["events"] = inputs
    left_out = [table.name for table in tables if table.name not in inputs and table is not failures]
    also = f"; {', '.join(left_out)} is no input, because its name says failure" if left_out else ""
    return Noted(section, f"{CHECK}what is computed from the earlier readings and events of a machine{also}")


def _event_rule(table: EventRoles, windows: Sequence[UsualSpan]) -> Noted:
    by_type = {"by_type": True} if 1 < len(table.types) <= _MAX_SPLIT_TYPES else {}
    if is_called_maintenance(table.name):
        note = "its name says maintenance: parts wear from one to the next, so the time since the last one counts"
        return Noted({"time_since_last": True, **by_type}, CHECK + note)
    spans = [window.text for window in windows[-2:]]
    return Noted({"count_over": spans, **by_type}, f"{CHECK}how many there were lately counts, as for error codes")


def failures_label(table: EventRoles, times: ObservedTimes, horizon: UsualSpan, namer: ColumnNamer) -> dict[str, Any]:
    """The label section: a failure within the horizon, and the modes by the failure's type."""
    named = namer.plain(f"fails within {horizon.text}")
    share = times.fails_within(horizon.length).mean()
    note = (
        f"{CHECK}how far ahead a failure is predicted: long enough to plan a repair. "
        f"{times.known_failures:,} failures of machines with readings, "
        f"one in {times.text(times.time_to_failure)} of operation; {share:.1%} of the readings are within "
        f"{horizon.text} before one. Add ignore_after if readings after a failure are those of a repair"
    )
    section: dict[str, Any] = {
        "column": Noted(named.name, "computed from the failures"),
        "label": f"Failure within {horizon.text}",
        "failures": Noted({"table": table.name, "horizon": horizon.text}, note),
    }
    if modes := dict(_modes(table, namer)):
        section["modes"] = Noted(modes, f"{CHECK}kinds of failure, from the type of the failure")
    return section


def _modes(table: EventRoles, namer: ColumnNamer) -> Iterator[tuple[str, Any]]:
    for kind in table.types:
        suffix = "" if is_called_failure(kind) else " failure"
        yield namer.plain(kind + suffix).name, {"label": label_of(kind) + suffix, "type": kind}


def alarm_section() -> Noted:
    """An alarm policy that one outlier does not open and that does not flap."""
    note = f"{CHECK}an alarm opens at two positive decisions of three, and closes at the sixth negative one in a row"
    return Noted({"open": "2 of 3", "close_after": 6}, note)


def with_headers(section: dict[str, Any], name: str, columns: Iterable[ColumnProfile]) -> dict[str, Any]:
    """The section of the canonical column `name` with the headers of further columns."""
    headers = [*section.get("headers", ())]
    for column in columns:
        if header_key(column.header) not in map(header_key, (name, *headers)):
            headers.append(printable(column.header))
    return {**section, "headers": headers} if headers else section
