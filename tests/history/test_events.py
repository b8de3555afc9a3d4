"""Counts of events, times since them, and labels from failures, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.history.events import Events, counts, time_since_last
from predictive_maintenance.history.labels import (
    AFTER_FAILURE,
    CENSORED,
    DOES_NOT_FAIL,
    FAILS,
    horizon_labels,
    run_to_failure_labels,
)


def bounds_of(parts):
    return np.cumsum([0, *map(len, parts)])


def joined(parts):
    return np.concatenate([np.sort(np.array(part, dtype=np.int64)) for part in parts])


by_machine = st.lists(
    st.tuples(st.sets(st.integers(0, 40)), st.lists(st.integers(0, 40), max_size=8)), min_size=1, max_size=4
)


@given(by_machine, st.integers(1, 20), st.booleans())
@settings(deadline=None)
def test_events_are_counted_before_a_reading_and_within_the_window(machines, length, same_instant):
    readings, events = [sorted(times) for times, _ in machines], [sorted(times) for _, times in machines]
    times, bounds = joined(readings), bounds_of(readings)
    known = Events(joined(events), bounds_of(events))
    found = counts(times, bounds, known, length, same_instant).tolist()
    since = time_since_last(times, bounds, known, same_instant).tolist()
    expected_counts, expected_since = [], []
    for own, happened in zip(readings, events, strict=True):
        for time in own:
            ages = [time - event for event in happened if event < time or (same_instant and event == time)]
            expected_counts.append(sum(age < length if same_instant else age <= length for age in ages))
            expected_since.append(min(ages, default=float("nan")))
    assert found == expected_counts
    assert since == pytest.approx(expected_since, nan_ok=True)


def labels(times, failures, *, horizon=3, ignore_after=0, observed_until=20):
    own = np.array(times, dtype=np.int64)
    return horizon_labels(
        own, np.array([0, len(own)]), Events(np.array(failures, dtype=np.int64), np.array([0, len(failures)])), horizon,
        ignore_after, np.array([observed_until]),
    ).tolist()  # fmt: skip


def test_a_reading_within_the_horizon_of_a_failure_fails():
    assert labels([1, 6, 7, 9], [10]) == [DOES_NOT_FAIL, DOES_NOT_FAIL, FAILS, FAILS]


def test_a_reading_at_a_failure_and_shortly_after_it_is_ignored():
    assert labels([9, 10, 11, 12], [10]) == [FAILS, AFTER_FAILURE, DOES_NOT_FAIL, DOES_NOT_FAIL]
    assert labels([9, 10, 11, 12], [10], ignore_after=2) == [FAILS, AFTER_FAILURE, AFTER_FAILURE, DOES_NOT_FAIL]
    assert labels([11, 12], [10, 13], ignore_after=2) == [AFTER_FAILURE, FAILS]


def test_a_horizon_that_was_not_observed_to_its_end_is_censored_unless_the_machine_failed_in_it():
    assert labels([16, 17, 18], []) == [DOES_NOT_FAIL, DOES_NOT_FAIL, CENSORED]
    assert labels([18], [19]) == [FAILS]


def test_machines_that_run_to_failure_fail_at_their_last_reading():
    times = np.array([1.0, 2.0, 3.0, 4.0, 1.0, 2.0])
    found = run_to_failure_labels(times, np.array([0, 4, 6]), horizon=2)
    assert found.tolist() == [DOES_NOT_FAIL, FAILS, FAILS, FAILS, FAILS, FAILS]


@given(by_machine, st.integers(1, 10), st.data())
@settings(deadline=None)
def test_no_earlier_feature_depends_on_later_events(machines, length, data):
    readings, events = [sorted(times) for times, _ in machines], [sorted(times) for _, times in machines]
    times, bounds = joined(readings), bounds_of(readings)
    instant = data.draw(st.integers(0, 40))
    cut = [[time for time in happened if time < instant] for happened in events]
    earlier = times <= instant
    whole, shortened = (Events(joined(part), bounds_of(part)) for part in (events, cut))
    assert (
        counts(times, bounds, whole, length)[earlier].tolist()
        == counts(times, bounds, shortened, length)[earlier].tolist()
    )
