"""The threshold is the best one on the rows it is chosen from, and sits between two probabilities."""

import numpy as np
import pytest

from predictive_maintenance.config.params import CostSettings, ThresholdSettings
from predictive_maintenance.training.thresholds import select_threshold

COSTS = CostSettings(currency="EUR", missed_failure=100.0, false_alarm=10.0)
LABELS = np.array([0, 0, 1, 0, 1, 1])
PROBABILITIES = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])


def optimised(optimise, beta=1.0, costs=COSTS):
    return select_threshold(LABELS, PROBABILITIES, ThresholdSettings(optimise=optimise, beta=beta), costs)


def test_f1_takes_the_threshold_with_the_best_f1():
    # At 0.6: 2 caught of 3, no false alarm: F1 .8. At 0.25: 3 caught, 1 false alarm: F1 .857.
    assert optimised("f1") == pytest.approx(0.25)


def test_weighing_precision_over_recall_moves_the_threshold_up():
    assert optimised("f_beta", beta=0.3) == pytest.approx(0.6)


def test_cost_decides_by_what_misses_and_alarms_cost():
    dear_alarms = CostSettings(currency="EUR", missed_failure=10.0, false_alarm=100.0)
    assert optimised("expected_cost") == pytest.approx(0.25)
    assert optimised("expected_cost", costs=dear_alarms) == pytest.approx(0.6)


def test_ties_are_never_cut_through():
    threshold = select_threshold(
        np.array([1, 0, 1, 0]), np.array([0.7, 0.7, 0.7, 0.1]), ThresholdSettings(optimise="f1", beta=1.0), COSTS
    )
    assert threshold == pytest.approx(0.4)
