"""Times of a machine's readings: ISO 8601 texts in UTC, or values of a counter."""

from datetime import datetime, timedelta

from dashboard.formatting import duration, number, utc_time, with_unit
from predictive_maintenance.machine.machine import Machine

Time = str | float


def time_text(time: Time, machine: Machine) -> str:
    """Format a time: date and minute in UTC, or the counter with its unit."""
    return utc_time(time) if isinstance(time, str) else with_unit(time, machine.unit(machine.time_name))


def elapsed_text(start: Time, end: Time, machine: Machine) -> str:
    """Format what passed between two times: a duration in its largest unit, or a difference of the counter."""
    elapsed = axis_value(end) - axis_value(start)
    if isinstance(start, str):
        return duration(timedelta(milliseconds=elapsed))
    return with_unit(elapsed, machine.unit(machine.time_name))


def axis_value(time: Time) -> float:
    """A time as a number in the order of time: milliseconds since 1970, or the counter."""
    return datetime.fromisoformat(time).timestamp() * 1000 if isinstance(time, str) else time


def exact_text(time: Time) -> str:
    """Format a time for a point of a chart, to the second."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M:%S} UTC" if isinstance(time, str) else number(time, None)
