"""The threshold for a limited rate of false alarms is chosen on the rows that it is given."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.event_rules import event_rules
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.evaluation.failure_events import judge_alarms
from predictive_maintenance.history.observed import observe
from predictive_maintenance.training.alarm_thresholds import select_threshold_of_alarms
from predictive_maintenance.training.candidate import select_calibration_and_threshold
from predictive_maintenance.training.thresholds import possible_thresholds, select_threshold


def limited(params, maximum):
    return params.model_copy(
        update={"threshold": params.threshold.model_copy(update={"at_most_false_alarms": maximum})}
    )


@pytest.fixture(scope="module")
def engines(engine_params):
    """(rows, labels, noisy probabilities) of 30 engines with 100 hourly readings and a horizon of 24 hours."""
    random = np.random.default_rng(5)
    start = np.datetime64("2024-01-01", "us")
    frame = pd.DataFrame(
        {
            "machine_id": np.repeat([f"E{number}" for number in range(30)], 100),
            "timestamp": pd.to_datetime(np.tile(start + np.arange(100) * np.timedelta64(1, "h"), 30), utc=True),
        }
    ).sample(frac=1, random_state=1, ignore_index=True)
    left = 99 - (frame["timestamp"].dt.tz_localize(None).to_numpy() - start) / np.timedelta64(1, "h")
    probabilities = np.clip(1 - left / 60 + random.normal(0, 0.2, len(frame)), 0.001, 0.999)
    return frame, (left <= 24).astype(np.int8), probabilities


def counts(engines, params, threshold):
    """Failures caught and false alarms per machine-month at a threshold."""
    frame, _, probabilities = engines
    rules = event_rules(params)
    found = judge_alarms(observe(params.machine, frame), probabilities >= threshold, rules).outcomes
    months = found.observed.sum() / rules.rate_unit.length
    return int(np.isfinite(found.lead).sum()), found.false_alarms.sum() / months


@pytest.mark.parametrize("maximum", [0.3, 0.5, 2.0, 20.0])
def test_no_threshold_within_the_limit_catches_more_failures(engine_params, engines, maximum):
    frame, labels, probabilities = engines
    params = limited(engine_params, maximum)
    threshold = select_threshold_of_alarms(labels, probabilities, params, observe(params.machine, frame))
    caught, rate = counts(engines, params, threshold)
    assert rate <= maximum
    thresholds, _ = possible_thresholds(labels, probabilities, params.threshold, params.costs)
    others = [counts(engines, params, other) for other in thresholds[:: len(thresholds) // 200]]
    best = max(found for found, other_rate in others if other_rate <= maximum)
    assert caught >= best - 1  # not every threshold is tried


def test_a_wide_limit_selects_the_best_objective_among_those_that_catch_all_failures(engine_params, engines):
    frame, labels, probabilities = engines
    params = limited(engine_params, 1e9)
    best = select_threshold(labels, probabilities, params.threshold, params.costs)
    assert counts(engines, params, best)[0] == 30
    assert select_threshold_of_alarms(labels, probabilities, params, observe(params.machine, frame)) == best


def test_a_failure_more_is_worth_a_lower_objective(engine_params):
    """The best F1 is between 0.6 and 0.9. Below 0.5, one more failure is caught, for 20 more positive healthy readings."""
    params = limited(engine_params, 1e9)
    start = np.datetime64("2024-01-01", "us")
    hours = np.tile(np.arange(100), 4)
    machines = np.repeat(np.array(list("ABCD"), dtype=object), 100)
    labels = (hours >= 75).astype(np.int8)
    risk = np.where((machines == "D") | (labels == 0), 0.1, 0.9)
    risk[(machines == "A") & (hours >= 20) & (hours < 40)] = 0.6
    risk[(machines == "D") & (hours == 90)] = 0.5
    table = {"machine_id": machines, "timestamp": start + hours * np.timedelta64(1, "h")}
    assert select_threshold(labels, risk, params.threshold, params.costs) == pytest.approx(0.75)
    assert select_threshold_of_alarms(labels, risk, params, observe(params.machine, table)) == pytest.approx(0.3)


def test_if_every_threshold_exceeds_the_limit_the_one_with_the_lowest_rate_is_selected(engine_params, engines):
    frame, labels, _ = engines
    params = limited(engine_params, 0.0)
    wrong = 1 - labels + np.linspace(0, 0.001, len(labels))  # the riskiest readings are all healthy
    observed = observe(params.machine, frame)
    threshold = select_threshold_of_alarms(labels, wrong, params, observed)
    assert threshold == pytest.approx(np.sort(wrong)[-2:].mean())


def test_without_a_limit_the_objective_decides_alone(engine_params, engines):
    _, labels, probabilities = engines
    expected = select_threshold(labels, probabilities, engine_params.threshold, engine_params.costs)
    assert select_threshold_of_alarms(labels, probabilities, engine_params) == expected


def test_the_limit_is_ignored_if_the_label_has_no_horizon(params):
    labels, probabilities = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.3])
    expected = select_threshold(labels, probabilities, params.threshold, params.costs)
    assert select_threshold_of_alarms(labels, probabilities, limited(load_params(), 0.0)) == expected


def test_the_machines_of_the_rows_are_needed(engine_params, engines):
    _, labels, probabilities = engines
    with pytest.raises(ValueError, match="needs the machines of the rows"):
        select_threshold_of_alarms(labels, probabilities, limited(engine_params, 1.0))


def test_decisions_of_a_fold_do_not_depend_on_its_labels_and_obey_the_limit(engine_params, engines):
    frame, labels, probabilities = engines
    fold = frame["machine_id"].str[1:].astype(int).to_numpy() % 5
    params = limited(engine_params, 0.5)
    _, threshold, found = select_calibration_and_threshold(labels, probabilities, fold, params, frame)
    changed = np.where(fold == 0, 1 - labels, labels)
    _, _, others = select_calibration_and_threshold(changed, probabilities, fold, params, frame)
    np.testing.assert_array_equal(found.decisions[fold == 0], others.decisions[fold == 0])
    unlimited = select_calibration_and_threshold(labels, probabilities, fold, engine_params, frame)[1]
    assert threshold > unlimited
