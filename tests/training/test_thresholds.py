"""The selected threshold maximises the objective and is midway between two probabilities."""

import numpy as np
import pytest

from predictive_maintenance.config.params import CostSettings, ThresholdSettings
from predictive_maintenance.training.thresholds import select_threshold

COSTS = CostSettings(currency="EUR", missed_failure=100.0, false_alarm=10.0)
LABELS = np.array([0, 0, 1, 0, 1, 1])
PROBABILITIES = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.9])


def optimised(optimise, beta=1.0, costs=COSTS):
    return select_threshold(LABELS, PROBABILITIES, ThresholdSettings(optimise=optimise, beta=beta), costs)


def test_f1_selects_the_threshold_with_the_highest_f1():
    # At 0.6: 2 of 3 failures detected, no false alarm: F1 .8. At 0.25: 3 detected, 1 false alarm: F1 .857.
    assert optimised("f1") == pytest.approx(0.25)


def test_a_beta_below_1_increases_the_threshold():
    assert optimised("f_beta", beta=0.3) == pytest.approx(0.6)


def test_expected_cost_selects_by_the_costs_of_missed_failures_and_false_alarms():
    expensive_alarms = CostSettings(currency="EUR", missed_failure=10.0, false_alarm=100.0)
    assert optimised("expected_cost") == pytest.approx(0.25)
    assert optimised("expected_cost", costs=expensive_alarms) == pytest.approx(0.6)


def test_equal_probabilities_are_on_the_same_side_of_the_threshold():
    threshold = select_threshold(
        np.array([1, 0, 1, 0]), np.array([0.7, 0.7, 0.7, 0.1]), ThresholdSettings(optimise="f1", beta=1.0), COSTS
    )
    assert threshold == pytest.approx(0.4)
