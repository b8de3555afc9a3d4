"""PR-AUC and ROC-AUC of a summary of scores, with the bounds of the exact value."""

from dataclasses import dataclass

import numpy as np

from ..training.score_summary import ScoreSummary
from .intervals import FloatArray


@dataclass(frozen=True)
class Bounded:
    """A value, and the lowest and the highest value that the exact one can have."""

    value: float
    low: float
    high: float

    @property
    def max_error(self) -> float:
        return max(self.value - self.low, self.high - self.value)


def average_precision(summary: ScoreSummary) -> Bounded:
    """PR-AUC as scikit-learn's average_precision_score has it. It is exact if the summary is; 0 without failures.

    The bounds have the failures of each interval of scores above, or below, its healthy rows. The value is midway.
    """
    rows, failures = _descending(summary)
    total = float(failures.sum())
    if not total:
        return Bounded(0.0, 0.0, 0.0)
    raised, found = np.cumsum(rows), np.cumsum(failures)
    failing = failures > 0
    some, alarms, caught = failures[failing], raised[failing], found[failing]
    if summary.exact:
        value = float(some @ (caught / alarms) / total)
        return Bounded(value, value, value)
    healthy_before = alarms - rows[failing] - (caught - some)
    high = float(some @ (caught / (caught + healthy_before)) / total)
    low = min(high, float(_one_by_one(caught - some, some, alarms - caught).sum() / total))  # equal but for rounding
    return Bounded((low + high) / 2, low, high)


def roc_auc(summary: ScoreSummary) -> Bounded:
    """ROC-AUC, with ties counted as half. It is exact if the summary is; NaN without failures or without healthy rows."""
    rows, failures = _descending(summary)
    healthy = rows - failures
    pairs = failures.sum() * healthy.sum()
    if not pairs:
        return Bounded(np.nan, np.nan, np.nan)
    above = float(failures @ (healthy.sum() - np.cumsum(healthy)) / pairs)  # pairs with the failure above
    tied = float(failures @ healthy / pairs)
    value = above + tied / 2
    return Bounded(value, value, value) if summary.exact else Bounded(value, above, above + tied)


def _descending(summary: ScoreSummary) -> tuple[FloatArray, FloatArray]:
    return summary.rows[::-1].astype(np.float64), summary.failures[::-1].astype(np.float64)


def _one_by_one(before: FloatArray, count: FloatArray, healthy: FloatArray) -> FloatArray:
    """Sums of the precision at each of `count` failures in a row, after `before` other failures and `healthy` rows.

    The sum of (before + j) / (before + j + healthy) over j from 1 to `count`, by the digamma function.
    """
    from scipy.special import digamma

    end = before + count + healthy
    return count - healthy * (digamma(end + 1) - digamma(end - count + 1))
