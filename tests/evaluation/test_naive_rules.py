"""Rules without a model: the age of a machine."""

import numpy as np
import pandas as pd

from predictive_maintenance.config.event_rules import event_rules
from predictive_maintenance.evaluation.naive_rules import Age, naive_rules, score_naive_rules
from predictive_maintenance.history.lives import Failures, lives
from predictive_maintenance.history.observed import ObservedMachines, observe
from predictive_maintenance.machine.machine import Machine
from tests.fixtures.pumps import pump
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
    assert Age(counting_engine()).measure(observed, pd.DataFrame()).tolist() == [5, 8, 1, 2, 3]


def test_the_age_of_a_timestamp_is_since_the_first_reading_or_the_last_failure():
    observed = machines(np.array([50, 80, 90, 20, 30], dtype=np.int64), [0, 3, 5], [80], [0, 1, 1])
    assert Age(engine()).measure(observed, pd.DataFrame()).tolist() == [0, 30, 10, 0, 10]


def test_the_threshold_of_the_age_is_chosen_on_the_training_rows(small_engine):
    params, train = small_engine.params, small_engine.rows.train
    rules = event_rules(params)
    start = np.datetime64("2024-01-01", "us")
    test = pd.DataFrame(
        {
            "machine_id": np.array(["T"] * 200, dtype=object),
            "timestamp": start + np.arange(200) * np.timedelta64(1, "h"),
        }
    )
    trained = observe(params.machine, train)
    labels = train[params.machine.label_name].to_numpy()
    (scored,) = score_naive_rules(trained, train, observe(params.machine, test), test, rules, params)
    threshold = float(scored.label.split()[2])
    hours = Age(params.machine).measure(trained, train) / HOUR
    decisions = hours >= threshold
    ordered = labels[trained.positions].astype(bool)

    def f1(alarm):
        return 2 * (alarm & ordered).sum() / (alarm.sum() + ordered.sum())

    assert f1(decisions) >= max(f1(hours >= other) for other in np.arange(0, 150, 1.0)) - 0.005
    np.testing.assert_allclose(scored.scores.lead_times, [199 - np.ceil(threshold)])


def test_tables_of_events_have_rules_of_their_own():
    assert [rule.name for rule in naive_rules(pump())] == ["age", "errors_count", "errors_since", "service_since"]


def test_a_rule_of_events_measures_all_types_in_the_order_of_machines_and_times(small_pump):
    machine, train = small_pump.params.machine, small_pump.rows.train
    observed = observe(machine, train, small_pump.rows.test, small_pump.rows.history)
    rules = {rule.name: rule for rule in naive_rules(machine)}
    ordered = train.iloc[observed.positions]
    assert rules["errors_count"].measure(observed, train).tolist() == ordered["errors_count_12h"].tolist()
    since = rules["service_since"].measure(observed, train)
    parts = ordered[["service_seal_time_since_last", "service_bearing_time_since_last"]]
    np.testing.assert_array_equal(since, parts.max(axis=1).fillna(0))


def test_every_rule_is_scored_on_the_held_out_machines(small_pump):
    params, rows = small_pump.params, small_pump.rows
    train = observe(params.machine, rows.train, rows.test, rows.history)
    test = observe(params.machine, rows.test, rows.train, rows.history)
    scored = score_naive_rules(train, rows.train, test, rows.test, event_rules(params), params)
    assert [rule.label.split(" >= ")[0] for rule in scored] == [
        "Age",
        "Errors in 12 h",
        "Time since errors",
        "Time since service",
    ]
    soon = rows.test[rows.test["fails_soon"] == 1]
    failures = len(soon[["machine_id", "_next_failure"]].drop_duplicates())
    assert {rule.scores.failures for rule in scored} == {failures}
    assert all(0 <= rule.scores.caught <= rule.scores.failures for rule in scored)
