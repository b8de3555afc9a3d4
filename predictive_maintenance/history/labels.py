"""Labels from failures and a horizon: does the machine fail within the horizon after a reading?"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .machine_rows import Positions, Times, slices

NEXT_FAILURE = "_next_failure"
"""The column of labelled rows with the time of the machine's next failure. No column of a description has such a name."""

FAILS, DOES_NOT_FAIL, CENSORED, AFTER_FAILURE = 1, 0, -1, -2
"""CENSORED: no failure so far, and the machine was not observed until the end of the horizon."""


def run_to_failure_labels(times: Times, bounds: Positions, horizon: float) -> npt.NDArray[np.int8]:
    """(n,) 1 within `horizon` before the last reading of each machine, at which it fails, inclusive; else 0."""
    labels = np.empty(len(times), dtype=np.int8)
    for rows in slices(bounds):
        labels[rows] = times[rows.stop - 1] - times[rows] <= horizon
    return labels


def horizon_labels(
    times: Times, bounds: Positions, failures: Times, failure_bounds: Positions, horizon: float, ignore_after: float
) -> tuple[npt.NDArray[np.int8], Positions]:
    """(n,) FAILS, DOES_NOT_FAIL, CENSORED or AFTER_FAILURE for each reading, and (n,) the place of its next failure, or -1.

    `failures` (f,) are the times of failures in the order of the machines, and `failure_bounds` (M + 1,) the place of each
    machine's first one, and the end. A machine is observed until its last reading or its last failure, whichever is later. A
    reading at the instant of a failure, and those less than `ignore_after` later, are AFTER_FAILURE: the machine stands
    still or is under repair.
    """
    labels = np.empty(len(times), dtype=np.int8)
    following = np.full(len(times), -1, dtype=np.int64)
    for rows, known in zip(slices(bounds), slices(failure_bounds), strict=True):
        own, failed = times[rows], failures[known]
        until = max(own[-1], failed[-1]) if len(failed) else own[-1]
        labels[rows] = labels_of_machine(own, failed, horizon, ignore_after, until)
        passed = np.searchsorted(failed, own, side="right")
        following[rows] = np.where(passed < len(failed), known.start + passed, -1)
    return labels, following


def labels_of_machine(
    times: Times, failures: Times, horizon: float, ignore_after: float, observed_until: Any
) -> npt.NDArray[np.int8]:
    """(n,) the label of each reading of one machine, as `horizon_labels` defines it. `times` (n,) and `failures` (f,) ascend."""
    passed = np.searchsorted(failures, times, side="right")
    labels = np.where(times + times.dtype.type(horizon) <= observed_until, DOES_NOT_FAIL, CENSORED).astype(np.int8)
    ahead = passed < len(failures)
    labels[ahead] = np.where(failures[passed[ahead]] - times[ahead] <= horizon, FAILS, labels[ahead])
    behind = passed > 0
    age = times[behind] - failures[passed[behind] - 1]
    labels[behind] = np.where((age == 0) | (age < ignore_after), AFTER_FAILURE, labels[behind])
    return labels
