"""PR-AUC and ROC-AUC of a summary: scikit-learn's value lies within the bounds that they state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from predictive_maintenance.evaluation.ranking import average_precision, roc_auc
from predictive_maintenance.training.score_summary import ScoreSummary

ROUNDING = 1e-9


@given(
    st.integers(0, 10_000), st.integers(2, 300), st.sampled_from([0.02, 0.3, 0.9]), st.sampled_from([1, 4, 20, 1000])
)
@settings(max_examples=300, deadline=None)
def test_the_exact_value_lies_within_the_stated_bounds(seed, rows, share, limit):
    random = np.random.default_rng(seed)
    labels = np.append(random.random(rows) < share, [True, False])
    scores = np.clip(random.random(len(labels)) ** 2 * 0.8 + labels * 0.2, 0, 1)
    scores = np.where(random.random(len(labels)) < 0.2, scores.round(1), scores)
    summary = ScoreSummary.of(labels, scores, limit)
    for found, exact in (
        (average_precision(summary), average_precision_score(labels, scores)),
        (roc_auc(summary), roc_auc_score(labels, scores)),
    ):
        assert found.low - ROUNDING <= exact <= found.high + ROUNDING
        assert found.low <= found.value <= found.high
        assert abs(found.value - exact) <= found.max_error + ROUNDING
        if summary.exact:
            assert found.max_error == 0


def test_a_summary_of_a_thousand_intervals_is_off_by_less_than_a_thousandth():
    random = np.random.default_rng(2)
    labels = random.random(200_000) < 0.02
    scores = 1 / (1 + np.exp(-random.normal(3 * labels - 5, 1.2)))
    found = average_precision(ScoreSummary.of(labels, scores, 1000))
    assert abs(found.value - average_precision_score(labels, scores)) < 1e-3
    assert found.max_error < 3e-3
    finer = average_precision(ScoreSummary.of(labels, scores, 50_000))
    assert finer.max_error < 1e-4


def test_without_failures_there_is_no_ranking():
    summary = ScoreSummary.of(np.zeros(5), np.linspace(0, 1, 5))
    assert average_precision(summary).value == 0
    assert np.isnan(roc_auc(summary).value)


@pytest.mark.parametrize("limit", [3, None])
def test_ties_count_as_scikit_learn_counts_them(limit):
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.9, 0.5, 0.5, 0.1])
    found = average_precision(ScoreSummary.of(labels, scores, limit))
    assert found.value == pytest.approx(average_precision_score(labels, scores))
