"""Metrics agree with scikit-learn, and their intervals are from a bootstrap over whole tool lives."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from predictive_maintenance.evaluation import metrics
from predictive_maintenance.evaluation.metrics import score
from predictive_maintenance.evaluation.prediction_summary import PredictionSummary

LABEL = "machine_failure"


def f1_difference(rows, challenger, champion, params):
    labels, groups = rows[LABEL].to_numpy(), rows["group"]
    both = [PredictionSummary.of(labels, one.astype(float), one, groups).groups for one in (challenger, champion)]
    return metrics.f1_difference(*both, params.evaluation, 1)


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=25, deadline=None)
def test_values_agree_with_scikit_learn(params, rows_with, seed, with_ties):
    random = np.random.default_rng(seed)
    labels = np.append((random.random(300) < 0.2).astype(int), [0, 1])
    probabilities = np.clip(random.random(302) * 0.7 + labels * 0.3, 0, 1)
    probabilities = probabilities.round(1) if with_ties else probabilities
    decisions = probabilities >= 0.5
    scores = score(rows_with(labels), LABEL, probabilities, decisions, params.costs, params.evaluation, seed)
    expected = {
        "recall": reference.recall_score(labels, decisions),
        "precision": reference.precision_score(labels, decisions, zero_division=0),
        "f1": reference.f1_score(labels, decisions),
        "mcc": reference.matthews_corrcoef(labels, decisions),
        "pr_auc": reference.average_precision_score(labels, probabilities),
        "brier": reference.brier_score_loss(labels, probabilities),
    }
    for name, value in expected.items():
        assert scores[name].value == pytest.approx(value), name
        assert scores[name].low <= scores[name].lower_bound <= scores[name].high
    counts = scores.confusion
    assert (counts.false_negatives * 5000 + counts.false_positives * 250) / 302 * 1000 == pytest.approx(
        scores["expected_cost"].value
    )
    assert counts.true_positives + counts.false_negatives == scores.failures == labels.sum()


def test_the_coverage_of_an_interval_is_close_to_its_confidence(params, rows_with):
    """In 200 test sets with a true recall of .8, the 95 % interval contains .8 in 88 to 100 % of them."""
    settings = params.evaluation.model_copy(update={"bootstrap_samples": 300})
    covered = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        labels = (random.random(1500) < 0.1).astype(int)
        decisions = (random.random(1500) < 0.8) & (labels == 1)
        scores = score(rows_with(labels), LABEL, decisions.astype(float), decisions, params.costs, settings, seed)
        covered += scores["recall"].low <= 0.8 <= scores["recall"].high
    assert 0.88 <= covered / 200 <= 1.0


@pytest.mark.parametrize("decimals", [1, 6])
def test_an_interval_equals_scikit_learns_metrics_weighted_by_draws_of_tool_lives(params, decimals, rows_with):
    settings = params.evaluation.model_copy(update={"bootstrap_samples": 20})
    random = np.random.default_rng(4)
    labels, probabilities = (random.random(300) < 0.1).astype(int), random.random(300).round(decimals)
    scores = score(rows_with(labels), LABEL, probabilities, probabilities >= 0.5, params.costs, settings, seed=11)
    draws = np.random.default_rng(11).integers(0, 30, size=(20, 30))
    weights = [np.bincount(drawn, minlength=30)[np.arange(300) // 10] for drawn in draws]
    pr_aucs = [reference.average_precision_score(labels, probabilities, sample_weight=weight) for weight in weights]
    f1s = [reference.f1_score(labels, probabilities >= 0.5, sample_weight=weight) for weight in weights]
    for name, samples in (("pr_auc", pr_aucs), ("f1", f1s)):
        found = (scores[name].low, scores[name].high, scores[name].lower_bound)
        assert found == pytest.approx(np.quantile(samples, [0.025, 0.975, 0.05])), name


def test_the_bootstrap_of_many_tool_lives_needs_little_memory(params, rows_with):
    """All 1,000 draws of 5,000 tool lives at once would take 40 MB."""
    random = np.random.default_rng(6)
    labels = (random.random(10_000) < 0.1).astype(int)
    decisions = random.random(10_000) < 0.1
    rows = rows_with(labels, np.arange(10_000) // 2)
    tracemalloc.start()
    score(rows, LABEL, random.random(10_000), decisions, params.costs, params.evaluation, 1)
    f1_difference(rows, decisions, ~decisions, params)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10e6


def test_metrics_of_rows_without_a_failure_are_zero_without_a_warning(params, rows_with):
    scores = score(
        rows_with([0] * 20), LABEL, np.linspace(0, 1, 20), np.arange(20) < 5, params.costs, params.evaluation, 1
    )
    assert [scores[name].value for name in ("recall", "precision", "f1", "pr_auc", "mcc")] == [0.0] * 5


def test_a_share_that_is_equal_in_every_draw_has_a_wilson_interval(params, rows_with):
    labels = np.array([1] * 33 + [0] * 300)
    rows = rows_with(labels)
    decisions = labels.astype(bool)
    scores = score(rows, LABEL, decisions.astype(float), decisions, params.costs, params.evaluation, 1)
    for name in ("recall", "precision"):
        estimate = scores[name]
        assert (estimate.value, estimate.high) == (1.0, 1.0)
        assert estimate.low == pytest.approx(0.8957, abs=1e-4)  # 95 % Wilson interval of 33 of 33
        assert estimate.lower_bound == pytest.approx(0.9242, abs=1e-4)  # lower end of the 90 % interval: one-sided 95 %


def test_failures_concentrated_in_few_tool_lives_widen_the_interval(params, rows_with):
    """If each tool life is caught or missed as a whole, 500 failures carry the information of 50."""
    labels = np.ones(500, dtype=int)
    caught = np.repeat(np.arange(50) % 2 == 0, 10)
    together = score(rows_with(labels), LABEL, caught * 1.0, caught, params.costs, params.evaluation, 1)
    apart = score(rows_with(labels, np.arange(500)), LABEL, caught * 1.0, caught, params.costs, params.evaluation, 1)
    widths = [scores["recall"].high - scores["recall"].low for scores in (together, apart)]
    assert widths[0] == pytest.approx(widths[1] * np.sqrt(10), rel=0.25)


def test_the_f1_difference_is_zero_for_equal_decisions_and_positive_for_better_ones(params, rows_with):
    random = np.random.default_rng(3)
    labels = (random.random(2000) < 0.1).astype(int)
    good, bad = labels.astype(bool), (labels == 1) & (random.random(2000) < 0.6)
    rows = rows_with(labels)
    same = f1_difference(rows, bad, bad, params)
    better = f1_difference(rows, good, bad, params)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert better.lower_bound > 0.1
    assert better.value == pytest.approx(1 - reference.f1_score(labels, bad))
