"""The probability from which a reading is called a failure, chosen on out-of-fold rows."""

import numpy as np
import numpy.typing as npt

from ..config.params import CostSettings, ThresholdSettings


def select_threshold(
    labels: npt.NDArray[np.integer],
    probabilities: npt.NDArray[np.float64],
    settings: ThresholdSettings,
    costs: CostSettings,
) -> float:
    """The threshold that serves `settings.optimise` best, midway between two probabilities that were seen.

    Midway, so that no row sits on the edge, where the last bit of another platform's arithmetic would decide.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, failed = probabilities[order], labels[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    caught = np.cumsum(failed)[last_of_ties]
    alarms = last_of_ties + 1
    best = int(np.argmax(_gain(caught, alarms, int(failed.sum()), settings, costs)))
    below = ranked[last_of_ties[best] + 1] if last_of_ties[best] + 1 < len(ranked) else 0.0
    return float((ranked[last_of_ties[best]] + below) / 2)


def _gain(
    caught: npt.NDArray[np.integer],
    alarms: npt.NDArray[np.integer],
    failures: int,
    settings: ThresholdSettings,
    costs: CostSettings,
) -> npt.NDArray[np.float64]:
    """What each possible threshold is worth, more is better: F-beta, or minus the cost."""
    if settings.optimise == "expected_cost":
        return -(costs.missed_failure * (failures - caught) + costs.false_alarm * (alarms - caught))
    beta2 = 1.0 if settings.optimise == "f1" else settings.beta**2
    return (1 + beta2) * caught / (alarms + beta2 * failures)
