"""What-if curves of the milling machine: every value is scored, and the closest value with the other decision is found."""

import numpy as np
import pytest

from predictive_maintenance.inference.what_if import MAX_POINTS, what_if
from predictive_maintenance.machine.milling import MILLING

RANGES = {
    "air_temperature_k": (295.3, 304.5), "process_temperature_k": (305.7, 313.8), "rotational_speed_rpm": (1168.0, 2886.0),
    "torque_nm": (3.8, 76.6), "tool_wear_min": (0.0, 253.0),
}  # fmt: skip
OVERSTRAINED = {
    "product_type": "L", "air_temperature_k": 298.8, "process_temperature_k": 308.9, "rotational_speed_rpm": 1455.0,
    "torque_nm": 61.3, "tool_wear_min": 208.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def readings(small):
    return [*small.rows.test[list(MILLING.input_names)].sample(12, random_state=3).to_dict("records"), OVERSTRAINED]


def test_each_point_of_a_curve_is_the_probability_of_that_reading(small, readings):
    for reading in readings:
        for curve in what_if(small.scorer, MILLING, reading, RANGES):
            for index in np.linspace(0, len(curve.values) - 1, 7).astype(int):
                changed = reading | {curve.sensor: float(curve.values[index])}
                assert curve.probabilities[index] == pytest.approx(small.scorer.probability(changed), abs=1e-9)


def test_a_curve_covers_its_range_in_ascending_order_and_includes_the_reading(small, readings):
    for reading in readings:
        curves = what_if(small.scorer, MILLING, reading, RANGES)
        assert [curve.sensor for curve in curves] == list(MILLING.sensor_names)
        for curve in curves:
            low, high = RANGES[curve.sensor]
            assert (curve.values[0], curve.values[-1]) == (
                min(low, reading[curve.sensor]),
                max(high, reading[curve.sensor]),
            )
            assert (np.diff(curve.values) > 0).all()
            assert reading[curve.sensor] in curve.values
            assert len(curve.values) <= MAX_POINTS + 4


def test_the_turning_point_is_the_closest_value_with_the_other_decision(small, readings):
    turned = 0
    for reading in readings:
        alarm = small.scorer.probability(reading) >= small.scorer.spec.threshold
        for curve in what_if(small.scorer, MILLING, reading, RANGES):
            distance = np.abs(curve.values - reading[curve.sensor])
            same = (curve.probabilities >= small.scorer.spec.threshold) == alarm
            if curve.turning_point is None:
                assert same.all()
                continue
            turned += 1
            assert not same[curve.turning_point]
            assert same[distance < distance[curve.turning_point]].all()
    assert turned > 5


def test_a_lower_torque_ends_the_alarm_of_an_overstrained_machine(small):
    assert small.scorer.probability(OVERSTRAINED) >= small.scorer.spec.threshold
    curves = {curve.sensor: curve for curve in what_if(small.scorer, MILLING, OVERSTRAINED, RANGES)}
    torque = curves["torque_nm"]
    assert torque.values[torque.turning_point] < OVERSTRAINED["torque_nm"]


def test_a_value_outside_the_range_extends_its_curve(small):
    reading = OVERSTRAINED | {"torque_nm": 90.04}
    torque = what_if(small.scorer, MILLING, reading, RANGES)[3]
    assert torque.values[-1] == 90.04
    assert torque.values[0] == 3.8
