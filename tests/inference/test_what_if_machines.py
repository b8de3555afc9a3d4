"""What-if curves of any machine: which sensors have one, at which values, and how many rows are scored."""

import numpy as np
import pytest

from predictive_maintenance.errors import DataError
from predictive_maintenance.inference.what_if import MAX_POINTS, MAX_SCORED_ROWS, what_if
from tests.fixtures.scorers import TreeScorer
from tests.fixtures.wide_machines import wide_machine

from .conftest import readings_of


@pytest.fixture(scope="session")
def scorer(any_machine):
    return TreeScorer(any_machine.machine)


def ranges_of(machine):
    """The inner half of each sensor's range."""
    ranges = {name: sensor.range for name, sensor in machine.description.sensors.items()}
    return {name: (low + (high - low) / 4, high - (high - low) / 4) for name, (low, high) in ranges.items()}


def test_each_sensor_with_a_value_has_a_curve_and_a_missing_one_has_none(any_machine, scorer):
    for reading in any_machine.single:
        curves = what_if(scorer, any_machine.machine, reading, ranges_of(any_machine.machine))
        assert [curve.sensor for curve in curves] == [
            name for name in any_machine.machine.sensor_names if name in reading
        ]


def test_a_sensor_that_was_always_missing_in_training_has_no_curve(any_machine, scorer):
    machine, reading = any_machine.machine, any_machine.single[0]
    ranges = ranges_of(machine)
    ranges.pop(machine.sensor_names[1])
    curves = what_if(scorer, machine, reading, ranges)
    assert machine.sensor_names[1] not in {curve.sensor for curve in curves}
    assert curves


def test_a_reading_without_any_value_has_no_curve():
    readings = readings_of(wide_machine(6))
    only = dict.fromkeys(readings.machine.sensor_names)
    assert what_if(TreeScorer(readings.machine), readings.machine, only, ranges_of(readings.machine)) == []


def test_each_point_of_a_curve_is_the_probability_of_that_reading(any_machine, scorer):
    for reading in any_machine.single[:3]:
        for curve in what_if(scorer, any_machine.machine, reading, ranges_of(any_machine.machine))[:8]:
            for index in np.linspace(0, len(curve.values) - 1, 5).astype(int):
                changed = reading | {curve.sensor: float(curve.values[index])}
                assert curve.probabilities[index] == pytest.approx(scorer.probability(changed), abs=1e-12)


def test_a_curve_covers_its_range_at_multiples_of_the_resolution_and_includes_the_reading(any_machine, scorer):
    machine = any_machine.machine
    ranges = ranges_of(machine)
    for reading in any_machine.single[:3]:
        for curve in what_if(scorer, machine, reading, ranges):
            low, high = ranges[curve.sensor]
            own = reading[curve.sensor]
            assert (curve.values[0], curve.values[-1]) == (min(low, own), max(high, own))
            assert own in curve.values
            steps = np.diff(curve.values[1:-1]) / machine.description.sensors[curve.sensor].smallest_difference
            assert (np.diff(curve.values) > 0).all()
            np.testing.assert_allclose(steps, steps.round(), atol=1e-3)


def test_the_compressor_has_curves_of_small_and_of_large_values():
    """Values of 1e-4 and of 1e9 with about the same number of points."""
    from .conftest import MACHINES

    readings = readings_of(MACHINES["compressor"]())
    curves = what_if(TreeScorer(readings.machine), readings.machine, readings.single[0], ranges_of(readings.machine))
    points = {curve.sensor: len(curve.values) for curve in curves}
    assert min(points["clearance_m"], points["strokes"]) > 100


@pytest.mark.parametrize("sensors", [1, 5, 12, 100, 400])
def test_the_number_of_scored_rows_is_limited_for_any_number_of_sensors(sensors):
    readings = readings_of(wide_machine(sensors, categories=2))
    curves = what_if(TreeScorer(readings.machine), readings.machine, readings.single[0], ranges_of(readings.machine))
    ends = 4  # the ends of a range, and the reading's own value
    assert sum(len(curve.values) for curve in curves) <= MAX_SCORED_ROWS + ends * len(curves)
    assert max(len(curve.values) for curve in curves) <= MAX_POINTS + ends
    assert min(len(curve.values) for curve in curves) > min(200, MAX_SCORED_ROWS / sensors / 4)


def test_the_turning_point_is_the_closest_value_with_the_other_decision(any_machine, scorer):
    for reading in any_machine.single:
        alarm = scorer.probability(reading) >= 0.5
        for curve in what_if(scorer, any_machine.machine, reading, ranges_of(any_machine.machine)):
            same = (curve.probabilities >= 0.5) == alarm
            distance = np.abs(curve.values - reading[curve.sensor])
            if curve.turning_point is None:
                assert same.all()
            else:
                assert not same[curve.turning_point]
                assert same[distance < distance[curve.turning_point]].all()


def test_values_for_which_a_formula_has_no_value_are_left_out():
    readings = readings_of(wide_machine(4, features="  root: {label: Root, formula: sqrt(s2 - s1)}"))
    reading = readings.single[0] | {"s1": 0.4, "s2": 0.5}
    curves = what_if(Rooted(), readings.machine, reading, dict.fromkeys(reading, (0.0, 1.0)))
    assert {curve.sensor: (curve.values[0], curve.values[-1]) for curve in curves if curve.sensor in ("s1", "s2")} == {
        "s1": (0.0, 0.5),
        "s2": (0.4, 1.0),
    }


class Rooted:
    """The probability is the root of s2 - s1."""

    def probabilities(self, columns):
        difference = np.asarray(columns["s2"], dtype=float) - np.asarray(columns["s1"], dtype=float)
        if (difference < 0).any():
            raise DataError("root has no value")
        return np.sqrt(difference)

    def probability(self, reading):
        return float(self.probabilities({name: [value] for name, value in reading.items()})[0])

    def decisions(self, probabilities):
        return probabilities >= 0.5
