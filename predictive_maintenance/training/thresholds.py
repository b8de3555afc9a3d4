"""Select the decision threshold on out-of-fold rows."""

import numpy as np
import numpy.typing as npt

from ..config.params import CostSettings, ThresholdSettings
from .score_summary import ScoreSummary


def select_threshold(
    labels: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.float64],
    settings: ThresholdSettings,
    costs: CostSettings,
) -> float:
    """Select the threshold that is best by `settings.optimise`, midway between two neighbouring probabilities.

    Midway, so that rounding differences between platforms do not change a decision.
    """
    thresholds, objective = possible_thresholds(labels, probabilities, settings, costs)
    return float(thresholds[np.argmax(objective)])


def possible_thresholds(
    labels: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.float64],
    settings: ThresholdSettings,
    costs: CostSettings,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The thresholds midway between neighbouring probabilities, the highest first, and the objective of each, to be maximised."""
    return thresholds_of(ScoreSummary.of(labels, probabilities, limit=None), settings, costs)


def select_threshold_of(summary: ScoreSummary, settings: ThresholdSettings, costs: CostSettings) -> float:
    """The threshold that `select_threshold` selects, from a summary of the probabilities."""
    thresholds, objective = thresholds_of(summary, settings, costs)
    return float(thresholds[np.argmax(objective)])


def thresholds_of(
    summary: ScoreSummary, settings: ThresholdSettings, costs: CostSettings
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The thresholds and objectives of `possible_thresholds`, from a summary of the probabilities.

    The threshold between two intervals of a summary that is not exact is the lower end of the upper one. So the objectives are
    exact in any case.
    """
    lowest, failed = summary.lowest[::-1], summary.failures[::-1]
    alarms, caught = np.cumsum(summary.rows[::-1]), np.cumsum(failed)
    thresholds = (lowest + np.append(lowest, 0.0)[1:]) / 2 if summary.exact else lowest
    return thresholds, _objective(caught, alarms, int(failed.sum()), settings, costs)


def _objective(
    caught: npt.NDArray[np.integer],
    alarms: npt.NDArray[np.integer],
    failures: int,
    settings: ThresholdSettings,
    costs: CostSettings,
) -> npt.NDArray[np.float64]:
    """The objective at each possible threshold: F-beta, or the negative cost."""
    if settings.optimise == "expected_cost":
        return -(costs.missed_failure * (failures - caught) + costs.false_alarm * (alarms - caught))
    beta2 = 1.0 if settings.optimise == "f1" else settings.beta**2
    return (1 + beta2) * caught / (alarms + beta2 * failures)
