"""Models that are no better than never or always alarming are rejected, also where failures are common."""

import numpy as np
import pytest
from sklearn import metrics as reference

from machines.milling.simulator import simulate
from predictive_maintenance.evaluation.gate import judge
from predictive_maintenance.evaluation.metrics import score
from predictive_maintenance.evaluation.prediction_summary import PredictionSummary
from predictive_maintenance.evaluation.row_sets import out_of_fold_scores, score_rows
from predictive_maintenance.evaluation.trivial_models import trivial_models_of
from predictive_maintenance.evaluation.verdict import CheckName
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import Agreement, estimator_probabilities
from predictive_maintenance.training.splits import split

AGREES = Agreement(1000, 1e-7, 0)
TRIVIAL_CHECKS = {
    CheckName.HELD_OUT_NEVER,
    CheckName.HELD_OUT_ALWAYS,
    CheckName.OUT_OF_FOLD_NEVER,
    CheckName.OUT_OF_FOLD_ALWAYS,
}


@pytest.fixture
def quick(params):
    """Settings with few bootstrap samples."""
    return params.model_copy(update={"evaluation": params.evaluation.model_copy(update={"bootstrap_samples": 100})})


@pytest.fixture
def judged(quick, rows_with):
    """A function that returns the verdict on decisions that are held-out and out-of-fold results alike."""

    def verdict(labels, decisions, **settings):
        scores = score_rows(rows_with(labels), decisions.astype(float), decisions, quick)
        gate = quick.gate.model_copy(update=settings)
        return judge(scores, scores, AGREES, None, gate, 10)

    return verdict


def failed(verdict):
    return {check.name for check in verdict.failed}


def labels_and_alarms(*, detected, failures, false_alarms, rows):
    """Labels and decisions with these counts, in an order that mixes them among the groups."""
    labels, alarms = np.zeros(rows, dtype=int), np.zeros(rows, dtype=bool)
    labels[:failures], alarms[:detected] = 1, True
    alarms[failures : failures + false_alarms] = True
    order = np.random.default_rng(1).permutation(rows)
    return labels[order], alarms[order]


def test_an_alarm_for_nearly_every_machine_is_rejected_although_recall_and_f1_are_high(judged):
    """64 % positives and an alarm for 95 % of the rows."""
    labels, alarms = labels_and_alarms(detected=622, failures=640, false_alarms=327, rows=1000)
    verdict = judged(labels, alarms)
    assert verdict.level is None
    assert failed(verdict) == {CheckName.HELD_OUT_ALWAYS, CheckName.OUT_OF_FOLD_NEVER, CheckName.OUT_OF_FOLD_ALWAYS}
    assert (
        "is rejected, because 3 checks failed: Better than always alarming on held-out rows (F1 is 0.783, always "
        "alarming has 0.780: the difference, +0.002, is below 0.02 on 1,000 held-out rows with 640 failures); "
    ) in verdict.summary()
    assert "MCC is 0.139, never alarming has 0: the lower bound of the difference, +0.0" in verdict.summary()


def test_a_model_that_separates_common_failures_passes(judged):
    labels, alarms = labels_and_alarms(detected=580, failures=640, false_alarms=100, rows=1000)
    assert judged(labels, alarms).level == "production"


@pytest.mark.parametrize(("failures", "alarm"), [(640, True), (640, False), (34, True), (34, False)])
def test_a_trivial_model_fails_every_check_of_trivial_models(judged, failures, alarm):
    labels, _ = labels_and_alarms(detected=0, failures=failures, false_alarms=0, rows=1000)
    verdict = judged(labels, np.full(1000, alarm))
    assert verdict.level is None
    assert failed(verdict) >= TRIVIAL_CHECKS


def test_a_model_whose_lower_bound_is_below_the_margin_stays_a_candidate(judged):
    """F1 is .805, .025 above always alarming, on rows that are too few to prove it."""
    labels, alarms = labels_and_alarms(detected=62, failures=64, false_alarms=28, rows=100)
    verdict = judged(labels, alarms)
    assert verdict.level == "candidate"
    assert failed(verdict) == {CheckName.OUT_OF_FOLD_ALWAYS}


def test_the_minimums_are_settings_and_can_be_switched_off(judged):
    labels, alarms = labels_and_alarms(detected=580, failures=640, false_alarms=100, rows=1000)
    assert failed(judged(labels, alarms, min_mcc=0.9)) == {CheckName.HELD_OUT_NEVER, CheckName.OUT_OF_FOLD_NEVER}
    assert failed(judged(labels, alarms, min_f1_gain=0.5)) == {CheckName.HELD_OUT_ALWAYS, CheckName.OUT_OF_FOLD_ALWAYS}
    always = np.ones(1000, dtype=bool)
    assert judged(labels, always, min_mcc=-1, min_f1_gain=-1).level == "production"


def test_a_model_trained_on_labels_without_a_pattern_is_rejected(quick):
    """64 % positives at random. The threshold with the best F1 raises an alarm for nearly every reading."""
    readings = simulate(2000, seed=5).assign(source_index=0)
    readings["machine_failure"] = (np.random.default_rng(99).random(len(readings)) < 0.64).astype(np.int8)
    rows = split(MILLING.with_features(readings), MILLING, quick.split, quick.training.seed)
    trained = train_untuned("lightgbm", rows.train, rows.fold, quick)
    probabilities = estimator_probabilities(trained, rows.test, MILLING)
    held_out = score_rows(rows.test, probabilities, probabilities >= trained.threshold, quick)
    verdict = judge(held_out, out_of_fold_scores(trained, rows.train, quick), AGREES, None, quick.gate, 10)
    assert held_out["recall"].value > 0.9
    assert held_out["f1"].value > 0.75
    assert verdict.level is None
    assert failed(verdict) == TRIVIAL_CHECKS
    assert "is rejected, because 4 checks failed: Better than never alarming on held-out rows (" in verdict.summary()


def test_trivial_models_have_the_metrics_of_scikit_learn_and_an_exact_recall(quick, rows_with):
    labels, _ = labels_and_alarms(detected=0, failures=64, false_alarms=0, rows=100)
    rows = rows_with(labels)
    summary = PredictionSummary.of(labels, np.zeros(len(rows)), labels & False, rows["group"])
    trivial = trivial_models_of(summary, quick)
    for scores, alarm in ((trivial.never_alarm, False), (trivial.always_alarm, True)):
        decisions = np.full(100, alarm)
        assert scores["f1"].value == pytest.approx(reference.f1_score(labels, decisions))
        assert scores["precision"].value == pytest.approx(reference.precision_score(labels, decisions, zero_division=0))
        assert (scores["mcc"].low, scores["mcc"].value, scores["mcc"].high) == (0, 0, 0)
        assert (scores["recall"].low, scores["recall"].value, scores["recall"].high) == (alarm, alarm, alarm)
    precision = trivial.always_alarm["precision"]
    assert precision.low < 0.64 < precision.high
    assert (trivial.always_alarm.confusion.false_positives, trivial.never_alarm.confusion.false_negatives) == (36, 64)


def test_the_f1_gain_is_paired_with_always_alarming_on_the_same_draws(params, rows_with):
    settings = params.evaluation.model_copy(update={"bootstrap_samples": 20})
    random = np.random.default_rng(4)
    labels, alarms = (random.random(300) < 0.6).astype(int), random.random(300) < 0.7
    rows = rows_with(labels)
    gain = score(rows, "machine_failure", alarms * 1.0, alarms, params.costs, settings, seed=11)["f1_gain"]
    draws = np.random.default_rng(11).integers(0, 30, size=(20, 30))
    weights = [np.bincount(drawn, minlength=30)[np.arange(300) // 10] for drawn in draws]
    always = np.ones(300)
    samples = [
        reference.f1_score(labels, alarms, sample_weight=weight)
        - reference.f1_score(labels, always, sample_weight=weight)
        for weight in weights
    ]
    assert gain.value == pytest.approx(reference.f1_score(labels, alarms) - reference.f1_score(labels, always))
    assert (gain.low, gain.high, gain.lower_bound) == pytest.approx(np.quantile(samples, [0.025, 0.975, 0.05]))
