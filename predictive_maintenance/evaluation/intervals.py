"""Confidence intervals: bootstrap over groups, and Wilson intervals of shares.

The bootstrap draws whole groups, because the readings of one group are correlated.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Estimate:
    """A value with its two-sided interval and its one-sided lower bound, all at the configured confidence."""

    value: float
    low: float
    high: float
    lower_bound: float


def bootstrap_draws(groups: int, samples: int, seed: int) -> Iterator[FloatArray]:
    """Yield `samples` arrays (groups,): how often each group is drawn, with replacement.

    One array at a time, to save memory.
    """
    random = np.random.default_rng(seed)
    for _ in range(samples):
        yield np.bincount(random.integers(0, groups, groups), minlength=groups).astype(np.float64)


def sums_per_group(groups: IndexArray, count: int, values: Iterable[BoolArray | FloatArray]) -> FloatArray:
    """(len(values), count) sums of each array over the rows of each group; `groups` (n,) is the group of each row."""
    return np.stack([np.bincount(groups, row, minlength=count) for row in values])


def bootstrap_estimate(value: float, samples: FloatArray, confidence: float) -> Estimate:
    """`value` with the quantiles of its bootstrap `samples` as interval."""
    tail = 1 - confidence
    low, high, lower_bound = np.quantile(samples, [tail / 2, 1 - tail / 2, tail])
    return Estimate(value, float(low), float(high), float(lower_bound))


def wilson_estimate(hits: int, count: int, confidence: float) -> Estimate:
    """A share with its Wilson interval, for a share that is equal in every bootstrap sample, such as a precision of 1.

    The bootstrap interval of such a share has no width, which understates its uncertainty.
    """
    low, high = wilson_interval(hits, count, confidence)
    return Estimate(hits / count, low, high, lower_bound=wilson_interval(hits, count, 2 * confidence - 1)[0])


def wilson_interval(hits: int, count: int, confidence: float) -> tuple[float, float]:
    """Interval of the share `hits / count` of independent rows, (NaN, NaN) for a `count` of 0.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    from scipy.stats import binomtest

    if not count:
        return float("nan"), float("nan")
    interval = binomtest(hits, count).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def poisson_interval(events: int, exposure: float, confidence: float) -> tuple[float, float]:
    """Exact interval of the rate `events / exposure` of independent events.

    Source: F. Garwood, "Fiducial Limits for the Poisson Distribution", 1936.
    """
    from scipy.stats import chi2

    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * events)) if events else 0.0
    return low / 2 / exposure, float(chi2.ppf(1 - tail, 2 * events + 2)) / 2 / exposure
