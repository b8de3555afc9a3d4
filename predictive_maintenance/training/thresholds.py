"""Select the decision threshold on out-of-fold rows."""

import numpy as np
import numpy.typing as npt

from ..config.params import CostSettings, ThresholdSettings


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
    order = np.argsort(-probabilities, kind="stable")
    ranked, failed = probabilities[order], labels[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    caught = np.cumsum(failed)[last_of_ties]
    alarms = last_of_ties + 1
    thresholds = (ranked[last_of_ties] + np.append(ranked, 0.0)[last_of_ties + 1]) / 2
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
