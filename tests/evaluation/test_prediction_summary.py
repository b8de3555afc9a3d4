"""Summaries of predictions: the same for any cut of the rows, and intervals within a tolerance of those of all rows."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from predictive_maintenance.evaluation.comparison import Comparison, ModelSummary, with_scores
from predictive_maintenance.evaluation.failure_modes import added_recalls, recall_by_mode
from predictive_maintenance.evaluation.metrics import METRICS, f1_difference, score_summary
from predictive_maintenance.evaluation.prediction_summary import PredictionSummary
from predictive_maintenance.evaluation.ranking import average_precision
from predictive_maintenance.evaluation.trivial_models import trivial_models_of


@st.composite
def predictions(draw):
    """Labels, scores, decisions and groups of rows, and the places at which they are cut into parts."""
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    rows = draw(st.integers(1, 300))
    labels = random.random(rows) < 0.3
    scores = np.where(random.random(rows) < 0.2, 0.5, random.random(rows) ** draw(st.sampled_from([1, 8])))
    groups = pd.Series([f"life {life}" for life in random.integers(0, draw(st.sampled_from([1, 20, 500])), rows)])
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=6)))
    return labels, scores, scores >= 0.4, groups, [0, *cuts, rows]


def _parts(labels, scores, decisions, groups, cuts, limit):
    for start, end in pairwise(cuts):
        rows = slice(start, end)
        yield PredictionSummary.of(labels[rows], scores[rows], decisions[rows], groups.iloc[rows], limit)


@given(predictions(), st.sampled_from([2, 10, 60, 10_000]))
@settings(max_examples=300, deadline=None)
def test_any_cut_of_the_rows_into_successive_parts_has_the_same_summary(rows, limit):
    labels, scores, decisions, groups, _ = rows
    whole = PredictionSummary.of(labels, scores, decisions, groups, limit).groups
    merged = PredictionSummary.merged(_parts(*rows, limit)).groups
    assert (
        len(whole.keys) <= limit or whole.merged_bits == 63
    )  # one or two groups, and a few hundred intervals of scores
    for name in ("groups", "group", "keys", "failures", "rows", "dropped", "merged_bits"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name), err_msg=name)
    np.testing.assert_array_equal(merged.sums[:4], whole.sums[:4])
    np.testing.assert_allclose(merged.sums[4], whole.sums[4], rtol=1e-12)
    assert whole.sums[:4].sum() == whole.rows.sum() == len(labels)


@pytest.fixture(scope="module")
def many():
    """Labels, scores, decisions and groups of 60,000 rows: failures cluster in some of 300 machines."""
    random = np.random.default_rng(4)
    machine = random.integers(0, 300, 60_000)
    labels = random.random(60_000) < random.beta(0.3, 12, 300)[machine]
    scores = 1 / (1 + np.exp(-random.normal(3.5 * labels - 4.5 + random.normal(0, 0.4, 300)[machine], 1)))
    return labels, scores, scores >= 0.3, pd.Series([f"machine {one}" for one in machine])


def _scores(params, many, limit, groups=None):
    labels, scores, decisions, machines = many
    summary = PredictionSummary.of(labels, scores, decisions, machines if groups is None else groups, limit)
    return summary, score_summary(summary, params.costs, params.evaluation, seed=3)


def test_intervals_of_a_summary_by_intervals_of_scores_are_those_of_all_scores(params, many):
    exact, expected = _scores(params, many, 100_000)
    summary, found = _scores(params, many, 30_000)
    assert exact.groups.exact
    assert (summary.groups.dropped > 40, summary.groups.merged_bits) == (True, 0)
    assert found.confusion == expected.confusion
    error = average_precision(summary.scores).max_error
    assert abs(found["pr_auc"].value - expected["pr_auc"].value) <= error < 1e-3
    assert (expected.approximations, len(found.approximations)) == ((), 2)
    assert f"PR-AUC has an error of at most {error:.1e}," in found.approximations[0]
    for name in METRICS:
        ends = [(one[name].low, one[name].high, one[name].lower_bound) for one in (found, expected)]
        width = expected[name].high - expected[name].low
        assert ends[0] == pytest.approx(ends[1], abs=0.02 * width), name
    assert found["pr_auc"].value == pytest.approx(average_precision_score(many[0], many[1]), abs=2e-4)


def test_intervals_of_merged_groups_are_as_wide_as_those_of_all_groups(params, many):
    rows = pd.Series(np.arange(60_000).astype(str))  # as of a machine without groups
    _, expected = _scores(params, many, 100_000, rows)
    summary, found = _scores(params, many, 30_000, rows)
    assert summary.groups.merged_bits > 0
    assert 100 < len(summary.groups.groups) < 10_000
    assert f"over {len(summary.groups.groups):,} random sets of groups" in found.approximations[-1]
    assert found.confusion == expected.confusion
    for name in METRICS:
        low, high = expected[name].low, expected[name].high
        width = high - low
        assert found[name].value == pytest.approx(expected[name].value, abs=0.02 * width), name
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.1 * width), name


def test_the_paired_difference_of_merged_groups_is_that_of_all_groups(params, many):
    labels, scores, _, _ = many
    rows = pd.Series(np.arange(60_000).astype(str))
    noisy = np.clip(scores + np.random.default_rng(5).normal(0, 0.1, 60_000), 0, 1)
    found = []
    for limits in ((100_000, 100_000), (30_000, 20_000)):
        ours, theirs = (
            PredictionSummary.of(labels, given, given >= 0.3, rows, limit).groups
            for given, limit in zip((scores, noisy), limits, strict=True)
        )
        found.append(f1_difference(ours, theirs, params.evaluation, 3))
    width = found[0].high - found[0].low
    assert found[1].value == found[0].value
    assert (found[1].low, found[1].high) == pytest.approx((found[0].low, found[0].high), abs=0.1 * width)


def test_recall_by_mode_adds_up_over_parts(params):
    random = np.random.default_rng(6)
    failed = random.random(2000) < 0.2
    rows = pd.DataFrame(
        {"machine_failure": failed}
        | {
            name: failed & (random.random(2000) < share)
            for name, share in zip(params.machine.mode_names, (0.5, 0.1), strict=False)
        }
    )
    decisions = failed & (random.random(2000) < 0.7)
    parts = [
        recall_by_mode(rows.iloc[one], decisions[one], params.machine, params.evaluation)
        for one in (slice(0, 3), slice(3, 900), slice(900, None))
    ]
    whole = recall_by_mode(rows, decisions, params.machine, params.evaluation)
    assert len(whole) == 2
    assert added_recalls(parts, params.machine, params.evaluation) == whole


def test_a_comparison_of_parts_is_that_of_all_rows(params):
    random = np.random.default_rng(9)
    labels = random.random(3000) < 0.1
    rows = pd.DataFrame(
        {
            "machine_failure": labels,
            "group": [f"life {row // 10}" for row in range(3000)],
            params.machine.mode_names[0]: labels & (random.random(3000) < 0.5),
        }
    )
    models = [np.clip(random.random(3000) * 0.8 + labels * gain, 0, 1) for gain in (0.4, 0.2)]
    known = Comparison(
        version="1", algorithm="lightgbm", rows=3000, failures=int(labels.sum()), seen_rows=0, same_training_data=False,
        rolled_back_twin=None,
    )  # fmt: skip

    def compared(*cuts):
        challenger, champion = (
            reduce(
                lambda one, other: one.plus(other, params),
                (
                    ModelSummary.of(rows.iloc[start:end], scores[start:end], scores[start:end] >= 0.6, params)
                    for start, end in pairwise((0, *cuts, 3000))
                ),
            )
            for scores in models
        )
        return with_scores(known, challenger, champion, params)

    whole = compared()
    assert repr(compared(10, 1200)) == repr(whole)
    assert whole.f1_difference.lower_bound > 0
    assert whole.challenger["f1"].value > whole.champion["f1"].value
    assert [mode.name for mode in whole.challenger_modes] == [params.machine.mode_names[0]]


def test_trivial_models_are_scored_from_the_summary_of_any_model(params, many):
    labels, scores, decisions, groups = many
    summary = PredictionSummary.of(labels, scores, decisions, groups)
    never = PredictionSummary.of(labels, np.zeros(len(labels)), labels & False, groups)
    assert repr(trivial_models_of(summary, params)) == repr(trivial_models_of(never, params))
    always = PredictionSummary.of(labels, np.ones(len(labels)), labels | True, groups)
    found = trivial_models_of(summary, params).always_alarm
    expected = score_summary(always, params.costs, params.evaluation, params.training.seed)
    assert found.confusion == expected.confusion
    assert {name: repr(found[name]) for name in METRICS if name != "recall"} == {
        name: repr(expected[name]) for name in METRICS if name != "recall"
    }
