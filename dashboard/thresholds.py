"""Recall, precision and cost at other decision thresholds than the model's own."""

from dataclasses import dataclass

import pandas as pd

from app.schemas.model import Estimate, Thresholds
from dashboard.formatting import threshold_percent
from predictive_maintenance.evaluation.intervals import wilson_interval


@dataclass(frozen=True, kw_only=True)
class ThresholdResult:
    """Counts on the held-out rows at one decision threshold.

    `cost` is the cost per 1,000 readings. A rate is None where its denominator is zero.
    """

    threshold: float
    caught: int
    missed: int
    false_alarms: int
    recall: Estimate | None
    precision: Estimate | None
    cost: float


def threshold_table(counts: Thresholds, missed_failure_cost: float, false_alarm_cost: float) -> pd.DataFrame:
    """Return columns threshold, caught, missed, false_alarms and cost (per 1,000 readings), by ascending threshold."""
    needs_end = list(counts.threshold)[-1:] != [1.0]  # at 1 there is no alarm
    caught = pd.Series([*counts.true_positives, *[0] * needs_end])
    false_alarms = pd.Series([*counts.false_positives, *[0] * needs_end])
    missed = counts.failures - caught
    cost = 1000 * (missed * missed_failure_cost + false_alarms * false_alarm_cost) / counts.rows
    thresholds = [*counts.threshold, *[1.0] * needs_end]
    return pd.DataFrame(
        {"threshold": thresholds, "caught": caught, "missed": missed, "false_alarms": false_alarms, "cost": cost}
    )


def result_at(table: pd.DataFrame, threshold: float) -> ThresholdResult:
    """Return the row of the lowest listed threshold that is not below `threshold`."""
    row = table.loc[table["threshold"] >= min(threshold, float(table["threshold"].max()))].iloc[0]
    caught, missed, false_alarms = int(row["caught"]), int(row["missed"]), int(row["false_alarms"])
    recall, precision = _rate(caught, caught + missed), _rate(caught, caught + false_alarms)
    return ThresholdResult(
        threshold=float(row["threshold"]),
        caught=caught,
        missed=missed,
        false_alarms=false_alarms,
        recall=recall,
        precision=precision,
        cost=float(row["cost"]),
    )


def threshold_options(table: pd.DataFrame, own: float) -> list[float]:
    """Return ascending thresholds with different texts. `own` is always one of them."""
    by_text = {threshold_percent(threshold): threshold for threshold in table["threshold"]}
    return sorted((by_text | {threshold_percent(own): own}).values())


def _rate(count: int, total: int) -> Estimate | None:
    """Return count / total with its 95 % Wilson interval, which assumes independent rows."""
    if not total:
        return None
    low, high = wilson_interval(count, total, 0.95)
    return Estimate(value=count / total, low=low, high=high)
