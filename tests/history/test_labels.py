"""Labels of machines that run to failure."""

import numpy as np

from predictive_maintenance.history.labels import run_to_failure_labels


def test_a_reading_at_the_beginning_of_the_horizon_fails_and_one_before_it_does_not():
    times = np.array([1.0, 2.0, 3.0, 4.0, 1.0, 2.0])
    labels = run_to_failure_labels(times, np.array([0, 4, 6]), horizon=2)
    assert labels.tolist() == [0, 1, 1, 1, 1, 1]
