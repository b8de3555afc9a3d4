"""Labels from failures and a horizon: does the machine fail within the horizon after a reading?"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .events import Events
from .machine_rows import Positions, Times, slices

FAILS, DOES_NOT_FAIL, CENSORED, AFTER_FAILURE = 1, 0, -1, -2
"""CENSORED: no failure so far, and the machine was not observed until the end of the horizon."""


def horizon_labels(
    times: Times, bounds: Positions, failures: Events, horizon: float, ignore_after: float, observed_until: Times
) -> npt.NDArray[np.int8]:
    """(n,) FAILS, DOES_NOT_FAIL, CENSORED or AFTER_FAILURE for each reading.

    A reading at the instant of a failure, and those less than `ignore_after` later, are AFTER_FAILURE: the machine stands still
    or is under repair. `observed_until` (M,) is the time to which each machine's failures are known.
    """
    labels = np.empty(len(times), dtype=np.int8)
    for rows, failed, until in zip(slices(bounds), failures.by_machine(), observed_until, strict=True):
        labels[rows] = _of_one_machine(times[rows], failed, horizon, ignore_after, until)
    return labels


def run_to_failure_labels(times: Times, bounds: Positions, horizon: float) -> npt.NDArray[np.int8]:
    """(n,) FAILS or DOES_NOT_FAIL for machines that fail at the time of their last reading."""
    labels = np.empty(len(times), dtype=np.int8)
    for rows in slices(bounds):
        labels[rows] = times[rows.stop - 1] - times[rows] <= horizon
    return labels


def _of_one_machine(
    times: Times, failures: Times, horizon: float, ignore_after: float, observed_until: Any
) -> npt.NDArray[np.int8]:
    passed = np.searchsorted(failures, times, side="right")
    labels = np.where(times + times.dtype.type(horizon) <= observed_until, DOES_NOT_FAIL, CENSORED).astype(np.int8)
    ahead = passed < len(failures)
    labels[ahead] = np.where(failures[passed[ahead]] - times[ahead] <= horizon, FAILS, labels[ahead])
    behind = passed > 0
    age = times[behind] - failures[passed[behind] - 1]
    labels[behind] = np.where((age == 0) | (age < ignore_after), AFTER_FAILURE, labels[behind])
    return labels
