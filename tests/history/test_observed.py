"""Machines in a table: their order, and failures at the last of all readings, on both sides of a split."""

import numpy as np

from predictive_maintenance.history.observed import observe
from tests.fixtures.run_to_failure import engine


def readings(machines, hours):
    times = np.datetime64("2024-01-01", "us") + np.array(hours) * np.timedelta64(1, "h")
    return {"machine_id": np.array(machines, dtype=object), "timestamp": times}


def hours_of(times):
    return ((times - np.datetime64("2024-01-01", "us").astype(np.int64)) / 3.6e9).tolist()


def test_readings_are_in_the_order_of_machines_and_times_with_one_failure_each():
    found = observe(engine(), readings(["B", "A", "B", "A", "B"], [5, 1, 2, 4, 3]))
    assert found.names.tolist() == ["B", "A"]
    assert found.positions.tolist() == [2, 4, 0, 1, 3]
    assert hours_of(found.times) == [2, 3, 5, 1, 4]
    assert found.bounds.tolist() == [0, 3, 5]
    assert hours_of(found.failures.times) == [5, 4]
    assert found.lives.of_reading.tolist() == [0, 0, 0, 2, 2]


def test_a_machine_fails_at_the_last_of_its_readings_wherever_it_is():
    """The last readings of A have no label, those of B are training rows; C has no row here."""
    found = observe(
        engine(), readings(["A", "B", "A"], [1, 1, 2]), readings(["B"], [9]), readings(["A", "C", "A"], [6, 4, 3])
    )
    assert found.names.tolist() == ["A", "B"]
    assert found.positions.tolist() == [0, 2, 1]
    assert hours_of(found.failures.times) == [6, 9]
    assert found.failures.bounds.tolist() == [0, 1, 2]


def test_a_table_may_be_empty():
    found = observe(engine(), readings([], []), readings(["A"], [1]))
    assert (found.names.tolist(), found.lives.failure.tolist()) == ([], [])
