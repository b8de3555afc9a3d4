"""Time in the simulation: hours since its start, in UTC. Times that a table shows are whole seconds."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Hours = TypeVar("Hours", float, Floats)

START = pd.Timestamp("2025-01-01", tz="UTC").as_unit("us")
YEAR_H = 365 * 24
_WORKING_HOURS = (6.0, 14.0)
SATURDAY = 5


def weekday(hours: Hours) -> Hours:
    """The day of the week: 0 is Monday, 6 is Sunday."""
    return (hours // 24 + START.weekday()) % 7


def working_time(hour: float, random: np.random.Generator) -> float:
    """A time between 6 and 14 o'clock on the day of `hour`; if it is on a weekend, on the Monday after it."""
    day = hour // 24
    if (of_week := weekday(hour)) >= SATURDAY:
        day += 7 - of_week
    return whole_seconds(24 * day + random.uniform(*_WORKING_HOURS))


def whole_seconds(hour: float) -> float:
    return round(hour * 3600) / 3600
