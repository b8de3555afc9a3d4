"""Recall, precision and cost at other decision thresholds."""

import pytest

from app.schemas.model import Thresholds
from dashboard.thresholds import result_at, threshold_table

COUNTS = Thresholds(
    version="1",
    rows=1000,
    failures=10,
    threshold=[0.1, 0.5, 0.9],
    true_positives=[10, 8, 1],
    false_positives=[40, 2, 0],
)


@pytest.fixture
def table():
    return threshold_table(COUNTS, missed_failure_cost=5000, false_alarm_cost=250)


def test_a_threshold_has_the_counts_of_the_next_listed_threshold(table):
    result = result_at(table, 0.3)
    assert (result.threshold, result.caught, result.missed, result.false_alarms) == (0.5, 8, 2, 2)
    assert result.cost == 2 * 5000 + 2 * 250
    assert (result.recall.value, result.precision.value) == (0.8, 0.8)
    assert result.recall.low < 0.8 < result.recall.high


def test_above_the_highest_listed_threshold_there_is_no_alarm_and_no_precision(table):
    result = result_at(table, 0.95)
    assert (result.threshold, result.caught, result.missed, result.precision) == (1.0, 0, 10, None)


def test_a_listed_threshold_has_its_own_counts(table):
    assert result_at(table, 0.5).threshold == 0.5
