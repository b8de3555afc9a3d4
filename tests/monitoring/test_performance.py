"""Once labels arrive: which metrics they can tell, with which interval, and whether these are below those at evaluation."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.params import CostSettings, EvaluationSettings, MonitoringSettings
from predictive_maintenance.evaluation.intervals import Estimate
from predictive_maintenance.evaluation.metrics import score
from predictive_maintenance.monitoring.labels import (
    UNKNOWN,
    LabelledPredictions,
    TimedPredictions,
    known_failures,
    labelled_by_failures,
    labelled_by_feedback,
)
from predictive_maintenance.monitoring.performance import METRICS, EvaluationMetrics, count, losses, measure
from predictive_maintenance.monitoring.rule import lasting
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Alarm, Event, Feedback, Reading, Score, Subject
from predictive_maintenance.store.store import Store
from tests.fixtures.pumps import pump

HOUR = 3_600 * 10**6
EVALUATION = EvaluationSettings(bootstrap_samples=300, confidence=0.95, min_assessable_failures=10)
COSTS = CostSettings(currency="EUR", missed_failure=10.0, false_alarm=1.0)
AT_EVALUATION = EvaluationMetrics(metrics=dict.fromkeys(METRICS, Estimate(0.8, 0.75, 0.85, 0.76)), costs=COSTS)


@pytest.fixture
def store(empty_store_url):
    store = Store.open(empty_store_url, timeout_seconds=5)
    yield store
    store.close()


@pytest.fixture
def pump_machine():
    return pump()


def predictions(rows=3_000, seed=1, skill=4.0, groups=60):
    """Labelled predictions of a model with some skill: 10 % failures."""
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.1).astype(np.int8)
    probabilities = 1 / (1 + np.exp(-(skill * (labels - 0.5) + random.normal(size=rows))))
    names = np.array([f"M{number % groups}" for number in range(rows)], dtype=object)
    return LabelledPredictions(probabilities=probabilities, decisions=probabilities >= 0.5, labels=labels, groups=names)


def part(labelled, rows):
    return LabelledPredictions(**{name: values[rows] for name, values in vars(labelled).items()})


def measured(*pages, source="feedback", **settings):
    return measure([count(pages)], source, AT_EVALUATION, MonitoringSettings(**settings), EVALUATION, 7, 0, 1)


def metrics(performance):
    return {metric.metric: metric for metric in performance.metrics}


def test_metrics_are_those_of_the_evaluation_also_in_parts():
    labelled = predictions()
    rows = pd.DataFrame({"failed": labelled.labels, "group": labelled.groups})
    expected = score(rows, "failed", labelled.probabilities, labelled.decisions, COSTS, EVALUATION, 7)
    found = measured(*(part(labelled, slice(start, start + 700)) for start in range(0, 3_000, 700)))
    for name, metric in metrics(found).items():
        assert vars(metric.now) == pytest.approx(vars(expected[name])), name
    assert (found.predictions, found.labelled, found.failures) == (3_000, 3_000, int(labelled.labels.sum()))
    assert metrics(found)["recall"].count == found.failures
    assert metrics(found)["precision"].count == int(labelled.decisions.sum())


def test_a_model_that_is_as_good_as_at_evaluation_loses_nothing_and_a_worse_one_does():
    as_evaluated = measured(predictions(skill=4.0))
    at_evaluation = {name: metric.now for name, metric in metrics(as_evaluated).items()}

    def counting(seed, skill):
        found = measured(predictions(seed=seed, skill=skill))
        found = replace(
            found,
            metrics=tuple(replace(metric, at_evaluation=at_evaluation[metric.metric]) for metric in found.metrics),
        )
        return {finding.column for finding in losses(found, MonitoringSettings()) if finding.exceeds_limit}

    assert [counting(seed, 4.0) for seed in range(2, 8)] == [set()] * 6
    assert counting(2, 1.0) == {"precision", "recall", "f1", "pr_auc"}


def first_incident(bad):
    """The number of the first of 12 windows with a lasting loss; the predictions of the windows in `bad` are wrong."""
    at_evaluation = EvaluationMetrics(
        metrics={name: metric.now for name, metric in metrics(measured(predictions())).items()}, costs=COSTS
    )
    counts = [count([predictions(6_000, number, -4.0 if number in bad else 4.0)]) for number in range(12)]
    settings, windows = MonitoringSettings(), []
    for number in range(12):
        parts = counts[max(number + 1 - settings.performance_windows, 0) : number + 1]
        found = measure(parts, "feedback", at_evaluation, settings, EVALUATION, 7, 0, 1)
        windows.append(list(losses(found, settings)))
        if lasting(windows, least=settings.least, among=settings.windows):
            return number
    return None


@pytest.mark.parametrize(("bad", "expected"), [([], None), ([5], None), ([5, 6], None), ([5, 6, 7], 7), ([5, 7, 9], 9)])
def test_one_bad_window_is_no_lasting_loss_although_several_windows_have_its_predictions(bad, expected):
    assert first_incident(bad) == expected


def test_a_window_without_failures_does_not_tell_whether_a_loss_goes_on():
    labelled = predictions(skill=-4.0)
    healthy = part(labelled, (labelled.labels == 0) & ~labelled.decisions)
    parts = [count([labelled]), count([healthy])]
    found = measure(parts, "feedback", AT_EVALUATION, MonitoringSettings(), EVALUATION, 7, 0, 1)
    findings = list(losses(found, MonitoringSettings()))
    assert {finding.column for finding in findings if finding.low > finding.limit} >= {"precision", "recall"}
    assert [finding.exceeds_limit for finding in findings] == [False] * len(findings)


def test_feedback_on_predicted_failures_alone_tells_the_precision_and_no_more():
    labelled = predictions()
    labels = np.where(labelled.decisions, labelled.labels, UNKNOWN).astype(np.int8)
    found = metrics(measured(replace(labelled, labels=labels)))
    assert found["precision"].now.value == metrics(measured(labelled))["precision"].now.value
    for metric in ("recall", "f1", "pr_auc", "expected_cost"):
        assert found[metric].now is None
        assert found[metric].reason.startswith("0 of 2,")
        assert "below 90%" in found[metric].reason


def test_feedback_on_missed_failures_alone_does_not_tell_the_recall():
    labelled = predictions()
    labels = np.where(labelled.decisions | (labelled.labels == 1), labelled.labels, UNKNOWN).astype(np.int8)
    assert metrics(measured(replace(labelled, labels=labels)))["recall"].now is None


@pytest.mark.parametrize(("rows", "groups"), [(60, 60), (3_000, 4)])
def test_few_labels_and_few_machines_tell_nothing(rows, groups):
    assert [metric.now for metric in measured(predictions(rows, groups=groups)).metrics] == [None] * len(METRICS)


def test_no_prediction_at_all_is_not_an_error():
    assert measured().predictions == 0
    assert "0 of 0 predicted failures have a label" in metrics(measured())["precision"].reason


def timed(machine_id, *hours, alarms=True):
    count = len(hours)
    return TimedPredictions(
        machines=np.array([machine_id] * count, dtype=object),
        keys=np.array([hour * HOUR for hour in hours]),
        probabilities=np.full(count, 0.5),
        decisions=np.full(count, alarms),
    )


def keep(store, machine_id, *hours):
    reading = {"sensors": {"flow": 1.0}, "score": Score(0.5, alarm=True, version="3")}
    with store.writing() as transaction:
        locked = transaction.machines("pumps", [machine_id])[machine_id]
        transaction.add([(locked, Reading(time=hour * HOUR, received=hour, **reading)) for hour in hours])


def fail(store, machine_id, *hours):
    with store.writing() as transaction:
        locked = transaction.machines("pumps", [machine_id])[machine_id]
        transaction.add_events({locked: [Event("failures", hour * HOUR, "seal") for hour in hours]}, 1)


def alarm(store, machine_id, opened, verdict, closed=None, failed=None):
    with store.writing() as transaction:
        locked = transaction.machines("pumps", [machine_id])[machine_id]
        opening = Alarm(opened=opened * HOUR, probability=0.5, version="3")
        transaction.save_alarm(locked, opening)
        if closed is not None:
            transaction.save_alarm(locked, replace(opening, closed=closed * HOUR, closed_by="decisions"))
        failed_at = None if failed is None else failed * HOUR
        subject = Subject("alarm", machine_id, opened * HOUR)
        transaction.add_feedback(
            "pumps", Feedback(subject=subject, verdict=verdict, mode=None, failed=failed_at, comment="", author="A"), 1
        )


def labels(store, machine, *pages, are_reported=True):
    known = known_failures(store, "pumps", machine, are_reported=are_reported)
    return [label for page in labelled_by_failures(iter(pages), known, machine) for label in page.labels.tolist()]


def test_a_prediction_is_labelled_by_a_failure_within_the_horizon_once_it_has_ended(store, pump_machine):
    """The horizon is 24 h. Readings at a failure, and in the 3 h after it, have no label, nor those without an end."""
    keep(store, "P1", 10, 50, 100)
    fail(store, "P1", 60)
    assert labels(store, pump_machine, timed("P1", 10, 35, 36, 59, 60, 62, 64, 76, 77)) == [
        0, 0, 1, 1, UNKNOWN, UNKNOWN, 0, 0, UNKNOWN,
    ]  # fmt: skip


def test_a_machine_that_the_store_does_not_observe_has_no_labels(store, pump_machine):
    keep(store, "P1", 10, 100)
    fail(store, "P1", 60)
    assert labels(store, pump_machine, timed("P2", 10, 40), timed("P1", 10)) == [UNKNOWN, UNKNOWN, 0]


def test_a_confirmed_alarm_is_a_failure_and_the_same_one_as_a_reported_failure(store, pump_machine):
    keep(store, "P1", 10, 200)
    fail(store, "P1", 60)
    alarm(store, "P1", 50, "confirmed", closed=60, failed=61)
    alarm(store, "P1", 110, "confirmed", closed=130, failed=120)
    known = known_failures(store, "pumps", pump_machine, are_reported=True)
    assert known.failed["P1"].tolist() == [60 * HOUR, 120 * HOUR]
    assert known.source == "failures"


def test_without_reported_failures_only_predictions_in_reported_alarms_have_labels(store, pump_machine):
    keep(store, "P1", 10, 200)
    keep(store, "P2", 10, 200)
    alarm(store, "P1", 50, "confirmed", closed=60, failed=60)
    alarm(store, "P2", 50, "false", closed=60)
    alarm(store, "P2", 100, "unknown", closed=110)
    known = known_failures(store, "pumps", pump_machine, are_reported=True)
    assert known.source == "confirmed alarms"
    assert labels(store, pump_machine, timed("P1", 10, 55)) == [UNKNOWN, 1]
    assert labels(store, pump_machine, timed("P2", 40, 55, 105)) == [UNKNOWN, 0, UNKNOWN]
    assert labels(store, pump_machine, timed("P1", 55, alarms=False)) == [UNKNOWN]
    found = metrics(measured(replace(predictions(), labels=np.full(3_000, UNKNOWN, np.int8)), source=known.source))
    assert "send every failure to /events and set monitoring.failures_are_reported" in found["recall"].reason


def test_a_few_failures_in_the_store_do_not_make_the_other_machines_healthy(store, pump_machine):
    """P1 has failed without an alarm, and nobody said that every failure is reported."""
    for name in ("P1", "P2", "P3"):
        keep(store, name, 10, 200)
    fail(store, "P1", 60)
    alarm(store, "P2", 50, "false", closed=60)
    alarm(store, "P3", 50, "confirmed", closed=60, failed=60)
    pages = timed("P1", 10, 55), timed("P2", 40, 55), timed("P3", 10, 55)
    assert labels(store, pump_machine, *pages) == [0, 1, 0, 0, 0, 1]
    assert labels(store, pump_machine, *pages, are_reported=False) == [UNKNOWN, UNKNOWN, UNKNOWN, 0, UNKNOWN, 1]
    sources = [
        known_failures(store, "pumps", pump_machine, are_reported=are_reported).source for are_reported in (True, False)
    ]
    assert sources == ["failures", "confirmed alarms"]


def test_nothing_is_known_without_failures_and_feedback(store, pump_machine):
    keep(store, "P1", 10, 200)
    alarm(store, "P1", 50, "partly")
    assert not known_failures(store, "pumps", pump_machine, are_reported=True).are_known


def report(store, subject, verdict):
    with store.writing() as transaction:
        transaction.add_feedback(
            "pumps", Feedback(subject=subject, verdict=verdict, mode=None, failed=None, comment="", author="A"), 1
        )


def test_the_newest_report_about_a_reading_or_its_row_is_the_label(store):
    report(store, Subject("reading", "a"), "false")
    report(store, Subject("request", "r", 1), "confirmed")
    report(store, Subject("request", "r", 2), "confirmed")
    report(store, Subject("reading", "b"), "partly")
    report(store, Subject("request", "r", 4), "false")
    report(store, Subject("request", "another", 3), "false")
    block = Predictions(
        scored=1, request_id="r", failure_probability=[0.5] * 4, predicted_failure=[True] * 4, row=1,
        reading_id=["a", "b", None, None],
    )  # fmt: skip
    (found,) = labelled_by_feedback(store, "pumps", lambda kind: [block], "log")
    assert found.labels.tolist() == [1, UNKNOWN, UNKNOWN, 0]


def test_a_repeated_prediction_of_a_reading_is_labelled_once(store):
    report(store, Subject("reading", "a"), "confirmed")
    common = {"failure_probability": [0.2, 0.3], "predicted_failure": [False, False], "row": 1}
    blocks = [
        Predictions(scored=1, request_id="r", reading_id=["a", "b"], **common),
        Predictions(scored=2, request_id="s", reading_id=["c", "a"], **common),
    ]
    found = list(labelled_by_feedback(store, "pumps", lambda kind: blocks, "log"))
    assert [page.labels.tolist() for page in found] == [[UNKNOWN], [UNKNOWN, 1]]
    assert [page.probabilities.tolist() for page in found] == [[0.3], [0.2, 0.3]]


def test_predictions_of_a_machine_are_related_and_others_are_by_their_order(store):
    def blocks(kind, **values):
        for _ in range(2):
            yield Predictions(
                scored=1, request_id="r", failure_probability=[0.5] * 20, predicted_failure=[True] * 20, **values
            )

    groups = [page.groups.tolist() for page in labelled_by_feedback(store, "pumps", blocks, "log")]
    assert [len(set(names)) for names in groups] == [1, 2]
    (first, _) = labelled_by_feedback(store, "pumps", partial(blocks, machine_id=["P1", "P2"] * 10), "log")
    assert set(first.groups) == {"P1", "P2"}


def test_the_log_without_reports_has_no_labels(store):
    block = Predictions(scored=1, request_id="r", failure_probability=[0.5], predicted_failure=[True])
    with store.writing() as transaction:
        transaction.log("pumps", 1, [LoggedBlock(number=1, version="3", block=block.as_block())])
    (found,) = labelled_by_feedback(store, "pumps", partial(store.predictions_of, "pumps"), "log")
    assert found.labels.tolist() == [UNKNOWN]
