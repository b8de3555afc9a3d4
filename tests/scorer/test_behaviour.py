"""Behaviour expected of every model: textbook failures raise an alarm, and effects have the right direction."""

import numpy as np
import pandas as pd
import pytest

HEALTHY = {
    "product_type": "L",
    "air_temperature_k": 300.0,
    "process_temperature_k": 310.0,
    "rotational_speed_rpm": 1500.0,
    "torque_nm": 40.0,
    "tool_wear_min": 50.0,
}


def test_a_healthy_machine_raises_no_alarm(small):
    assert small.scorer.probability(HEALTHY) < 0.05


@pytest.mark.parametrize(
    "textbook",
    [
        {"process_temperature_k": 308.0, "air_temperature_k": 300.5, "rotational_speed_rpm": 1300.0, "torque_nm": 55.0},
        {"rotational_speed_rpm": 1400.0, "torque_nm": 70.0},
        {"tool_wear_min": 215.0, "torque_nm": 60.0, "rotational_speed_rpm": 1350.0},
    ],
    ids=["heat dissipation", "power", "overstrain"],
)
def test_a_textbook_failure_raises_an_alarm(small, textbook):
    assert small.scorer.probability(HEALTHY | textbook) >= small.scorer.spec.threshold


def test_more_wear_at_high_torque_does_not_decrease_the_probability(small):
    wear = np.arange(100.0, 250.0, 10.0)
    rows = pd.DataFrame(
        [HEALTHY | {"torque_nm": 62.0, "rotational_speed_rpm": 1330.0, "tool_wear_min": w} for w in wear]
    )
    probabilities = small.scorer.probabilities(rows)
    assert probabilities[-1] > 0.9
    # A tolerance for the noise of trees: the probability never falls far below an earlier one.
    assert (np.maximum.accumulate(probabilities) - probabilities).max() < 0.2


def test_row_order_and_ids_do_not_change_the_probabilities(small):
    rows = small.rows.test.head(500)
    shuffled = rows.sample(frac=1, random_state=1).assign(reading_id="other")
    expected = pd.Series(small.scorer.probabilities(rows), index=rows.index)
    np.testing.assert_array_equal(small.scorer.probabilities(shuffled), expected[shuffled.index].to_numpy())
