"""Alarms from decisions: when they open, close and end; a stream gives those of the table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictive_maintenance.history.alarms import NOT_CLOSED, alarms, is_open_after
from predictive_maintenance.history.lives import Failures, lives, no_failures
from predictive_maintenance.machine.alarm import AlarmPolicy

TWO_OF_THREE = AlarmPolicy(positive=2, of=3, close_after=2)


def alarms_of(decisions, policy, failures=(), start=0):
    """(opened, closed) times of the alarms of one machine with a reading at each integer from `start`; None is still open."""
    decisions = np.array([mark == "+" for mark in decisions])
    times, bounds = np.arange(start, start + len(decisions), dtype=float), np.array([0, len(decisions)])
    known = Failures(np.array(failures, dtype=float), np.array([0, len(failures)]), times[-1:])
    found = alarms(times, lives(times, bounds, known), decisions, policy)
    ends = np.where(found.is_open, np.nan, found.ended_at)
    return [(opened, None if np.isnan(ended) else ended) for opened, ended in zip(found.opened_at, ends, strict=True)]


def test_by_default_every_positive_decision_opens_an_alarm_and_a_negative_one_closes_it():
    assert alarms_of("-+-++-", AlarmPolicy()) == [(1, 2), (3, 5)]


def test_an_alarm_opens_at_the_reading_at_which_enough_of_the_last_decisions_are_positive():
    assert alarms_of("+--+-+---", TWO_OF_THREE) == [(5, 7)]


def test_the_first_readings_count_as_they_are():
    assert alarms_of("++", TWO_OF_THREE) == [(1, None)]


def test_an_alarm_closes_at_the_last_of_enough_negative_decisions_in_a_row():
    assert alarms_of("++-+-+--+", TWO_OF_THREE) == [(1, 7)]


def test_an_alarm_that_closed_opens_again_at_a_positive_decision_only():
    """With `2 of 3`, the positive decisions at 0 and 1 still count at 2, but the decision there is negative."""
    policy = AlarmPolicy(positive=2, of=4, close_after=1)
    assert alarms_of("++--", policy) == [(1, 2)]
    assert alarms_of("++-+", policy) == [(1, 2), (3, None)]


def test_a_failure_ends_the_alarm_and_a_new_one_opens_after_it():
    assert alarms_of("++++++", TWO_OF_THREE, failures=[2.5]) == [(1, 2.5), (4, None)]


def test_the_reading_at_the_instant_of_a_failure_is_before_it():
    assert alarms_of("-+++", TWO_OF_THREE, failures=[2]) == [(2, 2)]


def test_decisions_before_a_failure_neither_open_nor_close_an_alarm_after_it():
    assert alarms_of("-++", AlarmPolicy(positive=2, of=2), failures=[1]) == []
    assert alarms_of("+--+-", AlarmPolicy(close_after=2), failures=[1]) == [(0, 1), (3, None)]


def test_a_failure_between_two_readings_without_a_reading_of_its_own_life_ends_nothing():
    assert alarms_of("-++-", AlarmPolicy(), failures=[0.2, 0.4]) == [(1, 3)]


def test_an_alarm_lasts_until_a_failure_after_the_last_reading():
    assert alarms_of("-+", AlarmPolicy(), failures=[7]) == [(1, 7)]


def test_machines_do_not_share_decisions():
    times, bounds = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 2, 4])
    decisions = np.array([False, True, True, True])
    found = alarms(times, lives(times, bounds, no_failures(times, bounds)), decisions, TWO_OF_THREE)
    assert (found.machine.tolist(), found.opened.tolist(), found.closed.tolist()) == ([1], [3], [NOT_CLOSED])


def test_there_are_no_alarms_without_readings():
    nothing, bounds = np.empty(0), np.array([0])
    found = alarms(nothing, lives(nothing, bounds, no_failures(nothing, bounds)), np.empty(0, dtype=bool), TWO_OF_THREE)
    assert found.opened.tolist() == []


@st.composite
def histories(draw):
    """Times, machines' bounds, failures, decisions and a policy."""
    lengths = draw(st.lists(st.integers(1, 25), min_size=1, max_size=4))
    steps = [draw(st.lists(st.integers(1, 4), min_size=length, max_size=length)) for length in lengths]
    times = np.concatenate([np.cumsum(own) for own in steps]).astype(np.int64) * 1_000_000
    bounds = np.append(0, np.cumsum(lengths))
    failed = [sorted(draw(st.sets(st.integers(0, 60), max_size=3))) for _ in lengths]
    failures = Failures(
        np.array([time for own in failed for time in own], dtype=np.int64) * 1_000_000,
        np.append(0, np.cumsum([len(own) for own in failed])),
        times[bounds[1:] - 1],
    )
    decisions = np.array(draw(st.lists(st.booleans(), min_size=len(times), max_size=len(times))))
    of = draw(st.integers(1, 5))
    policy = AlarmPolicy(positive=draw(st.integers(1, of)), of=of, close_after=draw(st.integers(1, 5)))
    return times, bounds, failures, decisions, policy


@given(histories())
def test_a_stream_of_readings_opens_and_closes_the_alarms_of_the_table(history):
    times, bounds, failures, decisions, policy = history
    table = alarms(times, lives(times, bounds, failures), decisions, policy)
    opened, closed = [], []
    for machine in range(len(bounds) - 1):
        failed = failures.times[failures.bounds[machine] : failures.bounds[machine + 1]]
        is_open, since = False, bounds[machine]
        for place in range(bounds[machine], bounds[machine + 1]):
            if place > bounds[machine] and ((failed >= times[place - 1]) & (failed < times[place])).any():
                closed += [NOT_CLOSED] if is_open else []
                is_open, since = False, place
            latest = decisions[max(since, place + 1 - policy.memory) : place + 1]
            was_open, is_open = is_open, is_open_after(is_open, latest, policy)
            opened += [place] if is_open and not was_open else []
            closed += [place] if was_open and not is_open else []
        closed += [NOT_CLOSED] if is_open else []
    assert (table.opened.tolist(), table.closed.tolist()) == (opened, closed)


@given(histories())
def test_the_readings_of_one_machine_since_its_last_failure_give_its_latest_alarms(history):
    times, bounds, failures, decisions, policy = history
    whole = lives(times, bounds, failures)
    table = alarms(times, whole, decisions, policy)
    last = whole.of_reading == whole.of_reading[-1]
    own, own_bounds = times[last], np.array([0, last.sum()])
    stream = alarms(own, lives(own, own_bounds, no_failures(own, own_bounds)), decisions[last], policy)
    of_last = table.life == whole.of_reading[-1]
    np.testing.assert_array_equal(table.opened_at[of_last], stream.opened_at)
    not_failed = np.isinf(whole.failure[whole.of_reading[-1]])
    if not_failed:
        np.testing.assert_array_equal(table.ended_at[of_last], stream.ended_at)
        np.testing.assert_array_equal(table.is_open[of_last], stream.is_open)


@given(histories())
def test_no_alarm_ends_before_it_opens_and_those_of_a_machine_do_not_overlap(history):
    times, bounds, failures, decisions, policy = history
    found = alarms(times, lives(times, bounds, failures), decisions, policy)
    assert (found.ended_at >= found.opened_at).all()
    assert ((found.closed > found.opened) | (found.closed == NOT_CLOSED)).all()
    assert decisions[found.opened].all()
    same = found.machine[1:] == found.machine[:-1]
    assert (found.opened_at[1:] >= found.ended_at[:-1])[same].all()


@pytest.mark.parametrize("was_open", [True, False])
def test_too_few_decisions_do_not_close_an_alarm(was_open):
    assert is_open_after(was_open, np.array([False]), AlarmPolicy(close_after=2)) is was_open
