"""Acknowledgements of alarms, and the audit log: who did what, and when."""

import sqlite3
import time
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from app.serving import audit_log
from app.serving.audit_log import Refusal
from predictive_maintenance.errors import StoreError
from predictive_maintenance.store.audit_log import add_once
from predictive_maintenance.store.store import Store, Transaction
from predictive_maintenance.tracking.entities import (
    PREVIOUS_TAG,
    PRODUCTION_BY_TAG,
    PRODUCTION_MOVED_TAG,
    PRODUCTION_REASON_TAG,
    ROLLED_BACK_REASON,
)
from predictive_maintenance.tracking.production_audit import production_entry

from .conftest import READING, MemoryRegistry, start_client, wait_until
from .test_access import NAMED, PEOPLE_KEY, key
from .test_health import samples
from .test_kept_events import hot
from .test_predict import problem
from .test_prediction_log import locked

ALARM = {"machine_id": "P1", "alarm": "2024-03-01T00:00:00Z"}
FAILURE = {"machine_id": "P1", "timestamp": "2024-03-01T03:00:00Z", "type": "seal"}
ANA = {"x-api-key": PEOPLE_KEY, "x-on-behalf-of": "Ana%20Ru%C3%ADz"}
ON = NAMED | {"audit_log": True, "audit_seconds": 0.05}


@pytest.fixture
def start_pump(small_pump, pump_params, checked_files, tmp_path, enter):
    """A function that starts the pumps' application with named keys and its audit log. Its store has an open alarm of P1."""

    def start(**settings):
        registry = MemoryRegistry(versions={"1": dict(small_pump.files)}, alias="1")
        client = enter(start_client(registry, pump_params, tmp_path, checked_files, **ON | settings))
        for hour in range(3):
            client.post("/readings", json=hot(hour), headers=key("write"))
        return client

    return start


def audit(client, *actions, **query):
    answer = client.get("/audit", params={"action": actions, **query}, headers=key("operate"))
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def wait_for_audit(client, *actions, entries=1):
    wait_until(lambda: len(audit(client, *actions)) >= entries)
    return audit(client, *actions)


def acknowledge(client, headers, **values):
    return client.post("/acknowledgements", json=ALARM | values, headers=headers)


def test_an_acknowledgement_has_the_person_that_the_dashboard_speaks_for(start_pump):
    client = start_pump()
    answer = acknowledge(client, ANA, comment="seal ordered").json()
    assert (answer["acknowledged_by"], answer["repeated"]) == ("Ana Ruíz", False)
    (entry,) = audit(client, "acknowledgement")
    assert entry.pop("entry") > 0
    assert entry == {
        "time": answer["acknowledged"], "action": "acknowledgement", "key": "board", "person": "Ana Ruíz",
        "subject": "alarm of P1, 2024-03-01T00:00:00Z", "detail": {"comment": "seal ordered"},
    }  # fmt: skip
    assert names_of_people(client, key("operate")) == ["Ana Ruíz"] * 4


def names_of_people(client, headers):
    """Who acknowledged the alarm and who reported on it, in each answer that has it."""
    listed = client.get("/alarms", headers=headers).json()["alarms"]
    history = client.get("/machines/P1", headers=headers).json()
    listed += [
        *history["alarms"],
        history["alarm"],
        client.get("/machines", headers=headers).json()["machines"][0]["alarm"],
    ]
    assert all(alarm["acknowledged"] for alarm in listed)
    reports = client.get("/feedback", headers=headers).json()["feedback"]
    return [alarm["acknowledged_by"] for alarm in listed] + [report["by"] for report in reports]


def test_names_of_people_are_shown_to_keys_that_may_read_the_audit_log_only(start_pump):
    client = start_pump(api_key="single")
    acknowledge(client, ANA)
    client.post("/feedback", json=ALARM | {"verdict": "false", "by": "Ben"}, headers=key("write"))
    for headers in (key("operate"), {"x-api-key": PEOPLE_KEY}, {"x-api-key": "single"}):
        assert names_of_people(client, headers) == ["Ana Ruíz"] * 4 + ["Ben"]
    for role in ("read", "write"):
        assert names_of_people(client, key(role)) == [None] * 5
        answers = "".join(client.get(path, headers=key(role)).text for path in ("/alarms", "/machines/P1", "/feedback"))
        assert "Ana" not in answers
        assert "Ben" not in answers


def test_a_service_without_keys_shows_names_to_everybody(start_pump):
    client = start_pump(api_keys=None)
    acknowledge(client, {})
    assert names_of_people(client, {}) == ["anonymous"] * 4


@pytest.mark.parametrize("by", ["Ana\nRuíz", "Ana\r", "\u202eanA", "Ana\x1b[31m", "Ana\u2028", "\x00"])
def test_a_name_that_a_table_or_a_log_would_show_as_something_else_is_refused(start_pump, by):
    report = ALARM | {"verdict": "false", "by": by}
    refused = start_pump().post("/feedback", json=report, headers=key("write"))
    assert problem(refused, 422)["errors"][0]["field"] == "by"


def test_the_first_acknowledgement_stays_and_a_repeated_one_has_no_entry(start_pump):
    client = start_pump()
    first = acknowledge(client, key("operate")).json()
    assert first["acknowledged_by"] == "of-operate"
    assert acknowledge(client, ANA).json() == first | {"repeated": True}
    assert len(audit(client, "acknowledgement")) == 1


def test_an_alarm_that_the_store_does_not_have_cannot_be_acknowledged(start_pump):
    client = start_pump()
    refused = acknowledge(client, ANA, alarm="2024-03-01T01:00:00Z")
    assert problem(refused, 404)["detail"] == "the store has no alarm of 'P1' that opened at this time"
    assert problem(acknowledge(client, ANA, alarm=3), 422)["errors"][0]["field"] == "alarm"
    assert problem(acknowledge(client, ANA, note="x"), 422)["errors"][0]["field"] == "note"
    assert audit(client, "acknowledgement") == []


def test_feedback_has_an_entry_unless_it_is_repeated(start_pump):
    client, report = start_pump(), ALARM | {"verdict": "false", "by": "Ben", "comment": "sensor"}
    for _ in range(2):
        assert client.post("/feedback", json=[report], headers=key("write")).status_code == 200
    (entry,) = audit(client, "feedback")
    assert (entry["key"], entry["person"]) == ("of-write", None)
    assert entry["subject"] == "alarm of P1, 2024-03-01T00:00:00Z"
    assert entry["detail"] == {"verdict": "false", "by": "Ben", "comment": "sensor"}


def test_events_that_a_person_sends_have_an_entry_and_those_of_machines_have_none(start_pump):
    client = start_pump(audit_log=False)
    for headers in (key("write"), ANA):
        assert client.post("/events", json={"failures": [FAILURE]}, headers=headers).status_code == 200
    (entry,) = audit(client, "events")
    assert (entry["person"], entry["subject"]) == ("Ana Ruíz", "failures of P1")
    assert entry["detail"] == {"events": 1, "machines": 1}


def test_uploads_of_a_person_have_entries_with_their_events(start_pump):
    client = start_pump(audit_log=False)
    many = [FAILURE | {"machine_id": f"P{number}"} for number in range(2, 40)]
    assert client.post("/events", json={"failures": many}, headers=ANA).json() == {"events": 38}
    table = "machine_id,timestamp,type\nP1,2024-03-01T04:00:00Z,seal\nP2,2024-03-01T04:00:00Z,seal\n"
    headers = ANA | {"content-type": "text/csv"}
    assert client.post("/events?table=failures", content=table, headers=headers).json() == {"events": 2}
    entries = [(one["person"], one["subject"], one["detail"]) for one in audit(client, "events")]
    assert entries == [
        ("Ana Ruíz", "failures", {"events": 2, "machines": 2}),
        ("Ana Ruíz", "failures", {"events": 38, "machines": 38}),
    ]


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/events", {"failures": [FAILURE]}),
        ("/feedback", ALARM | {"verdict": "false", "by": "Ben"}),
        ("/acknowledgements", ALARM),
    ],
)
def test_nothing_that_a_person_does_is_kept_without_its_entry(start_pump, monkeypatch, route, body):
    def fail(*_):
        raise StoreError("the process ends here")

    client = start_pump(audit_log=False)
    monkeypatch.setattr(Transaction, "add_audit", fail)
    assert client.post(route, json=body, headers=ANA).status_code == 503
    machine = client.get("/machines/P1", headers=key("operate")).json()
    assert machine["events"] == []
    assert machine["alarm"]["acknowledged"] is None
    assert client.get("/feedback", headers=key("operate")).json()["feedback"] == []


def test_without_keys_everybody_is_anonymous_and_nobody_speaks_for_people(start_pump):
    client = start_pump(api_keys=None)
    assert acknowledge(client, {}).json()["acknowledged_by"] == "anonymous"
    assert "set PDM_API_KEYS" in problem(acknowledge(client, ANA), 403)["detail"]


def test_refused_keys_are_counted_in_one_entry_without_the_key(make_client, tmp_path):
    client = make_client(**ON | {"audit_seconds": 3600})
    for _ in range(5):
        client.get("/model", headers={"x-api-key": "pdm_guess"})
        client.post("/events", json={}, headers=key("read"))
    client.get("/model", headers={"x-on-behalf-of": "Ana"} | key("operate"))
    client.get("/model")  # without a key, nothing is refused but an address
    client.__exit__(None, None, None)
    client.__enter__()
    found = {(entry["key"], entry["subject"]): entry["detail"] for entry in audit(client, "refusal")}
    assert {place: (detail["status"], detail["times"]) for place, detail in found.items()} == {
        ("unknown", "GET /model"): (401, 5),
        ("of-read", "POST /events"): (403, 5),
        ("of-operate", "GET /model"): (403, 1),
    }
    assert found["unknown", "GET /model"]["client"] == "testclient"
    assert not any(b"guess" in file.read_bytes() for file in tmp_path.glob("store.db*"))


def test_a_flood_of_refused_requests_has_a_bounded_number_of_entries(make_client):
    client = make_client(**ON | {"audit_seconds": 3600})
    log = client.app.state.service.audit
    refusals = [("GET /model", f"10.0.0.{number}") for number in range(100)]
    for route, address in refusals:
        log.note_refusal(Refusal("unknown", route, 401, "the API key is not known", address))
    client.__exit__(None, None, None)
    client.__enter__()
    entries = audit(client, "refusal", limit=1000)
    assert len(entries) == 21
    assert sum(entry["detail"]["times"] for entry in entries) == 100


def test_people_whom_the_dashboard_did_not_let_in_are_counted_with_their_names(make_client):
    client, refused = make_client(**ON | {"audit_seconds": 3600}), {"reason": "not allowed"}
    for _ in range(3):
        assert client.post("/audit/refusals", json=refused, headers=ANA).json() == {"noted": True}
    client.__exit__(None, None, None)
    client.__enter__()
    (entry,) = audit(client, "refusal")
    assert (entry["key"], entry["person"], entry["subject"]) == ("board", "Ana Ruíz", "sign-in")
    assert entry["detail"] == {"status": 403, "reason": "not allowed", "client": "testclient", "times": 3}
    unnamed = client.post("/audit/refusals", json=refused, headers={"x-api-key": PEOPLE_KEY})
    assert problem(unnamed, 400)["detail"] == "X-On-Behalf-Of is missing: name the person who was refused"
    assert (
        problem(client.post("/audit/refusals", json={"reason": "=1+1"}, headers=ANA), 422)["errors"][0]["field"]
        == "reason"
    )
    assert client.post("/audit/refusals", json=refused, headers=ANA | key("operate")).status_code == 403


def test_a_service_without_audit_log_says_that_a_refusal_is_not_noted(make_client):
    client = make_client(**NAMED)
    assert client.post("/audit/refusals", json={"reason": "not allowed"}, headers=ANA).json() == {"noted": False}


def test_the_settings_in_force_are_recorded_when_they_change_and_show_no_secret(make_client, tmp_path):
    client = make_client(**ON | {"api_key": "s3cret-word"})
    (first,) = wait_for_audit(client, "settings")
    assert (first["key"], first["detail"]["api_key"]) == ("service", "set")
    assert first["detail"]["api_keys"] == ["of-read read", "of-write write", "of-operate operate", "board operate+people",
                                           "PDM_API_KEY operate"]  # fmt: skip
    assert first["detail"]["poll_seconds"] == 0.05
    client.__exit__(None, None, None)
    client.__enter__()
    client = make_client(**ON | {"max_rows": 7})
    newest, *_ = wait_for_audit(client, "settings", entries=2)
    assert newest["detail"]["max_rows"] == 7
    assert len(audit(client, "settings")) == 2
    assert not any(b"s3cret" in file.read_bytes() for file in tmp_path.glob("store.db*"))


def test_promotions_and_rollbacks_are_recorded_once_with_who_moved_production(make_client, registry, small):
    registry.versions["2"] = small.files
    registry.tags["1"] = {PRODUCTION_REASON_TAG: "promoted by hand", PRODUCTION_BY_TAG: "ana"}
    client = make_client(**ON)
    other = make_client(**ON)  # another worker with the same store
    (first,) = wait_for_audit(client, "promotion")
    assert (first["key"], first["subject"], first["detail"]) == ("ana", "version 1", {"reason": "promoted by hand"})
    registry.tags["2"] = {PREVIOUS_TAG: "1", PRODUCTION_BY_TAG: "TrainFlow/7"}
    registry.alias = "2"
    wait_for_audit(client, "promotion", entries=2)
    registry.tags["1"] = {PRODUCTION_REASON_TAG: f"{ROLLED_BACK_REASON} 2 at noon", PRODUCTION_BY_TAG: "ben"}
    registry.alias = "1"
    (rollback,) = wait_for_audit(client, "rollback")
    assert (rollback["key"], rollback["subject"]) == ("ben", "version 1")
    for one in (client, other):
        wait_until(lambda one=one: one.app.state.service.watcher.model.version.version == "1")
        one.app.state.service.watcher.poll()
    entries = audit(client, "promotion", "rollback")
    assert [(one["key"], one["subject"]) for one in entries] == [
        ("ben", "version 1"), ("TrainFlow/7", "version 2"), ("ana", "version 1"),
    ]  # fmt: skip


def test_a_change_that_its_own_process_has_recorded_is_not_recorded_again(make_client, registry, small, tmp_path):
    registry.versions["2"] = small.files
    client = make_client(**ON)
    wait_for_audit(client, "promotion")
    moves = [("2", "promoted", "10:00:00.000001"), ("1", f"{ROLLED_BACK_REASON} 2", "10:00:00.000002"),
             ("2", "promoted", "10:00:00.000003"), ("1", f"{ROLLED_BACK_REASON} 2", "10:00:00.000004")]  # fmt: skip
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)) as store:
        for number, (version, reason, moved) in enumerate(moves):
            registry.tags[version] = {
                PRODUCTION_REASON_TAG: reason, PRODUCTION_MOVED_TAG: f"2024-11-30T{moved}+00:00", PRODUCTION_BY_TAG: "ana",
            }  # fmt: skip
            if number % 2:  # otherwise, the service is alone
                entry = production_entry(registry._version(version), time.time())
                with store.writing() as transaction:
                    add_once(transaction, "predictive_maintenance", entry)
            registry.alias = version
            client.app.state.service.watcher.poll()
            wait_for_audit(client, "promotion", "rollback", entries=number + 2)
    found = audit(client, "promotion", "rollback")
    assert [(one["action"], one["subject"]) for one in found] == [
        ("rollback", "version 1"), ("promotion", "version 2"), ("rollback", "version 1"), ("promotion", "version 2"),
        ("promotion", "version 1"),
    ]  # fmt: skip
    assert {one["time"] for one in found[:4]} == {"2024-11-30T10:00:00Z"}


def test_pages_of_the_audit_log_follow_each_other(start_pump):
    client = start_pump()
    for number in range(3):
        client.post("/feedback", json=ALARM | {"verdict": "partly", "by": f"{number}"}, headers=key("write"))
    first = client.get("/audit?action=feedback&limit=2", headers=key("operate")).json()
    second = client.get(f"/audit?action=feedback&limit=2&before={first['next']}", headers=key("operate")).json()
    assert [one["detail"]["by"] for one in first["entries"] + second["entries"]] == ["2", "1", "0"]
    assert second["next"] is None


def test_no_route_changes_or_removes_entries(shared_client):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert shared_client.request(method, "/audit").status_code == 405


def test_a_locked_store_delays_no_prediction_and_loses_no_entry(make_client, tmp_path):
    client = make_client(**ON | {"store_timeout_seconds": 0.1})
    wait_for_audit(client, "settings")
    with locked(tmp_path / "store.db"):
        client.get("/model", headers={"x-api-key": "wrong"})
        assert client.post("/predict", json=READING, headers=key("read")).status_code == 200
        wait_until(lambda: client.app.state.service.store.access.problem is not None)
    (entry,) = wait_for_audit(client, "refusal")
    assert entry["detail"]["times"] == 1


def hold_audit(monkeypatch, *errors):
    """Let writing to the audit log fail with these errors, one after the other, and then work. Return those that are left."""
    left, add = list(errors), Transaction.add_audit

    def add_or_fail(*arguments):
        if left:
            raise left.pop(0)
        add(*arguments)

    monkeypatch.setattr(audit_log, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(Transaction, "add_audit", add_or_fail)
    return left


def test_an_unexpected_error_does_not_end_the_audit_log_and_is_logged_once(make_client, monkeypatch):
    left = hold_audit(monkeypatch, RuntimeError("first"), RuntimeError("again"), ValueError("other"))
    with capture_logs() as logs:
        client = make_client(**ON)
        wait_for_audit(client, "settings")
        client.get("/model", headers={"x-api-key": "wrong"})
        wait_for_audit(client, "refusal")
    assert left == []
    errors = [line for line in logs if line["event"].startswith("the audit log cannot be written")]
    assert [line["kind"] for line in errors] == ["RuntimeError", "ValueError"]
    found = samples(client, headers=key("read"))
    assert found["pdm_audit_errors_total", ("error", "RuntimeError")] == 2
    assert found["pdm_audit_errors_total", ("error", "ValueError")] == 1
    assert found["pdm_audit_entries_lost_total", ("reason", "error")] == 0


def test_an_entry_that_can_never_be_written_is_dropped_and_those_behind_it_are_written(make_client, monkeypatch):
    hold_audit(monkeypatch)
    client = make_client(**ON)
    wait_for_audit(client, "settings")
    log = client.app.state.service.audit
    log.note_settings({"not JSON": object()})
    log.note_settings({"max_rows": 9})
    newest, *_ = wait_for_audit(client, "settings", entries=2)
    assert newest["detail"] == {"max_rows": 9}
    assert samples(client, headers=key("read"))["pdm_audit_entries_lost_total", ("reason", "error")] == 1


def test_the_end_of_the_service_writes_the_entries_behind_one_that_can_never_be_written(make_client, monkeypatch):
    hold_audit(monkeypatch)
    client = make_client(**ON)
    wait_for_audit(client, "settings")
    monkeypatch.setattr(audit_log, "_RETRY_SECONDS", 60)
    log = client.app.state.service.audit
    log.note_settings({"not JSON": object()})
    log.note_refusal(Refusal("unknown", "GET /model", 401, "the API key is not known", "10.0.0.1"))
    client.__exit__(None, None, None)
    client.__enter__()
    assert len(wait_for_audit(client, "refusal")) == 1


def test_entries_that_wait_for_an_error_to_end_are_bounded(make_client, monkeypatch):
    client = make_client(**ON)
    wait_for_audit(client, "settings")
    wait_for_audit(client, "promotion")
    monkeypatch.setattr(audit_log, "_MOST_WAITING", 5)
    left = hold_audit(monkeypatch, *[StoreError("down")] * 1000)
    log = client.app.state.service.audit
    for number in range(8):
        log.note_settings({"max_rows": number})
    assert samples(client, headers=key("read"))["pdm_audit_entries_lost_total", ("reason", "queue full")] == 3
    left.clear()
    newest, *_ = wait_for_audit(client, "settings", entries=6)
    assert newest["detail"] == {"max_rows": 4}


def test_entries_older_than_their_retention_are_removed(make_client, tmp_path):
    client = make_client(**ON)
    wait_for_audit(client, "settings")
    client.__exit__(None, None, None)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("UPDATE pdm_audit SET at = at - 731 * 86400")
    client = make_client(**ON | {"max_rows": 8})
    wait_until(lambda: [one["detail"]["max_rows"] for one in audit(client, "settings")] == [8])
