"""Statistics of the readings in a window that ends at a reading, inclusive.

A statistic depends on the readings in its window alone, not on the rest of the table. The readings of one window
therefore give the same bits as a table of all machines, which running sums (as in `DataFrame.rolling`) do not.

Readings are in the order of their machines and, for each machine, of their times; no machine has two at the same time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..machine.history import Statistic
from .machine_rows import Positions, Times, slices

Floats = npt.NDArray[np.float64]

_CELLS_AT_A_TIME = 1 << 18
"""Cells of the windows of all sensors that are in memory at the same time. 2 MiB fit a processor's cache."""


@dataclass(frozen=True)
class Duration:
    """The readings later than `length` before a reading. `length` is in the unit of the times: microseconds or counts."""

    length: float

    def starts(self, times: Times, bounds: Positions) -> Positions:
        """(n,) the position of the first reading in the window of each reading."""
        starts = np.empty(len(times), dtype=np.int64)
        for rows in slices(bounds):
            own = times[rows]
            starts[rows] = rows.start + np.searchsorted(own, own - own.dtype.type(self.length), side="right")
        return starts


@dataclass(frozen=True)
class Readings:
    """The latest `count` readings, including the reading itself."""

    count: int

    def starts(self, times: Times, bounds: Positions) -> Positions:
        """(n,) the position of the first reading in the window of each reading."""
        machine_starts = np.repeat(bounds[:-1], np.diff(bounds))
        return np.maximum(np.arange(len(times)) - (self.count - 1), machine_starts)


def window_statistics(
    values: Floats,
    times: Times,
    starts: Positions,
    rows: Positions,
    statistics: Sequence[Statistic],
    slope_unit: float = 1.0,
) -> Mapping[Statistic, Floats]:
    """Statistics of k sensors in the windows of m readings, each (k, m).

    `values` (k, n) has NaN for missing values, which are left out. `times` (n,) are int64 microseconds or float64 counts,
    `starts` (n,) are the windows' first positions, `rows` (m,) the positions of the readings that are wanted. Slopes are
    per `slope_unit` of the times. NaN where a window has too few values: none, or for a slope fewer than two.
    """
    results = {name: np.empty((len(values), len(rows))) for name in statistics}
    for part in _parts(starts, rows, len(values)):
        window = _Windows(values, times, starts[rows[part]], rows[part], slope_unit)
        with np.errstate(divide="ignore", invalid="ignore"):
            for name in statistics:
                results[name][:, part] = _STATISTICS[name](window)
    return results


def _parts(starts: Positions, rows: Positions, sensors: int) -> Iterator[slice]:
    """Slices of `rows` whose windows together have about _CELLS_AT_A_TIME cells, at least one row each."""
    cells = np.cumsum((rows - starts[rows] + 1) * max(sensors, 1))
    begin = 0
    while begin < len(rows):
        done = cells[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(cells, done + _CELLS_AT_A_TIME, side="right")))
        yield slice(begin, end)
        begin = end


class _Windows:
    """Some windows, laid out one after the other: `cells` (k, c) and what several statistics need, computed once."""

    def __init__(self, values: Floats, times: Times, starts: Positions, rows: Positions, slope_unit: float) -> None:
        self._values, self._starts, self._rows = values, starts, rows
        self._lengths = rows - starts + 1
        self._offsets = np.cumsum(self._lengths) - self._lengths
        positions = np.arange(int(self._lengths.sum())) + np.repeat(starts - self._offsets, self._lengths)
        cells = values[:, positions]
        missing = np.isnan(cells)
        self._missing = missing if missing.any() else None
        self._cells = cells
        self._ages = (times[positions] - np.repeat(times[rows], self._lengths)) / slope_unit
        self._known: dict[str, Floats] = {}

    def _once(self, name: str, compute: Callable[[], Floats]) -> Floats:
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    def _sum(self, cells: Floats) -> Floats:
        """(k, m) sums of each window."""
        return np.add.reduceat(cells, self._offsets, axis=1)

    def _without_missing(self, cells: Floats) -> Floats:
        return cells if self._missing is None else np.where(self._missing, 0.0, cells)

    def _count(self) -> Floats:
        def compute() -> Floats:
            if self._missing is None:
                return np.broadcast_to(self._lengths.astype(np.float64), (len(self._values), len(self._rows)))
            return self._sum((~self._missing).astype(np.float64))

        return self._once("count", compute)

    def mean(self) -> Floats:
        return self._once("mean", lambda: self._sum(self._without_missing(self._cells)) / self._count())

    def _deviations(self) -> Floats:
        """(k, c) differences from the window's mean, 0 where the value is missing."""
        return self._once(
            "deviations",
            lambda: self._without_missing(self._cells - np.repeat(self.mean(), self._lengths, axis=1)),
        )

    def std(self) -> Floats:
        """The population's standard deviation: 0 for one value."""
        deviations = self._deviations()
        return np.sqrt(self._sum(deviations * deviations) / self._count())

    def min(self) -> Floats:
        return self._once("min", lambda: np.fmin.reduceat(self._cells, self._offsets, axis=1))

    def max(self) -> Floats:
        return self._once("max", lambda: np.fmax.reduceat(self._cells, self._offsets, axis=1))

    def range(self) -> Floats:
        return self.max() - self.min()

    def slope(self) -> Floats:
        """The slope of the least squares line."""
        ages = self._without_missing(np.broadcast_to(self._ages, self._cells.shape))
        means = self._sum(ages) / self._count()
        centred = self._without_missing(self._ages - np.repeat(means, self._lengths, axis=1))
        squares = self._sum(centred * centred)
        return np.where(squares > 0, self._sum(centred * self._deviations()) / squares, np.nan)

    def change(self) -> Floats:
        """The current value minus the first one in the window."""
        return self._values[:, self._rows] - self._values[:, self._starts]

    def last_difference(self) -> Floats:
        """The current value minus that of the previous reading in the window."""
        differences = self._values[:, self._rows] - self._values[:, self._rows - 1]
        return np.where(self._lengths > 1, differences, np.nan)

    def missing_share(self) -> Floats:
        return 1.0 - self._count() / self._lengths


_STATISTICS: Mapping[Statistic, Callable[[_Windows], Floats]] = {
    "mean": _Windows.mean,
    "std": _Windows.std,
    "min": _Windows.min,
    "max": _Windows.max,
    "range": _Windows.range,
    "slope": _Windows.slope,
    "change": _Windows.change,
    "last_difference": _Windows.last_difference,
    "missing_share": _Windows.missing_share,
}
