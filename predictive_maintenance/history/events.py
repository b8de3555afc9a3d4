"""What the events before a reading say: how many in a window, and the time since the last one.

Times of readings and events are int64 microseconds or float64 counts. Both are in the order of the machines, which is the
same for both, and for each machine in the order of their times.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .machine_rows import Positions, Times, slices


@dataclass(frozen=True)
class Events:
    """Events of M machines: `times` (e,), and `bounds` (M + 1,) with the position of each machine's first one and the end."""

    times: Times
    bounds: Positions

    def by_machine(self) -> Iterator[Times]:
        """The times of each machine's events."""
        return (self.times[rows] for rows in slices(self.bounds))


def counts(times: Times, bounds: Positions, events: Events, length: float, same_instant: bool = False) -> Positions:
    """(n,) the events of the last `length` before each reading, which is not in the window itself.

    With `same_instant`, a window ends at the reading, inclusive, and does not include its own beginning.
    `bounds` (M + 1,) are the positions of each machine's first reading, and the end.
    """
    result = np.empty(len(times), dtype=np.int64)
    for rows, known in zip(slices(bounds), events.by_machine(), strict=True):
        own = times[rows]
        side = _side(same_instant)
        result[rows] = np.searchsorted(known, own, side) - np.searchsorted(known, own - own.dtype.type(length), side)
    return result


def time_since_last(
    times: Times, bounds: Positions, events: Events, same_instant: bool = False
) -> npt.NDArray[np.float64]:
    """(n,) the time since the last event before each reading, in the unit of the times. NaN where there was none."""
    result = np.full(len(times), np.nan)
    for rows, known in zip(slices(bounds), events.by_machine(), strict=True):
        own = times[rows]
        before = np.searchsorted(known, own, _side(same_instant))
        some = before > 0
        result[rows][some] = own[some] - known[before[some] - 1]
    return result


def _side(same_instant: bool) -> Any:
    return "right" if same_instant else "left"
