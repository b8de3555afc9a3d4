"""Times as integers that a database orders exactly: microseconds of a timestamp, or the bits of a counter."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from ..history.machine_rows import Positions, Times
from ..machine.machine import Machine

FIRST_KEY, LAST_KEY = -(2**63), 2**63 - 1
"""Before and after all times."""

_ALL_BUT_SIGN = np.int64(LAST_KEY)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  times are in UTC and without zone, as in `history`
_MICROSECOND = timedelta(microseconds=1)


def as_keys(times: Times) -> Positions:
    """(n,) int64 keys of times, in their order: int64 microseconds as they are, float64 counts by their bits.

    A double precision column would round microseconds, and a decimal one takes more space and time.
    """
    if times.dtype.kind == "i":
        return times.astype(np.int64, copy=False)
    bits = (times + 0.0).view(np.int64)  # + 0.0 makes 0.0 of -0.0
    return np.where(bits < 0, bits ^ _ALL_BUT_SIGN, bits)


def as_times(keys: npt.ArrayLike, machine: Machine) -> Times:
    """(n,) int64 microseconds, or float64 counts, of keys."""
    bits = np.asarray(keys, dtype=np.int64)
    return np.where(bits < 0, bits ^ _ALL_BUT_SIGN, bits).view(np.float64) if machine.time_is_counter else bits


def plain_times(keys: npt.ArrayLike, machine: Machine) -> list[datetime] | list[float]:
    """Times of keys as a reading has them: in UTC and without zone, or counts."""
    times: list[Any] = as_times(keys, machine).tolist()
    return times if machine.time_is_counter else [_EPOCH + time * _MICROSECOND for time in times]


def shown_times(keys: npt.ArrayLike, machine: Machine) -> list[str | float]:
    """Times of keys as the API writes them: ISO 8601 in UTC, or numbers."""
    times = plain_times(keys, machine)
    return [f"{time.isoformat()}Z" if isinstance(time, datetime) else time for time in times]


def shown_time(key: int, machine: Machine) -> str | float:
    """A time as the API writes it."""
    (time,) = shown_times([key], machine)
    return time


def seconds_as_text(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
