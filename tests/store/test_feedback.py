"""Feedback in a store on SQLite and on PostgreSQL: all of it is kept, and the newest report about a subject is current."""

from contextlib import closing

import pytest

from predictive_maintenance.store.rows import Alarm, Feedback, Reading, Subject
from predictive_maintenance.store.store import Store

SUBJECT = Subject("reading", "größer")


@pytest.fixture
def store(empty_store_url):
    with closing(Store.open(empty_store_url, timeout_seconds=5)) as store:
        yield store


def report(subject=SUBJECT, verdict="confirmed", **values):
    fields = {"mode": None, "failed": None, "comment": "", "author": "Ana"} | values
    return Feedback(subject=subject, verdict=verdict, **fields)


def add(store, *reports, model="engine"):
    with store.writing() as transaction:
        for one in reports:
            transaction.add_feedback(model, one, 7)


def test_a_report_is_read_as_it_was_written(store):
    written = report(mode="seal", failed=-(2**63), comment="a\nb")
    add(store, written)
    (found,) = store.feedback("engine", only_current=True)
    assert (found.received, found.is_current) == (7, True)
    assert {name: getattr(found, name) for name in vars(written)} == vars(written)


def test_the_newest_report_about_a_subject_of_a_model_is_current(store):
    others = (Subject("request", "größer"), Subject("reading", "größer", 1), Subject("reading", "grösser"))
    add(store, report(), report(verdict="false"), *(report(one) for one in others))
    add(store, report(verdict="partly"), model="another")
    with store.writing() as transaction:
        assert transaction.newest_feedback("engine", SUBJECT) == report(verdict="false")
        assert transaction.newest_feedback("engine", Subject("alarm", "größer")) is None
    current = {one.subject: one.verdict for one in store.feedback("engine", only_current=True)}
    assert current == {SUBJECT: "false"} | dict.fromkeys(others, "confirmed")
    assert [one.is_current for one in store.feedback("engine", only_current=False)] == [True] * 4 + [False]


def test_an_alarm_is_found_by_its_machine_and_opening(store):
    with store.writing() as transaction:
        machine = transaction.machines("engine", ["E1"])["E1"]
        transaction.add([(machine, Reading(time=9, received=0, sensors={}, score=None))])
        transaction.save_alarm(machine, Alarm(opened=5, probability=0.9, version="1"))
        assert transaction.alarm("engine", "E1", 5) == (Alarm(opened=5, probability=0.9, version="1"), 9)
        for place in (("engine", "E1", 6), ("engine", "E2", 5), ("another", "E1", 5)):
            assert transaction.alarm(*place) is None


def test_an_alarm_is_listed_with_its_newest_verdict(store):
    with store.writing() as transaction:
        for model in ("engine", "another"):
            machine = transaction.machines(model, ["E1"])["E1"]
            transaction.add([(machine, Reading(time=9, received=0, sensors={}, score=None))])
            for opened in (5, 6):
                transaction.save_alarm(machine, Alarm(opened=opened, probability=0.9, version="1"))
    add(store, report(Subject("alarm", "E1", 5)), report(Subject("alarm", "E1", 5), "false"))
    assert [(alarm.opened, alarm.verdict) for _, alarm in store.alarms("engine", only_open=False, most=9)] == [
        (6, None),
        (5, "false"),
    ]
    assert [alarm.verdict for alarm in store.past("engine", "E1", beginning=0, most=9)[0]] == [None, "false"]
    assert {alarm.verdict for _, alarm in store.alarms("another", only_open=False, most=9)} == {None}
