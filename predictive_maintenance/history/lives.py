"""Failures of machines, and the lives that they divide a machine's readings into."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .machine_rows import Positions, Times, slices
from .windows import Floats


@dataclass(frozen=True)
class Failures:
    """When machines failed, and until when they were observed.

    `times` (e,) are ascending for each machine, in the unit of the readings' times. `bounds` (M + 1,) are the place of each
    machine's first failure, and the end; the machines are in the order of the readings. `observed_until` (M,) is the time up to
    which each machine is known not to have failed again.
    """

    times: Times
    bounds: Positions
    observed_until: Times


@dataclass(frozen=True, kw_only=True)
class Lives:
    """The lives of M machines: from a machine's start or a failure to its next failure, or to the end of its readings.

    `of_reading` (n,) is the life of each reading; a reading at the instant of a failure is in the life that ends with it. For
    each of l lives, in the order of machines and time: `machine` (l,) is its machine, `start` (l,) the failure before it, -inf
    without one, `failure` (l,) the failure that ends it, inf without one, and `observed_until` (l,) the time up to which it
    is observed. `bounds` (M + 1,) are the machines' first readings, and the end. Times are float64.
    """

    of_reading: Positions
    machine: Positions
    start: Floats
    failure: Floats
    observed_until: Floats
    bounds: Positions


def no_failures(times: Times, bounds: Positions) -> Failures:
    """No failure of any machine, each observed until its last reading."""
    return Failures(times[:0], np.zeros(len(bounds), dtype=np.int64), times[bounds[1:] - 1])


def run_to_failure(times: Times, bounds: Positions) -> Failures:
    """One failure of each machine, at its last reading."""
    last = times[bounds[1:] - 1]
    return Failures(last, np.arange(len(bounds), dtype=np.int64), last)


def next_failures(times: Times, bounds: Positions, following: Floats) -> Failures:
    """The failures that readings have as their next ones: `following` (n,), NaN for none.

    A machine is observed until its last reading or its last failure, whichever is later.
    """
    found, counts, until = [], [0], []
    for rows in slices(bounds):
        own = following[rows]
        failed = np.unique(own[~np.isnan(own)])
        found.append(failed)
        counts.append(len(failed))
        until.append(max(float(times[rows.stop - 1]), failed[-1] if len(failed) else -np.inf))
    joined = np.concatenate(found) if found else np.empty(0)
    return Failures(joined, np.cumsum(counts).astype(np.int64), np.array(until))


def lives(times: Times, bounds: Positions, failures: Failures) -> Lives:
    """Divide readings, in the order of machines and times, into lives. `bounds` (M + 1,) are the machines' first readings."""
    of_reading = np.empty(len(times), dtype=np.int64)
    ends: list[Floats] = []
    for machine, (rows, own) in enumerate(zip(slices(bounds), slices(failures.bounds), strict=True)):
        of_reading[rows] = failures.bounds[machine] + machine + np.searchsorted(failures.times[own], times[rows])
        ends.append(np.append(failures.times[own].astype(np.float64), np.inf))
    failure = np.concatenate(ends) if ends else np.empty(0)
    machine_of_life = np.repeat(np.arange(len(ends)), np.diff(failures.bounds) + 1)
    previous = np.append(-np.inf, failure[:-1])[: len(failure)]
    return Lives(
        of_reading=of_reading,
        machine=machine_of_life,
        start=np.where(np.isfinite(previous), previous, -np.inf),
        failure=failure,
        observed_until=np.minimum(failure, failures.observed_until.astype(np.float64)[machine_of_life]),
        bounds=bounds,
    )


def first_of_life(lives: Lives) -> npt.NDArray[np.bool_]:
    """(n,) whether a reading is the first one of its life."""
    first = np.ones(len(lives.of_reading), dtype=bool)
    first[1:] = np.diff(lives.of_reading) > 0
    return first
