"""Tables behind the curves of a model: metrics at every threshold, and calibration."""

import numpy as np
import pandas as pd

from ..config.params import CostSettings
from .intervals import BoolArray, FloatArray, wilson_interval
from .metrics import metrics_from_counts


def threshold_table(
    labels: BoolArray, probabilities: FloatArray, costs: CostSettings, chosen: float, points: int = 200
) -> pd.DataFrame:
    """Counts and metrics at up to `points` thresholds and at the `chosen` one, by ascending threshold.

    Columns: threshold, true_positives, false_positives, and those of `metrics_from_counts`.
    """
    candidates = np.unique(probabilities)
    if len(candidates) > points:
        # Evenly spaced by the logarithm of the rank: dense among the highest probabilities, where the alarms are.
        ranks = np.unique(np.geomspace(1, len(candidates), points).astype(int))
        candidates = candidates[len(candidates) - ranks][::-1]
    candidates = np.unique(np.append(candidates, chosen))
    order = np.sort(probabilities)
    positives = np.sort(probabilities[labels])
    alarms = len(order) - np.searchsorted(order, candidates, side="left")
    caught = len(positives) - np.searchsorted(positives, candidates, side="left")
    failures, rows = len(positives), len(order)
    counts = np.stack([caught, alarms - caught, failures - caught, rows - alarms - (failures - caught)], axis=1)
    return pd.DataFrame(
        {
            "threshold": candidates,
            "true_positives": caught,
            "false_positives": alarms - caught,
            **metrics_from_counts(counts.astype(float), costs),
        }
    )


def calibration_bins(labels: BoolArray, probabilities: FloatArray, bins: int = 10) -> pd.DataFrame:
    """Mean probability and observed share of failures in bins of equal width, with 95 % Wilson intervals.

    Columns: mean_probability, observed_share, low, high, rows. Empty bins are omitted.
    """
    bin_of_row = np.minimum((probabilities * bins).astype(int), bins - 1)
    lines = []
    for number in np.unique(bin_of_row):
        inside = bin_of_row == number
        failures, rows = int(labels[inside].sum()), int(inside.sum())
        low, high = wilson_interval(failures, rows, 0.95)
        lines.append((float(probabilities[inside].mean()), failures / rows, low, high, rows))
    return pd.DataFrame(lines, columns=["mean_probability", "observed_share", "low", "high", "rows"])
