"""Rules without a model: the age of a machine."""

import numpy as np

from predictive_maintenance.config.event_rules import event_rules
from predictive_maintenance.evaluation.naive_rules import age, score_naive_rules
from predictive_maintenance.history.lives import Failures, lives
from predictive_maintenance.history.observed import ObservedMachines, observe
from predictive_maintenance.machine.machine import Machine
from tests.fixtures.run_to_failure import engine
from tests.paths import REPOSITORY

HOUR = 3.6e9


def machines(times, bounds, failures, failure_bounds):
    times, bounds = np.array(times), np.array(bounds)
    known = Failures(np.array(failures, dtype=times.dtype), np.array(failure_bounds), times[bounds[1:] - 1])
    return ObservedMachines(
        names=np.arange(len(bounds) - 1).astype(object),
        positions=np.arange(len(times)),
        times=times,
        bounds=bounds,
        failures=known,
        lives=lives(times, bounds, known),
    )


def counting_engine() -> Machine:
    from predictive_maintenance.config.machine_file import load_machine

    return load_machine(REPOSITORY / "machines" / "turbofan" / "machine.yaml")


def test_the_age_of_a_counter_is_since_0_or_the_last_failure():
    observed = machines([5.0, 8.0, 9.0, 2.0, 3.0], [0, 3, 5], [8.0], [0, 1, 1])
    assert age(counting_engine(), observed).tolist() == [5, 8, 1, 2, 3]


def test_the_age_of_a_timestamp_is_since_the_first_reading_or_the_last_failure():
    observed = machines(np.array([50, 80, 90, 20, 30], dtype=np.int64), [0, 3, 5], [80], [0, 1, 1])
    assert age(engine(), observed).tolist() == [0, 30, 10, 0, 10]


def test_the_threshold_of_the_age_is_chosen_on_the_training_rows(small_engine):
    params, train = small_engine.params, small_engine.rows.train
    rules = event_rules(params)
    start = np.datetime64("2024-01-01", "us")
    test = {
        "machine_id": np.array(["T"] * 200, dtype=object),
        "timestamp": start + np.arange(200) * np.timedelta64(1, "h"),
    }
    trained = observe(params.machine, train)
    labels = train[params.machine.label_name].to_numpy()
    (scored,) = score_naive_rules(trained, labels, observe(params.machine, test), rules, params)
    threshold = float(scored.label.split()[2])
    hours = age(params.machine, trained) / HOUR
    decisions = hours >= threshold
    ordered = labels[trained.positions].astype(bool)

    def f1(alarm):
        return 2 * (alarm & ordered).sum() / (alarm.sum() + ordered.sum())

    assert f1(decisions) >= max(f1(hours >= other) for other in np.arange(0, 150, 1.0)) - 0.005
    np.testing.assert_allclose(scored.scores.lead_times, [199 - np.ceil(threshold)])
