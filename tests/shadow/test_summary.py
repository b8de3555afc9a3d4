"""A comparison is read in bounded size, whatever it has counted: the database adds up."""

import pytest

from predictive_maintenance.shadow.agreement import agreement, alarm_agreement, total
from predictive_maintenance.shadow.summary import summarise
from predictive_maintenance.store import comparisons
from predictive_maintenance.store.rows import DecisionCounts

from .conftest import MODEL, NOW


@pytest.fixture
def compared(store):
    """A function that adds counts by day and cluster to a new comparison."""

    def add(by_day):
        with store.writing() as transaction:
            comparison = comparisons.begin(transaction, MODEL, "1", "2", started=NOW, now=NOW)
            place = comparisons.Place(1, None)
            assert comparisons.add(transaction, comparison, place, 1, days=by_day, machines={}, left_out={})
        return comparison

    return add


def counts(day, cluster, with_alarms=True):
    different = {"both": cluster % 3, "only_production": day % 2} if with_alarms else {}
    return DecisionCounts(predictions=100 + day, difference=0.5, **different)


@pytest.mark.parametrize("clusters", [3, 40])
def test_shares_and_sums_are_those_of_all_days(store, compared, clusters):
    by_day = {(day, cluster): counts(day, cluster) for day in range(16) for cluster in range(clusters)}
    found = summarise(store, compared(by_day), most_machines=0)
    assert found.counts == total(list(by_day.values()))
    assert (found.agreement, found.alarm_agreement) == (agreement(by_day), alarm_agreement(by_day))
    assert found.days[7] == total([counts(7, cluster) for cluster in range(clusters)])
    assert type(found.counts.predictions) is int


@pytest.mark.parametrize(
    ("clusters", "with_alarms", "parts"),
    [(3, 3, 48), (40, 40, 40), (40, 2, 38 + 32), (19, 19, 19 * 16), (20, 20, 20), (40, 19, 21 + 19 * 16), (40, 20, 40)],
)
def test_what_is_read_does_not_grow_with_the_days(store, compared, monkeypatch, clusters, with_alarms, parts):
    monkeypatch.setattr(comparisons, "MOST_DAYS", 30)
    comparison = compared(
        {
            (day, cluster): counts(day, cluster, cluster < with_alarms)
            for day in range(40)
            for cluster in range(clusters)
        }
    )
    assert len(comparisons.counts_by_part(store, comparison)) == parts
    days = comparisons.counts_by_day(store, comparison)
    assert list(days) == list(range(39, 9, -1))


def test_the_days_of_fewer_than_20_machines_are_parts_of_their_own():
    """Each machine agrees on one day, and less on another: machines alone would look more certain than they are."""

    def low(machines):
        return agreement(
            {
                (day, machine): DecisionCounts(predictions=100, only_candidate=20 * day)
                for day in range(2)
                for machine in range(machines)
            }
        ).low

    assert low(20) == pytest.approx(0.890, abs=0.002)
    assert low(19) == pytest.approx(0.863, abs=0.002)
