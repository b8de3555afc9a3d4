"""What a model would have caught, and what it would have cost, at other thresholds. No Streamlit here."""

from dataclasses import dataclass

import pandas as pd

from app.schemas.model import Estimate, Thresholds
from predictive_maintenance.evaluation.metrics import wilson


@dataclass(frozen=True, kw_only=True)
class Point:
    """One threshold on the held-out rows; a rate is None where nothing was counted. `cost` is of 1,000 readings."""

    threshold: float
    caught: int
    missed: int
    false_alarms: int
    recall: Estimate | None
    precision: Estimate | None
    cost: float


def table(told: Thresholds, missed_failure_cost: float, false_alarm_cost: float) -> pd.DataFrame:
    """Columns threshold, caught, missed, false_alarms and cost (of 1,000 readings): rising thresholds."""
    ends = list(told.threshold)[-1:] != [1.0]  # from 1 on there is no alarm
    caught = pd.Series([*told.true_positives, *[0] * ends])
    false_alarms = pd.Series([*told.false_positives, *[0] * ends])
    missed = told.failures - caught
    cost = 1000 * (missed * missed_failure_cost + false_alarms * false_alarm_cost) / told.rows
    thresholds = [*told.threshold, *[1.0] * ends]
    return pd.DataFrame(
        {"threshold": thresholds, "caught": caught, "missed": missed, "false_alarms": false_alarms, "cost": cost}
    )


def at(lines: pd.DataFrame, threshold: float) -> Point:
    """What an alarm from `threshold` on means: the counts of the lowest threshold listed that is not below it."""
    line = lines.loc[lines["threshold"] >= min(threshold, float(lines["threshold"].max()))].iloc[0]
    caught, missed, false_alarms = int(line["caught"]), int(line["missed"]), int(line["false_alarms"])
    recall, precision = _rate(caught, caught + missed), _rate(caught, caught + false_alarms)
    return Point(
        threshold=float(line["threshold"]),
        caught=caught,
        missed=missed,
        false_alarms=false_alarms,
        recall=recall,
        precision=precision,
        cost=float(line["cost"]),
    )


def choices(lines: pd.DataFrame, own: float) -> list[float]:
    """Rising thresholds that a person can tell apart, to a hundredth of a percent: the highest of those alike, or `own`."""
    told = {f"{threshold:.2%}": threshold for threshold in lines["threshold"]}
    return sorted((told | {f"{own:.2%}": own}).values())


def _rate(count: int, of: int) -> Estimate | None:
    """A share with its 95 % interval, which takes the rows for independent."""
    if not of:
        return None
    low, high = wilson(count, of, 0.95)
    return Estimate(value=count / of, low=low, high=high)
