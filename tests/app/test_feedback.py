"""Feedback on alarms and predictions: late, repeated and contradicting reports are kept, and the newest one counts."""

import sqlite3
from contextlib import closing

import pytest

from app.problems import Problem
from app.schemas.feedback import Feedback
from app.serving.kept_feedback import feedback_rows
from predictive_maintenance.config.sources import Source
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.store.times import plain_times
from tests.dashboard.stored_machines import turbofan

from .conftest import READING, MemoryRegistry, start_client
from .test_kept_events import hot
from .test_predict import problem
from .test_prediction_log import ON, wait_until_written

ALARM = {"machine_id": "P1", "alarm": "2024-03-01T00:00:00Z"}
CONFIRMED = ALARM | {"verdict": "confirmed", "failure_mode": "seal_failure", "by": "Ana"}


@pytest.fixture
def start_pump(small_pump, pump_params, checked_files, tmp_path, enter):
    """A function that starts an application with the pumps' model, with the given registry and settings."""

    def start(registry=None):
        registry = registry or MemoryRegistry(versions={"1": dict(small_pump.files)}, alias="1")
        return enter(start_client(registry, pump_params, tmp_path, checked_files))

    return start


@pytest.fixture
def pump_client(start_pump):
    """A client of the pumps' application. Its store has an alarm of P1, which is open."""
    client = start_pump()
    for hour in range(3):
        assert client.post("/readings", json=hot(hour)).json()["predicted_failure"]
    assert [alarm["opened"] for alarm in client.get("/alarms").json()["alarms"]] == [ALARM["alarm"]]
    return client


def post(client, *reports):
    answer = client.post("/feedback", json=list(reports))
    assert answer.status_code == 200, answer.text
    return {name: count for name, count in answer.json().items() if count}


def current(client, state="current"):
    return client.get(f"/feedback?state={state}").json()["feedback"]


def test_a_report_on_an_alarm_is_kept_with_who_and_why(pump_client):
    assert post(pump_client, CONFIRMED | {"comment": "größer\nleak", "failed": "2024-03-01T04:00:00+02:00"}) == {
        "new": 1
    }
    (found,) = current(pump_client)
    assert found.pop("received").endswith("Z")
    assert found == CONFIRMED | {
        "comment": "größer\nleak", "failed": "2024-03-01T02:00:00Z", "reading_id": None, "request_id": None, "row": None,
        "is_current": True,
    }  # fmt: skip


def test_an_alarm_is_listed_with_the_newest_verdict(pump_client):
    def verdicts():
        listed = pump_client.get("/alarms").json()["alarms"] + pump_client.get("/machines/P1").json()["alarms"]
        return [alarm["feedback"] for alarm in listed]

    assert verdicts() == [None, None]
    post(pump_client, CONFIRMED, ALARM | {"verdict": "partly", "by": "Ana"})
    assert verdicts() == ["partly", "partly"]


def test_a_single_report_needs_no_list(pump_client):
    assert pump_client.post("/feedback", json=ALARM | {"verdict": "partly", "by": "Ana"}).json()["new"] == 1


def test_a_failure_without_a_time_is_at_the_latest_reading_or_where_the_alarm_closed(pump_client):
    post(pump_client, CONFIRMED)
    assert current(pump_client)[0]["failed"] == "2024-03-01T02:00:00Z"
    pump_client.post("/readings", json=hot(3))
    assert post(pump_client, CONFIRMED) == {"repeated": 1}  # although the latest reading is another one
    failure = {"machine_id": "P1", "timestamp": "2024-03-01T02:30:00Z", "type": "seal"}
    pump_client.post("/events", json={"failures": [failure]})
    post(pump_client, ALARM | {"verdict": "unknown", "by": "Ana"}, CONFIRMED)
    assert current(pump_client)[0]["failed"] == "2024-03-01T02:30:00Z"


def test_the_newest_report_counts_and_all_are_kept(pump_client):
    false = ALARM | {"verdict": "false", "by": "Ben"}
    assert [post(pump_client, one) for one in (CONFIRMED, false, CONFIRMED)] == [
        {"new": 1},
        {"changed": 1},
        {"changed": 1},
    ]
    assert [one["verdict"] for one in current(pump_client)] == ["confirmed"]
    found = [(one["verdict"], one["by"], one["is_current"]) for one in current(pump_client, "all")]
    assert found == [("confirmed", "Ana", True), ("false", "Ben", False), ("confirmed", "Ana", False)]


def test_the_same_report_again_is_stored_once_and_another_person_is_another_report(pump_client):
    assert post(pump_client, CONFIRMED, CONFIRMED) == {"new": 1, "repeated": 1}
    assert post(pump_client, CONFIRMED | {"by": "Ben"}) == {"changed": 1}
    assert len(current(pump_client, "all")) == 2


def test_a_report_may_come_after_the_alarm_is_closed_and_its_version_gone(start_pump, small_pump):
    registry = MemoryRegistry(versions={"1": dict(small_pump.files)}, alias="1")
    client = start_pump(registry)
    for hour in range(3):
        client.post("/readings", json=hot(hour))
    client.post(
        "/events", json={"failures": [{"machine_id": "P1", "timestamp": "2024-03-01T02:30:00Z", "type": "seal"}]}
    )
    registry.versions = {"2": dict(small_pump.files)}
    registry.alias = "2"
    client.app.state.service.watcher.poll()
    assert client.get("/health").json()["serving_version"] == "2"
    assert post(client, CONFIRMED) == {"new": 1}


def test_a_list_with_an_invalid_report_is_not_kept(pump_client):
    unknown = CONFIRMED | {"alarm": "2024-03-01T01:00:00Z"}
    refusal = problem(pump_client.post("/feedback", json=[CONFIRMED, unknown]), 422)
    assert refusal["errors"] == [
        {"row": 2, "field": "alarm", "reason": "the store has no alarm of 'P1' that opened at this time"}
    ]
    assert current(pump_client, "all") == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"failure_mode": None}, "failure_mode: is missing: name one of seal_failure, bearing"),
        ({"failure_mode": "seal"}, "failure_mode: 'seal' is unknown: name one of seal_failure, bearing"),
        ({"failed": "2024-02-29T23:00:00Z"}, "failed: is before the alarm opened"),
        ({"failed": "2999-01-01T00:00:00Z"}, "s in the future"),
        ({"failed": "soon"}, "failed: is not a timestamp of this machine"),
        ({"alarm": 7.0}, "alarm: is not a timestamp of this machine"),
        ({"alarm": None}, "name one subject"),
        ({"reading_id": "a"}, "name one subject"),
        ({"row": 2}, "name one subject"),
        ({"verdict": "false"}, "failure_mode and failed need the verdict confirmed"),
        ({"verdict": "maybe"}, "verdict: should be"),
        ({"by": ""}, "by: "),
        ({"comment": "x" * 2001}, "comment: "),
        ({"comment": "\0"}, "comment: "),
        ({"verdct": "false"}, "did you mean verdict?"),
    ],
)
def test_an_invalid_report_is_refused_with_the_reason(pump_client, change, reason):
    assert reason in problem(pump_client.post("/feedback", json=CONFIRMED | change), 422)["detail"]
    assert current(pump_client, "all") == []


@pytest.mark.parametrize(("body", "status"), [(b"[", 400), (b"[]", 422), (b"x" * 300_000, 413)])
def test_an_invalid_body_is_refused(pump_client, body, status):
    problem(pump_client.post("/feedback", content=body, headers={"content-type": "application/json"}), status)


def test_predictions_of_a_machine_without_time_are_named_by_reading_or_request(client, tmp_path):
    reports = [
        {
            "reading_id": "a'; DROP TABLE pdm_feedback; --",
            "verdict": "confirmed",
            "by": "Ana",
            "failure_mode": "power_failure",
        },
        {"request_id": "r-1", "verdict": "false", "by": "Ana"},
        {"request_id": "r-1", "row": 7, "verdict": "partly", "by": "Ana"},
    ]
    assert post(client, *reports) == {"new": 3}
    assert post(client, reports[1] | {"row": 1}) == {"repeated": 1}
    shown = ("reading_id", "request_id", "row", "verdict")
    assert [tuple(one[name] for name in shown) for one in current(client)] == [
        (None, "r-1", 7, "partly"), (None, "r-1", 1, "false"), (reports[0]["reading_id"], None, None, "confirmed"),
    ]  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("SELECT count(*) FROM pdm_feedback").fetchone() == (3,)


def test_a_machine_without_time_has_no_alarms(compressor):
    with pytest.raises(Problem, match="has no alarms: name a reading_id"):
        feedback_rows(compressor, [Feedback(**ALARM, verdict="false", by="Ana")], 0)


def test_a_time_of_a_machine_that_counts_is_a_number():
    report = {"machine_id": "engine 7", "verdict": "false", "by": "Ana"}
    (row,) = feedback_rows(turbofan(), [Feedback(**report, alarm=120.0)], 0)
    assert plain_times([row.subject.place], turbofan()) == [120.0]
    with pytest.raises(Problem, match="alarm: is not a counter of this machine"):
        feedback_rows(turbofan(), [Feedback(**report, alarm="2024-03-01")], 0)


def test_reports_are_listed_in_pages(client):
    post(client, *({"reading_id": str(number), "verdict": "false", "by": "Ana"} for number in range(5)))
    found, page = [], client.get("/feedback?limit=2").json()
    while True:
        found += [one["reading_id"] for one in page["feedback"]]
        if page["next"] is None:
            break
        page = client.get(f"/feedback?limit=2&before={page['next']}").json()
    assert found == ["4", "3", "2", "1", "0"]


def test_predictions_with_feedback_are_a_source_of_the_next_training(make_client, tmp_path, monkeypatch):
    client = make_client(**ON)
    rows = [READING | {"reading_id": name} for name in "abc"]
    assert client.post("/predict/batch", json=rows, headers={"x-request-id": "r-1"}).status_code == 200
    post(
        client,
        {"reading_id": "a", "verdict": "confirmed", "failure_mode": "power_failure", "by": "Ana"},
        {"request_id": "r-1", "row": 3, "verdict": "false", "by": "Ana"},
    )
    wait_until_written(client)
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    frame = ingest((Source(uri="store://"),), MILLING).frame
    columns = ("reading_id", "machine_failure", "power_failure", "torque_nm")
    assert frame[list(columns)].values.tolist() == [
        ["a", 1, 1, READING["torque_nm"]],
        ["c", 0, 0, READING["torque_nm"]],
    ]


def test_a_report_is_refused_while_the_store_is_locked(make_client, tmp_path):
    client = make_client(store_timeout_seconds=0.1)
    report = {"reading_id": "a", "verdict": "false", "by": "Ana"}
    post(client, report)
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refusal = client.post("/feedback", json=report | {"verdict": "confirmed"})
        assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "1")
        other.execute("ROLLBACK")
    assert post(client, report | {"verdict": "confirmed"}) == {"changed": 1}
