"""When readings and failures happened, and the horizon and the windows that fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..history.labels import FAILS, horizon_labels
from ..history.machine_rows import Times, machine_bounds
from .column_profile import ColumnProfile

_MINUTE_US = 60e6
_TIMES = {
    "1min": 1, "5min": 5, "15min": 15, "30min": 30, "1h": 60, "3h": 180, "6h": 360, "12h": 720, "24h": 1440, "3d": 4320,
    "7d": 10_080, "14d": 20_160, "30d": 43_200, "90d": 129_600,
}  # fmt: skip
"""Usual spans of time in minutes."""
_LONGEST_HORIZON_US = 7 * 1440 * _MINUTE_US
_READINGS_IN_WINDOW, _HORIZONS_PER_FAILURE, _HORIZONS_IN_OBSERVED = 5, 4, 10
_EMBARGOES_IN_OBSERVED = 14
"""Rows split by time lose an embargo, the horizon and the longest window, before the held-out rows and between the folds."""


@dataclass(frozen=True)
class UsualSpan:
    """A span of time as a description writes it, and its length in microseconds or the counter's unit."""

    text: str
    length: float


@dataclass(frozen=True, kw_only=True)
class ObservedTimes:
    """The times of readings, (n,), and of failures, (f,): microseconds or a counter, NaN if invalid.

    `machines` and `failed_machines` are their machines.
    """

    is_counter: bool
    machines: Sequence[str]
    times: Times
    failed_machines: Sequence[str] = ()
    failures: Times

    @cached_property
    def _order(self) -> tuple[npt.NDArray[np.int64], Times, npt.NDArray[np.int64], list[str]]:
        """The positions of valid readings in the order of machines and times, their times, bounds, and the machines."""
        names, codes = np.unique(np.array(self.machines, dtype=str), return_inverse=True)
        order = np.lexsort((self.times, codes))
        order = order[~np.isnan(self.times[order])]
        bounds = machine_bounds(codes[order])
        return order, self.times[order], bounds, [str(names[code]) for code in codes[order][bounds[:-1]]]

    @cached_property
    def interval(self) -> float:
        """The median time between two readings of a machine; 1 without two."""
        _, times, bounds, _ = self._order
        steps = np.diff(times)
        steps[bounds[1:-1] - 1] = 0
        return float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0

    @cached_property
    def spans(self) -> Times:
        """(M,) the time from the first to the last reading of each machine."""
        _, times, bounds, _ = self._order
        return times[bounds[1:] - 1] - times[bounds[:-1]]

    @property
    def known_failures(self) -> int:
        """The number of failures of machines with readings."""
        return len(self._failures[0])

    @property
    def time_to_failure(self) -> float:
        """The mean time of operation for each failure."""
        return float(self.spans.sum() / max(self.known_failures, 1))

    @cached_property
    def _failures(self) -> tuple[Times, npt.NDArray[np.int64]]:
        """The times of failures by machine, and the bounds of each machine's."""
        *_, names = self._order
        places = {name: place for place, name in enumerate(names)}
        codes = np.array([places.get(name, -1) for name in self.failed_machines], dtype=np.int64)
        known = (codes >= 0) & ~np.isnan(self.failures)
        codes, failures = codes[known], self.failures[known]
        order = np.lexsort((failures, codes))
        return failures[order], np.searchsorted(codes[order], np.arange(len(names) + 1))

    @cached_property
    def _observed(self) -> float:
        """The time that a machine is observed."""
        return float(np.median(self.spans))

    def horizon(self) -> UsualSpan:
        """A horizon: at most a tenth of what is observed of a machine, and a quarter of the time between failures.

        With timestamps, also at most a week, and half of an embargo of which several fit into the time.
        """
        longest = min(self._observed / _HORIZONS_IN_OBSERVED, self.time_to_failure / _HORIZONS_PER_FAILURE)
        if not self.is_counter:
            longest = min(longest, _LONGEST_HORIZON_US, self._observed / _EMBARGOES_IN_OBSERVED / 2)
        return self._between(2 * self.interval, longest)[-1]

    def windows(self, horizon: UsualSpan | None) -> list[UsualSpan]:
        """Up to three windows, from a few readings to the horizon, the longest last."""
        shortest = _READINGS_IN_WINDOW * self.interval
        longest = max(
            horizon.length if horizon else self._observed / _HORIZONS_IN_OBSERVED, _READINGS_IN_WINDOW * shortest
        )
        if not self.is_counter and horizon:
            longest = min(longest, self._observed / _EMBARGOES_IN_OBSERVED - horizon.length)
        fitting = self._between(shortest, longest)
        return [fitting[place] for place in sorted({0, len(fitting) // 2, len(fitting) - 1})]

    def fails_within(self, horizon: float) -> npt.NDArray[np.bool_]:
        """(n,) whether a failure follows each reading within the horizon."""
        order, times, bounds, _ = self._order
        failures, failure_bounds = self._failures
        labels, _ = horizon_labels(times, bounds, failures, failure_bounds, horizon, 0.0)
        found = np.zeros(len(self.times), dtype=bool)
        found[order] = labels == FAILS
        return found

    def text(self, length: float) -> str:
        """A length for people: `1.5 h`, `60 d`."""
        if self.is_counter:
            return f"{length:,.4g}" if length < 1000 else f"{length:,.0f}"
        scale, unit = next(
            (
                (scale, unit)
                for unit, scale in (("d", 1440.0), ("h", 60.0), ("min", 1.0))
                if length >= scale * _MINUTE_US
            ),
            (1 / 60, "s"),
        )
        return f"{length / scale / _MINUTE_US:.3g} {unit}"

    def _between(self, shortest: float, longest: float) -> list[UsualSpan]:
        """The usual spans between two lengths; the next one above the shortest if there is none."""
        usual = [UsualSpan(text, minutes * _MINUTE_US) for text, minutes in _TIMES.items()]
        if self.is_counter:
            sizes = [factor * 10.0**power for power in range(-3, 9) for factor in (1, 2, 3, 5)]
            usual = [UsualSpan(f"{size:.15g}", size) for size in sizes]
        long_enough = [span for span in usual if span.length >= shortest] or usual[-1:]
        return [span for span in long_enough if span.length <= longest] or long_enough[:1]


def observed_times(
    machine: ColumnProfile, time: ColumnProfile, failures: tuple[ColumnProfile, ColumnProfile] | None, is_counter: bool
) -> ObservedTimes:
    """The times of readings, and of the failures whose columns of machine and time are given."""
    return ObservedTimes(
        is_counter=is_counter,
        machines=machine.texts.to_pylist(),
        times=_times(time, is_counter),
        failed_machines=failures[0].texts.to_pylist() if failures else (),
        failures=_times(failures[1], is_counter) if failures else np.empty(0),
    )


def _times(column: ColumnProfile, is_counter: bool) -> Times:
    if is_counter:
        return column.numbers
    times = column.times
    assert times is not None
    return np.where(np.isnat(times), np.nan, times.astype("datetime64[us]").astype(np.float64))
