"""Recall by failure mode."""

import numpy as np

from predictive_maintenance.evaluation.failure_modes import recall_by_mode
from predictive_maintenance.machine.milling import MILLING


def test_a_mode_with_few_failures_is_not_assessable_and_modes_without_a_column_are_omitted(params, rows_with):
    count = 40
    rows = rows_with([1] * count).assign(
        heat_dissipation_failure=[1] * 30 + [0] * 10, power_failure=[1] * 3 + [0] * 37, random_failure=0
    )
    decisions = np.arange(count) < 15
    heat, power = recall_by_mode(rows, decisions, MILLING, params.evaluation)
    assert (heat.name, heat.caught, heat.failures, heat.assessable) == ("heat_dissipation_failure", 15, 30, True)
    assert (power.assessable, power.recall) == (False, 1.0)
    assert heat.low < 0.5 < heat.high


def test_a_mode_marked_on_a_healthy_row_does_not_count(params, rows_with):
    rows = rows_with([0] * 20).assign(random_failure=1)
    assert recall_by_mode(rows, np.zeros(20, dtype=bool), MILLING, params.evaluation) == ()
