"""Metrics agree with scikit-learn; their intervals know that the readings of a tool life resemble each other."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from predictive_maintenance.evaluation.metrics import (
    calibration_bins,
    f1_difference,
    over_thresholds,
    recall_by_mode,
    score,
)


def rows_with(labels, lives=None):
    lives = np.arange(len(labels)) // 10 if lives is None else lives
    return pd.DataFrame({"machine_failure": labels, "tool_life": [f"life {life}" for life in lives]})


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=25, deadline=None)
def test_values_agree_with_scikit_learn(params, seed, with_ties):
    random = np.random.default_rng(seed)
    labels = np.append((random.random(300) < 0.2).astype(int), [0, 1])
    probabilities = np.clip(random.random(302) * 0.7 + labels * 0.3, 0, 1)
    probabilities = probabilities.round(1) if with_ties else probabilities
    decisions = probabilities >= 0.5
    scores = score(rows_with(labels), probabilities, decisions, params.costs, params.evaluation, seed)
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


def test_an_interval_covers_the_truth_about_as_often_as_it_says(params):
    """200 draws of a test set with a true recall of .8: the 95 % interval holds .8 in 88 to 100 % of them."""
    settings = params.evaluation.model_copy(update={"bootstrap_samples": 300})
    covered = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        labels = (random.random(1500) < 0.1).astype(int)
        decisions = (random.random(1500) < 0.8) & (labels == 1)
        scores = score(rows_with(labels), decisions.astype(float), decisions, params.costs, settings, seed)
        covered += scores["recall"].low <= 0.8 <= scores["recall"].high
    assert 0.88 <= covered / 200 <= 1.0


@pytest.mark.parametrize("decimals", [1, 6])
def test_an_interval_is_that_of_whole_lives_drawn_and_weighed_by_scikit_learn(params, decimals):
    settings = params.evaluation.model_copy(update={"bootstrap_samples": 20})
    random = np.random.default_rng(4)
    labels, probabilities = (random.random(300) < 0.1).astype(int), random.random(300).round(decimals)
    scores = score(rows_with(labels), probabilities, probabilities >= 0.5, params.costs, settings, seed=11)
    draws = np.random.default_rng(11).integers(0, 30, size=(20, 30))
    weights = [np.bincount(drawn, minlength=30)[np.arange(300) // 10] for drawn in draws]
    pr_aucs = [reference.average_precision_score(labels, probabilities, sample_weight=weight) for weight in weights]
    f1s = [reference.f1_score(labels, probabilities >= 0.5, sample_weight=weight) for weight in weights]
    for name, samples in (("pr_auc", pr_aucs), ("f1", f1s)):
        found = (scores[name].low, scores[name].high, scores[name].lower_bound)
        assert found == pytest.approx(np.quantile(samples, [0.025, 0.975, 0.05])), name


def test_many_tool_lives_need_little_memory(params):
    """1000 samples of 5000 lives are 40 MB at once."""
    random = np.random.default_rng(6)
    labels = (random.random(10_000) < 0.1).astype(int)
    decisions = random.random(10_000) < 0.1
    rows = rows_with(labels, np.arange(10_000) // 2)
    tracemalloc.start()
    score(rows, random.random(10_000), decisions, params.costs, params.evaluation, 1)
    f1_difference(rows, decisions, ~decisions, params.evaluation, 1)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10e6


def test_rows_without_a_failure_have_values_and_no_warning(params):
    scores = score(rows_with([0] * 20), np.linspace(0, 1, 20), np.arange(20) < 5, params.costs, params.evaluation, 1)
    assert [scores[name].value for name in ("recall", "precision", "f1", "pr_auc", "mcc")] == [0.0] * 5


def test_a_share_that_no_draw_changes_is_not_called_certain(params):
    labels = np.array([1] * 33 + [0] * 300)
    rows = rows_with(labels)
    decisions = labels.astype(bool)
    scores = score(rows, decisions.astype(float), decisions, params.costs, params.evaluation, 1)
    for name in ("recall", "precision"):
        found = scores[name]
        assert (found.value, found.high) == (1.0, 1.0)
        assert found.low == pytest.approx(0.8957, abs=1e-4)  # Wilson's of 33 of 33, 95 %
        assert found.lower_bound == pytest.approx(0.9242, abs=1e-4)  # of 90 %, one-sided 95 %


def test_failures_that_come_in_the_same_lives_make_intervals_wider(params):
    """A life is caught as a whole or missed as a whole: 500 failures are then worth 50."""
    labels = np.ones(500, dtype=int)
    caught = np.repeat(np.arange(50) % 2 == 0, 10)
    together = score(rows_with(labels), caught * 1.0, caught, params.costs, params.evaluation, 1)
    apart = score(rows_with(labels, np.arange(500)), caught * 1.0, caught, params.costs, params.evaluation, 1)
    widths = [scores["recall"].high - scores["recall"].low for scores in (together, apart)]
    assert widths[0] == pytest.approx(widths[1] * np.sqrt(10), rel=0.25)


def test_the_same_decisions_differ_by_nothing_and_better_ones_by_more(params):
    random = np.random.default_rng(3)
    labels = (random.random(2000) < 0.1).astype(int)
    good, bad = labels.astype(bool), (labels == 1) & (random.random(2000) < 0.6)
    rows = rows_with(labels)
    same = f1_difference(rows, bad, bad, params.evaluation, 1)
    better = f1_difference(rows, good, bad, params.evaluation, 1)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert better.lower_bound > 0.1
    assert better.value == pytest.approx(1 - reference.f1_score(labels, bad))


def test_thresholds_run_upwards_and_agree_with_scikit_learn(params):
    random = np.random.default_rng(5)
    labels = random.random(3000) < 0.1
    probabilities = np.clip(random.random(3000) * 0.6 + labels * 0.4, 0, 1)
    table = over_thresholds(labels, probabilities, params.costs, chosen=0.51234)
    assert len(table) <= 201
    assert 0.51234 in table["threshold"].to_numpy()
    assert table["threshold"].is_monotonic_increasing
    for line in table.iloc[::40].itertuples():
        assert line.recall == pytest.approx(reference.recall_score(labels, probabilities >= line.threshold))
        assert line.precision == pytest.approx(reference.precision_score(labels, probabilities >= line.threshold))


def test_calibration_bins_count_every_row():
    probabilities = np.linspace(0, 1, 1001)
    bins = calibration_bins(probabilities > 0.5, probabilities)
    assert bins["rows"].sum() == 1001
    assert bins["observed_share"].iloc[0] == 0.0
    assert bins["observed_share"].iloc[-1] == 1.0


def test_a_mode_with_few_failures_is_not_assessable_and_unlabelled_modes_are_left_out(params):
    count = 40
    rows = rows_with([1] * count).assign(
        heat_dissipation_failure=[1] * 30 + [0] * 10, power_failure=[1] * 3 + [0] * 37, random_failure=0
    )
    decisions = np.arange(count) < 15
    heat, power = recall_by_mode(rows, decisions, params.evaluation)
    assert (heat.name, heat.caught, heat.failures, heat.assessable) == ("heat_dissipation_failure", 15, 30, True)
    assert (power.assessable, power.recall) == (False, 1.0)
    assert heat.low < 0.5 < heat.high


def test_a_marked_mode_on_a_healthy_row_does_not_count(params):
    rows = rows_with([0] * 20).assign(random_failure=1)
    assert recall_by_mode(rows, np.zeros(20, dtype=bool), params.evaluation) == ()
