"""The share of rejected readings is compared with what is usual, and a burst of one client is not certain."""

import pytest

from predictive_maintenance.config.params import MonitoringSettings
from predictive_maintenance.monitoring.inputs import rejected_readings
from predictive_maintenance.store.rows import InputCount
from predictive_maintenance.store.store import Store
from predictive_maintenance.store.times import LAST_KEY

INTERVAL, WEEK = 600, 604_800


@pytest.fixture
def store(empty_store_url):
    store = Store.open(empty_store_url, timeout_seconds=5)
    yield store
    store.close()


def save(store, rejected, *, begins=0, accepted=100, writer=1, model="pumps"):
    """Save the numbers of rejected readings of intervals that follow each other."""
    counts = [
        InputCount(began=begins + place * INTERVAL, accepted=accepted, rejected=number, fields={"flow": number})
        for place, number in enumerate(rejected)
    ]
    with store.writing() as transaction:
        transaction.save_inputs(model, writer, counts)


def check(store, begins=0, **settings):
    return rejected_readings(store, "pumps", MonitoringSettings(**settings), first=0, begins=begins, ends=begins + WEEK)


def test_counts_are_added_up_over_processes_and_replaced_by_newer_ones_of_the_same(store):
    save(store, [1, 2])
    save(store, [3, 4])
    save(store, [10, 0], writer=2)
    save(store, [50], writer=3, model="another")
    inputs, finding = check(store)
    assert (inputs.accepted, inputs.rejected, inputs.fields) == (400, 17, {"flow": 17})
    assert finding is None  # too few intervals


@pytest.mark.parametrize(("rejected", "counts"), [(0, False), (5, False), (20, True)])
def test_a_share_above_the_limit_counts(store, rejected, counts):
    save(store, [rejected] * 50)
    _, finding = check(store)
    assert finding.exceeds_limit is counts
    assert finding.now == pytest.approx(rejected / (100 + rejected))


def test_a_burst_of_invalid_readings_is_not_certain(store):
    save(store, [0] * 49 + [1_000])
    _, finding = check(store)
    assert finding.now > 0.1
    assert not finding.exceeds_limit


def test_what_was_rejected_before_the_windows_is_usual(store):
    save(store, [20] * 50, begins=-WEEK)
    save(store, [20] * 50)
    _, finding = check(store)
    assert (finding.before, finding.exceeds_limit) == (pytest.approx(20 / 120), False)
    save(store, [50] * 50, begins=WEEK)
    assert check(store, begins=WEEK)[1].exceeds_limit


def test_what_was_rejected_in_an_earlier_window_is_not_usual(store):
    save(store, [50] * 50)
    save(store, [50] * 50, begins=WEEK)
    _, finding = check(store, begins=WEEK)
    assert (finding.before, finding.exceeds_limit) == (0.0, True)


def test_old_counts_are_removed_with_the_predictions(store):
    save(store, [1] * 3)
    with store.writing() as transaction:
        transaction.remove_predictions_before("another model", LAST_KEY)
        transaction.remove_predictions_before("pumps", INTERVAL * 10**6)
    assert [one.began for one in store.inputs("pumps", since=0, until=WEEK)] == [INTERVAL, 2 * INTERVAL]
