"""Score summaries: the same for any cut of the rows into parts, and exact where they say so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.config.params import CostSettings, ThresholdSettings
from predictive_maintenance.training.score_summary import MAX_SCORES, ScoreSummary
from predictive_maintenance.training.thresholds import possible_thresholds, select_threshold, thresholds_of

COSTS = CostSettings(currency="EUR", missed_failure=100.0, false_alarm=10.0)
F1 = ThresholdSettings(optimise="f1", beta=1.0)


@st.composite
def predictions(draw):
    """Labels and scores, some of them equal, spread over 12 orders of magnitude."""
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    rows = draw(st.integers(1, 400))
    scores = 10.0 ** -random.uniform(0, draw(st.sampled_from([1, 12])), rows)
    scores = np.where(random.random(rows) < 0.1, random.choice([0.0, 0.5, 1.0], rows), scores)
    return random.random(rows) < 0.3, scores


@st.composite
def cuts(draw):
    """Predictions, and the number of the part of each row."""
    labels, scores = draw(predictions())
    parts = draw(st.integers(1, 8))
    return labels, scores, np.random.default_rng(draw(st.integers(0, 99))).integers(0, parts, len(labels)), parts


def _same(one, other):
    assert one.dropped == other.dropped
    for name in ("keys", "failures", "rows"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(cuts(), st.sampled_from([8, 50, 1000]))
@settings(max_examples=200, deadline=None)
def test_any_cut_of_the_rows_into_parts_has_the_same_summary(cut, limit):
    labels, scores, part, parts = cut
    summaries = [ScoreSummary.of(labels[part == number], scores[part == number], limit) for number in range(parts)]
    whole = ScoreSummary.of(labels, scores, limit)
    assert len(whole.keys) <= limit
    _same(ScoreSummary.merged(summaries), whole)
    _same(ScoreSummary.merged(reversed(summaries)), whole)


@given(predictions(), st.sampled_from([8, 50]))
@settings(max_examples=100, deadline=None)
def test_each_interval_has_the_scores_that_it_says(rows, limit):
    labels, scores = rows
    summary = ScoreSummary.of(labels, scores, limit)
    for low, high, count, failures in zip(summary.lowest, summary.highest, summary.rows, summary.failures, strict=True):
        inside = (scores >= low) & (scores <= high)
        assert (inside.sum(), labels[inside].sum()) == (count, failures)
    assert summary.rows.sum() == len(scores)


@given(predictions(), st.sampled_from([8, 50]))
@settings(max_examples=100, deadline=None)
def test_the_objective_of_each_threshold_is_that_of_its_decisions(rows, limit):
    labels, scores = rows
    thresholds, objective = thresholds_of(ScoreSummary.of(labels, scores, limit), F1, COSTS)
    for threshold, value in zip(thresholds, objective, strict=True):
        alarms = scores >= threshold
        assert value == pytest.approx(2 * (labels & alarms).sum() / (labels.sum() + alarms.sum()))


def test_a_summary_with_few_intervals_selects_a_threshold_that_is_nearly_the_best():
    random = np.random.default_rng(0)
    labels = random.random(20_000) < 0.05
    scores = np.clip(random.normal(0.2 + 0.3 * labels, 0.1), 0, 1)
    _, objective = possible_thresholds(labels, scores, F1, COSTS)
    few = ScoreSummary.of(labels, scores, 1000)
    assert not few.exact
    found, of_found = thresholds_of(few, F1, COSTS)
    assert of_found.max() >= objective.max() - 0.005
    assert found[np.argmax(of_found)] == pytest.approx(select_threshold(labels, scores, F1, COSTS), rel=0.05)


def test_a_summary_of_more_scores_than_its_limit_is_bounded_and_precise():
    scores = np.random.default_rng(1).random(3 * MAX_SCORES)
    summary = ScoreSummary.of(np.zeros(len(scores)), scores)
    assert MAX_SCORES / 8 < len(summary.keys) <= MAX_SCORES
    assert (summary.highest - summary.lowest).max() < 1e-5


@pytest.mark.parametrize("wrong", [-0.5, np.nan])
def test_a_score_that_has_no_order_among_probabilities_is_refused(wrong):
    with pytest.raises(ValueError, match="a score must be 0 or more, not"):
        ScoreSummary.of(np.zeros(2), np.array([0.5, wrong]))
