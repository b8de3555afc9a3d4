"""The audit log in a store on SQLite and on PostgreSQL, and who has acknowledged an alarm."""

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from app.settings import Settings
from predictive_maintenance.errors import ConfigError, StoreError
from predictive_maintenance.store.audit_log import MOVED, SettingsInForce, add_once, is_on
from predictive_maintenance.store.rows import Actor, Alarm, AuditEntry
from predictive_maintenance.store.store import Store, Transaction, _audit
from predictive_maintenance.store.times import LAST_KEY

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


def add_all_once(store, *entries):
    for one in entries:
        with store.writing() as transaction:
            add_once(transaction, "pump", one)


def settings(component, **detail):
    return entry(component, action="settings", **detail)


def promotion(version, moved, action="promotion"):
    return entry(f"version {version}", action=action, **{MOVED: moved})


def test_settings_are_added_if_they_differ_from_the_latest_ones_of_their_component(store):
    first, changed, other = settings("service", rows=1), settings("service", rows=2), settings("monitor", rows=1)
    add_all_once(store, first, other, first, changed, other, changed, first)
    found = [(one.subject, one.detail["rows"]) for one in reversed(store.audit("pump", most=9))]
    assert found == [("service", 1), ("monitor", 1), ("service", 2), ("service", 1)]
    assert store.settings_in_force("pump", "monitor") == {"rows": 1}
    assert store.settings_in_force("pump", "service") == {"rows": 1}
    assert store.settings_in_force("engine", "service") is None


def test_a_change_of_production_is_added_once_and_a_later_one_to_the_same_version_again(store):
    changes = [promotion(1, "a"), promotion(2, "b"), promotion(1, "c", "rollback"), promotion(1, "d", "rollback")]
    edited = entry("version 1", action="rollback", reason="edited in the registry", **{MOVED: "d"})
    add_all_once(store, *changes, *changes[::-1], edited)
    assert [one.detail[MOVED] for one in store.audit("pump", most=9)] == ["d", "c", "b", "a"]


def test_of_several_processes_that_see_a_change_at_once_one_adds_it(stores):
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            list(pool.map(lambda store, number=number: add_all_once(store, promotion(1, str(number))), stores))
    assert len(stores[0].audit("pump", most=100)) == 20


def test_settings_are_added_when_the_store_can_be_written(store, monkeypatch):
    monkeypatch.setenv("PDM_AUDIT_LOG", "true")
    monkeypatch.setenv("LOGNAME", "ana")
    in_force = SettingsInForce("monitor", "pump", {"rows": 1})
    with monkeypatch.context() as broken:
        broken.setattr(Transaction, "add_audit", raise_full)
        with pytest.raises(StoreError, match="the disk is full"):
            in_force.add_to(store)
    in_force.add_to(store)
    (found,) = store.audit("pump", most=9)
    assert (found.subject, found.actor, found.detail) == ("monitor", Actor("ana"), {"rows": 1})


def test_equal_settings_of_a_second_start_are_not_added(store, monkeypatch):
    monkeypatch.setenv("PDM_AUDIT_LOG", "true")
    for topics in (("a", "b"), ("a", "b"), ("a",)):
        SettingsInForce("mqtt", "pump", {"topics": topics}).add_to(store)
    assert [one.detail for one in store.audit("pump", most=9)] == [{"topics": ["a"]}, {"topics": ["a", "b"]}]


def raise_full(*_):
    raise StoreError("the disk is full")


@pytest.mark.parametrize(
    ("url", "switch", "expected"),
    [("", "", False), ("sqlite:////s.db", "", True), ("sqlite:////s.db", "false", False), ("", "1", True)],
)
def test_the_audit_log_is_on_by_the_rule_of_the_service(monkeypatch, url, switch, expected):
    monkeypatch.setenv("PDM_STORE_URL", url)
    monkeypatch.setenv("PDM_AUDIT_LOG", switch)
    assert is_on() is expected
    assert Settings().audits is expected


def test_a_switch_that_is_neither_on_nor_off_is_an_error(monkeypatch):
    monkeypatch.setenv("PDM_AUDIT_LOG", "maybe")
    with pytest.raises(ConfigError, match="PDM_AUDIT_LOG: 'maybe' is neither true nor false"):
        SettingsInForce("monitor", "pump", {})


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


@pytest.mark.parametrize(
    ("actions", "subject"),
    [([], None), (["refusal"], None), (["refusal", "settings"], None), (["settings"], "service")],
    ids=["all", "frequent", "several", "settings"],
)
def test_a_page_reads_no_entries_but_its_own(sqlite_url, actions, subject):
    """The steps of SQLite for a page are the same with 100 entries and with 10,000."""

    def steps(url, entries):
        with closing(Store.open(url, timeout_seconds=5)) as store:
            add(store, settings("service"), *[entry(action="refusal")] * entries)
            counted = []
            with store.writing() as transaction:
                raw = transaction._connection.connection.dbapi_connection
                raw.set_progress_handler(lambda: counted.append(1), 10)
                found = _audit(transaction._connection, "pump", actions, LAST_KEY, 20, subject)
                raw.set_progress_handler(None, 0)
        assert len(found) == (1 if subject else 20)
        return len(counted)

    assert steps(sqlite_url + "-few", 100) == pytest.approx(steps(sqlite_url + "-many", 10_000), rel=0.1)
