"""Caught failures and false alarms on series that can be counted by hand. The horizon is 10 unless a test says otherwise."""

import numpy as np
import pytest

from predictive_maintenance.history.alarm_outcomes import NOT_CAUGHT, outcomes
from predictive_maintenance.history.alarms import alarms
from predictive_maintenance.history.lives import Failures, lives
from predictive_maintenance.machine.alarm import AlarmPolicy


def judged(intervals, failures=(), length=101, horizon=10.0, min_lead=0.0, until=None):
    """Outcomes of one machine with readings at 0 to `length` - 1, positive in the closed `intervals`."""
    times, bounds = np.arange(length, dtype=float), np.array([0, length])
    decisions = np.zeros(length, dtype=bool)
    for first, last in intervals:
        decisions[first : last + 1] = True
    observed = np.array([length - 1.0 if until is None else until])
    known = lives(times, bounds, Failures(np.array(failures, dtype=float), np.array([0, len(failures)]), observed))
    found = alarms(times, known, decisions, AlarmPolicy())
    return outcomes(times, known, found, horizon, min_lead)


def test_an_alarm_that_opens_within_the_horizon_catches_the_failure():
    found = judged([(95, 100)], failures=[100])
    assert (found.lead.tolist(), found.is_true.tolist(), found.false_alarms.tolist()) == ([5], [True], [0])


def test_a_failure_has_the_first_alarm_that_caught_it_and_the_life_that_it_ends():
    found = judged([(5, 6), (91, 92), (94, 95)], failures=[50, 100])
    assert (found.failed_life.tolist(), found.caught_by.tolist()) == ([0, 1], [NOT_CAUGHT, 1])
    assert judged([], failures=[100]).caught_by.tolist() == [NOT_CAUGHT]


def test_an_alarm_that_closed_within_the_horizon_catches_the_failure():
    found = judged([(92, 93)], failures=[100])
    assert (found.lead.tolist(), found.false_alarms.tolist()) == ([8], [0])


def test_an_alarm_that_closed_before_the_horizon_is_false_and_misses_the_failure():
    """It is open from 85 to 90, where the horizon begins: it closes at that instant."""
    found = judged([(85, 89)], failures=[100])
    assert np.isnan(found.lead).tolist() == [True]
    assert (found.is_true.tolist(), found.false_alarms.tolist()) == ([False], [1])


def test_an_alarm_that_closed_after_the_horizon_began_is_true():
    found = judged([(85, 90)], failures=[100])
    assert (found.lead.tolist(), found.is_true.tolist(), found.false_alarms.tolist()) == ([15], [True], [0])


@pytest.mark.parametrize(("opened", "false_alarms"), [(90, 0), (81, 0), (80, 1), (71, 1), (70, 2), (0, 9)])
def test_an_early_alarm_that_stays_open_catches_the_failure_and_counts_for_each_whole_horizon_before_it(
    opened, false_alarms
):
    found = judged([(opened, 100)], failures=[100])
    assert (found.lead.tolist(), found.false_alarms.tolist()) == ([100 - opened], [false_alarms])


@pytest.mark.parametrize(("last", "false_alarms"), [(20, 1), (28, 1), (29, 1), (30, 2), (49, 3), (50, 4)])
def test_a_false_alarm_counts_for_each_horizon_that_it_is_open(last, false_alarms):
    found = judged([(20, last)])
    assert (found.is_true.tolist(), found.false_alarms.tolist()) == ([False], [false_alarms])


@pytest.mark.parametrize(("until", "false_alarms"), [(99.5, 0), (102, 0), (104, 1), (113.9, 1), (114, 2), (200, 2)])
def test_an_alarm_is_not_judged_before_its_horizon_is_observed(until, false_alarms):
    """The readings end at 105, with an alarm from 94 to 105: what is known of the machine later says that it was false."""
    times = np.append(np.arange(101.0), 105.0)
    decisions = (times >= 94) & (times <= 100)
    known = lives(times, np.array([0, 102]), Failures(times[:0], np.array([0, 0]), np.array([until])))
    found = outcomes(times, known, alarms(times, known, decisions, AlarmPolicy()), 10.0, 0.0)
    assert found.false_alarms.tolist() == [false_alarms]


@pytest.mark.parametrize(("opened", "is_caught"), [(95, True), (96, False)])
def test_a_failure_is_caught_if_the_alarm_opened_early_enough(opened, is_caught):
    found = judged([(opened, 100)], failures=[100], min_lead=5.0)
    assert np.isfinite(found.lead).tolist() == [is_caught]
    assert found.false_alarms.tolist() == [0]


def test_an_alarm_at_the_instant_of_the_failure_does_not_catch_it():
    found = judged([(100, 100)], failures=[100])
    assert np.isnan(found.lead).all()
    assert found.false_alarms.tolist() == [0]


def test_the_lead_time_is_that_of_the_first_alarm_that_catches_the_failure():
    found = judged([(80, 81), (91, 92), (97, 100)], failures=[100])
    assert found.lead.tolist() == [9]
    assert (found.is_true.tolist(), found.false_alarms.tolist()) == ([False, True, True], [1, 0, 0])


def test_each_failure_of_a_machine_is_judged_by_the_alarms_since_the_one_before():
    found = judged([(35, 70)], failures=[40, 45, 70])
    assert found.failed_at.tolist() == [40, 45, 70]
    assert found.lead.tolist() == [5, 4, 24]
    assert found.false_alarms.tolist() == [0, 0, 1]


def test_a_failure_counts_if_a_reading_is_before_it():
    found = judged([], failures=[0, 40.2, 40.6, 100, 130])
    assert found.failed_at.tolist() == [40.2, 100]
    assert judged([(99, 100)], failures=[103]).lead.tolist() == [4]


def test_time_under_alarm_ends_with_the_alarm_or_with_the_readings():
    assert judged([(10, 14), (30, 30)]).under_alarm.tolist() == [6]
    assert judged([(90, 100)]).under_alarm.tolist() == [10]
    assert judged([(90, 100)], failures=[108]).under_alarm.tolist() == [10]
    assert judged([(30, 60)], failures=[40.5]).under_alarm.tolist() == [10.5 + 20]
    assert judged([]).observed.tolist() == [100]
