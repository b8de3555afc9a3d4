"""The audit log in a store on SQLite and on PostgreSQL, and who has acknowledged an alarm."""

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from predictive_maintenance.store.rows import Actor, Alarm, AuditEntry
from predictive_maintenance.store.store import Store

ANA = Actor("dashboard", "Ana Ruíz")


@pytest.fixture
def store(empty_store_url):
    with closing(Store.open(empty_store_url, timeout_seconds=5)) as store:
        yield store


def entry(subject="alarm of P1", at=100, action="acknowledgement", actor=ANA, **detail):
    return AuditEntry(at=at, action=action, actor=actor, subject=subject, detail=detail)


def add(store, *entries, model="pump"):
    with store.writing() as transaction:
        transaction.add_audit(model, entries)


def test_an_entry_is_read_as_it_was_written(store):
    written = entry(comment="=größer\n", times=3)
    add(store, written)
    (found,) = store.audit("pump", most=10)
    assert {name: getattr(found, name) for name in vars(written)} == vars(written)


def test_pages_have_the_newest_entries_of_one_model_first(store):
    add(store, entry("a"), entry("b", action="refusal"), entry("c"))
    add(store, entry("of another"), model="engine")
    first = store.audit("pump", most=2)
    assert [one.subject for one in first] == ["c", "b"]
    assert [one.subject for one in store.audit("pump", before=first[-1].key, most=2)] == ["a"]
    assert [one.subject for one in store.audit("pump", actions=["acknowledgement"], most=9)] == ["c", "a"]


def test_an_entry_that_is_added_unless_the_newest_is_equal_is_added_by_one_of_two_processes(store):
    def add_once():
        with store.writing() as transaction:
            if not transaction.newest_audit("pump", ["settings"], 1):
                transaction.add_audit("pump", [entry(action="settings")])

    with ThreadPoolExecutor(1) as pool, store.writing() as transaction:
        assert not transaction.newest_audit("pump", ["settings"], 1)
        other = pool.submit(add_once)
        wait([other], timeout=0.3)
        transaction.add_audit("pump", [entry(action="settings")])
    other.result()
    assert len(store.audit("pump", most=9)) == 1


def test_entries_expire(store):
    add(store, entry("old", at=99), entry("new", at=100))
    with store.writing() as transaction:
        assert not transaction.remove_audit_before("another model", 1_000)
        assert not transaction.remove_audit_before("pump", 100)
    assert [one.subject for one in store.audit("pump", most=9)] == ["new"]


def test_the_first_acknowledgement_of_an_alarm_stays(store):
    with store.writing() as transaction:
        machine = transaction.machines("pump", ["P1"])["P1"]
        for opened in (-5, 7):
            transaction.save_alarm(machine, Alarm(opened=opened, probability=0.9, version="1", closed=None))
            if opened < 0:
                closed = Alarm(opened=opened, probability=0.9, version="1", closed=6, closed_by="decisions")
                transaction.save_alarm(machine, closed)
        assert transaction.acknowledge_alarm("pump", "P1", 7, "Ana", 50)
        assert not transaction.acknowledge_alarm("pump", "P1", 7, "Ben", 60)
        assert not transaction.acknowledge_alarm("engine", "P1", -5, "Ben", 60)
        assert not transaction.acknowledge_alarm("pump", "P2", -5, "Ben", 60)
        alarm, _ = transaction.alarm("pump", "P1", 7)
    assert (alarm.acknowledged, alarm.acknowledged_by) == (50, "Ana")
    assert [alarm.acknowledged_by for _, alarm in store.alarms("pump", only_open=False, most=9)] == ["Ana", None]
