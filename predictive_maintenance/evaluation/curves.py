"""Tables behind the curves of a model: metrics at every threshold, and calibration."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from ..config.params import CostSettings
from ..training.score_summary import ScoreSummary
from .intervals import BoolArray, FloatArray, wilson_interval
from .metrics import metrics_from_counts

_POINTS = 200
_BINS = 10


def threshold_table(labels: BoolArray, probabilities: FloatArray, costs: CostSettings, chosen: float) -> pd.DataFrame:
    """Counts and metrics at up to 200 thresholds and at the `chosen` one, by ascending threshold.

    Columns: threshold, true_positives, false_positives, and those of `metrics_from_counts`.
    """
    return threshold_table_of(ScoreSummary.of(labels, probabilities, limit=None), costs, chosen)


def threshold_table_of(summary: ScoreSummary, costs: CostSettings, chosen: float) -> pd.DataFrame:
    """`threshold_table` from a summary of the probabilities.

    The counts are exact; those at `chosen` may lack the rows of one interval, if the summary is not exact.
    """
    candidates = summary.lowest
    if len(candidates) > _POINTS:
        # Evenly spaced by the logarithm of the rank: dense among the highest probabilities, where the alarms are.
        ranks = np.unique(np.geomspace(1, len(candidates), _POINTS).astype(int))
        candidates = candidates[len(candidates) - ranks][::-1]
    candidates = np.unique(np.append(candidates, chosen))
    place = np.searchsorted(summary.lowest, candidates, side="left")
    rows, failures = int(summary.rows.sum()), int(summary.failures.sum())
    alarms = rows - np.append(0, np.cumsum(summary.rows))[place]
    caught = failures - np.append(0, np.cumsum(summary.failures))[place]
    counts = np.stack([caught, alarms - caught, failures - caught, rows - alarms - (failures - caught)], axis=1)
    return pd.DataFrame(
        {
            "threshold": candidates,
            "true_positives": caught,
            "false_positives": alarms - caught,
            **metrics_from_counts(counts.astype(float), costs),
        }
    )


@dataclass(frozen=True, kw_only=True)
class CalibrationCounts:
    """Rows, failures, and sums of the probabilities, each (10,), in bins of equal width."""

    rows: FloatArray
    failures: FloatArray
    probabilities: FloatArray

    @classmethod
    def of(cls, labels: BoolArray, probabilities: FloatArray) -> Self:
        """The counts of rows with `labels` and `probabilities`, both (n,)."""
        bin_of_row = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
        inside = [bin_of_row == number for number in range(_BINS)]
        return cls(
            rows=np.array([rows.sum() for rows in inside], dtype=np.float64),
            failures=np.array([labels[rows].sum() for rows in inside], dtype=np.float64),
            probabilities=np.array([probabilities[rows].sum() for rows in inside]),
        )

    @classmethod
    def merged(cls, counts: Iterable[Self]) -> Self:
        """The counts of the rows of all `counts`."""
        sums = np.sum([(one.rows, one.failures, one.probabilities) for one in counts], axis=0)
        return cls(rows=sums[0], failures=sums[1], probabilities=sums[2])

    def table(self) -> pd.DataFrame:
        """Mean probability and observed share of failures of each bin that is not empty, with 95 % Wilson intervals.

        Columns: mean_probability, observed_share, low, high, rows.
        """
        lines = []
        for rows, failures, probabilities in zip(self.rows, self.failures, self.probabilities, strict=True):
            if rows:
                low, high = wilson_interval(int(failures), int(rows), 0.95)
                lines.append((float(probabilities / rows), float(failures / rows), low, high, int(rows)))
        return pd.DataFrame(lines, columns=["mean_probability", "observed_share", "low", "high", "rows"])
