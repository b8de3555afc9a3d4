"""Readings for the store: what is kept, with which history each is scored, and what is refused."""

import io
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.machine_json import to_json
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.run_to_failure import runs_to_failure

from .conftest import READING, MemoryRegistry, start_client
from .test_history import as_json

CSV = {"Content-Type": "text/csv", "Accept": "application/json"}


@pytest.fixture
def start(small_engine, engine_params, checked_files, tmp_path, enter):
    """A function that starts an application with an engine's model and the given settings, all with the same store."""

    def start(**settings):
        registry = MemoryRegistry(versions={"1": small_engine.files}, alias="1")
        return enter(start_client(registry, engine_params, tmp_path, checked_files, **settings))

    return start


@pytest.fixture
def client(start):
    return start()


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Readings of three engines, in no order."""
    return runs_to_failure(3, seed=8).head(60)


@pytest.fixture(scope="module")
def readings(table) -> list[dict]:
    return as_json(table)


@pytest.fixture(scope="module")
def expected(small_engine, table) -> list[float]:
    """The probability of each row of the table, scored as a whole."""
    return small_engine.scorer.probabilities(table).tolist()


def in_time_order(readings):
    return sorted(range(len(readings)), key=lambda row: readings[row]["timestamp"])


def probability(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["failure_probability"]


def probabilities(answer):
    assert answer.status_code == 200, answer.text
    return [row["failure_probability"] for row in answer.json()["predictions"]]


def kept_times(client, machine_id):
    return [reading["time"] for reading in client.get(f"/machines/{machine_id}").json()["latest"]]


@pytest.fixture
def one(readings):
    """A reading every hour of an engine that becomes warmer."""
    start = datetime(2024, 5, 1, 12, tzinfo=UTC)
    return [
        {
            "machine_id": "E7",
            "timestamp": (start + timedelta(hours=hours)).isoformat(),
            "heat": 500.0 + hours,
            "ratio": 0.5,
        }
        for hours in range(6)
    ]


def test_a_stream_of_readings_gets_the_probabilities_of_the_table(client, readings, expected):
    answers = {row: probability(client.post("/readings", json=readings[row])) for row in in_time_order(readings)}
    assert [answers[row] for row in range(len(readings))] == expected


def test_a_reading_is_answered_like_predict_with_its_history(client, one):
    for earlier in one[:-1]:
        client.post("/readings", json=earlier)
    kept = client.post("/readings", json=one[-1] | {"reading_id": "r1"}).json()
    history = [{name: earlier[name] for name in ("timestamp", "heat", "ratio")} for earlier in one[:-1]]
    assert kept == client.post("/predict", json=one[-1] | {"reading_id": "r1", "history": history}).json()


def test_a_late_reading_is_scored_with_what_was_before_it_and_is_in_later_windows(client, one):
    one[4]["heat"] = 540.0  # it would be in the window, if later readings were
    first = client.post("/readings", json=one[4])
    late = client.post("/readings", json=one[1])
    assert late.json() == client.post("/predict", json=one[1]).json()
    assert late.json()["warnings"] == first.json()["warnings"]
    state = client.get("/machines/E7").json()
    assert (state["readings"], state["time"]) == (2, "2024-05-01T16:00:00Z")
    last = client.post("/readings", json=one[5])
    assert last.json() == client.post("/predict", json=one[5] | {"history": [one[4], one[1]]}).json()


def test_a_repeated_reading_is_answered_again_and_kept_once(client, one):
    client.post("/readings", json=one[0])
    first = client.post("/readings", json=one[1])
    for same in (one[1], one[1] | {"timestamp": "2024-05-01T22:00:00+09:00"}, one[1] | {"reading_id": "sent again"}):
        again = client.post("/readings", json=same)
        assert again.json() == first.json() | {"reading_id": same.get("reading_id")}
    assert client.get("/machines/E7").json()["readings"] == 2
    metrics = client.get("/metrics").text
    assert 'pdm_readings_kept_total{outcome="repeated"} 3.0' in metrics
    assert 'pdm_readings_kept_total{outcome="new"} 2.0' in metrics


@pytest.mark.parametrize("change", [{"heat": 501.5}, {"ratio": 0.25}, {"ratio": None}])
def test_other_values_at_the_same_time_are_refused_and_the_kept_ones_stay(client, one, change):
    client.post("/readings", json=one[0])
    refusal = client.post("/readings", json=one[0] | change)
    assert refusal.status_code == 409
    assert refusal.json()["detail"] == (
        "timestamp: the store has a reading of this machine at this time with other values, which stays"
    )
    batch = client.post("/readings", json=[one[0] | change, one[1]]).json()
    assert batch["predictions"][0]["errors"][0]["field"] == "timestamp"
    assert "other values" in batch["predictions"][0]["errors"][0]["reason"]
    assert "errors" not in batch["predictions"][1]
    latest = client.get("/machines/E7").json()["latest"]
    assert [reading["values"] for reading in latest] == [{"heat": 501.0, "ratio": 0.5}, {"heat": 500.0, "ratio": 0.5}]


def test_a_machine_that_was_never_seen_is_created(client, one):
    assert client.get("/machines").json()["machines"] == []
    first = client.post("/readings", json=one[0]).json()
    assert first["warnings"] == ["there is no history: the reading is scored as the first one of its machine"]
    (machine,) = client.get("/machines").json()["machines"]
    assert machine.pop("received") >= "2024"
    assert machine == {
        "machine_id": "E7", "readings": 1, "alarm": None, "late_since": None, "time": "2024-05-01T12:00:00Z",
        "model_version": "1", "failure_probability": first["failure_probability"],
        "predicted_failure": first["predicted_failure"],
    }  # fmt: skip


def test_a_history_that_covers_the_windows_has_no_warning(client, one):
    for reading in one[:4]:
        client.post("/readings", json=reading)
    late = one[0] | {"timestamp": "2024-05-02T04:00:00Z"}  # the windows begin at 16:00 and with the last but one
    assert client.post("/readings", json=late).json()["warnings"] == []


def test_a_machine_whose_clock_went_back_is_shown_with_the_time_since_when(client, one):
    def late_since():
        return client.get("/machines/E7").json()["late_since"]

    client.post("/readings", json=one[3])
    assert late_since() is None
    before = datetime.now(UTC).replace(microsecond=0)
    client.post("/readings", json=one[0])
    since = late_since()
    assert before <= datetime.fromisoformat(since) <= datetime.now(UTC)
    client.post("/readings", json=one[1:3])
    assert late_since() == since
    (listed,) = client.get("/machines").json()["machines"]
    assert listed["late_since"] == since
    client.post("/readings", json=one[4])
    assert late_since() is None


@pytest.mark.parametrize("ahead", [10, 299])
def test_a_clock_may_be_a_little_ahead(client, one, ahead):
    soon = (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat()
    assert client.post("/readings", json=one[0] | {"timestamp": soon}).status_code == 200


def test_a_time_in_the_future_is_refused(start, one):
    client, later = start(max_clock_skew_seconds=60), (datetime.now(UTC) + timedelta(seconds=90)).isoformat()
    refusal = client.post("/readings", json=one[0] | {"timestamp": later})
    assert refusal.status_code == 422
    (error,) = refusal.json()["errors"]
    assert error["field"] == "timestamp"
    assert "s in the future; at most 60 s are allowed (PDM_MAX_CLOCK_SKEW_SECONDS)" in error["reason"]
    batch = client.post("/readings", json=[one[0] | {"timestamp": later}, one[1]]).json()
    assert "s in the future; at most 60 s" in batch["predictions"][0]["errors"][0]["reason"]
    assert kept_times(client, "E7") == ["2024-05-01T13:00:00Z"]
    assert client.post("/predict", json=one[0] | {"timestamp": later}).status_code == 200


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"heat": 5000.0}, "heat", "outside of the physical limits 0 to 1000 K"),
        ({"timestamp": "noon"}, "timestamp", "is not a time in ISO 8601, such as 2024-01-31T12:00:00Z"),
        ({"timestamp": "0001-01-01T00:00:00+10:00"}, "timestamp", "is not a time in ISO 8601"),
        ({"machine_id": ""}, "machine_id", "is empty"),
        ({"machine_id": "x" * 201}, "machine_id", ""),
        ({"machine_id": "a\0b"}, "machine_id", "has a character that databases do not store (NUL)"),
        ({"history": []}, "history", "is not a known field"),
    ],
)
def test_an_invalid_reading_is_refused_and_not_kept(client, one, change, field, reason):
    refusal = client.post("/readings", json=one[0] | change)
    assert refusal.status_code == 422
    assert refusal.json()["errors"][0]["field"] == field
    assert refusal.json()["errors"][0]["reason"].startswith(reason)
    batch = client.post("/readings", json=[one[0] | change]).json()
    assert batch["rejected_rows"] == 1
    assert client.get("/machines").json()["machines"] == []


@pytest.mark.parametrize("name", ["machine_id", "timestamp", "heat"])
def test_each_reading_needs_machine_time_and_required_sensors(client, one, name):
    del one[0][name]
    refusal = client.post("/readings", json=one[0])
    assert (refusal.status_code, refusal.json()["errors"]) == (
        422, [{"row": None, "field": name, "reason": "is missing"}],
    )  # fmt: skip


def test_one_request_in_any_order_gives_the_same_as_one_by_one(client, readings, expected):
    assert probabilities(client.post("/readings", json=readings)) == expected
    assert [machine["readings"] for machine in client.get("/machines").json()["machines"]] == [
        sum(reading["machine_id"] == name for reading in readings) for name in ("E0", "E1", "E2")
    ]


def test_a_batch_continues_what_the_store_has_and_may_fill_its_gaps(client, readings, expected):
    rows = in_time_order(readings)
    parts = (rows[1::3], rows[::3], rows[2::3])
    for part in parts:
        shuffled = random.Random(3).sample(part, len(part))
        answers = probabilities(client.post("/readings", json=[readings[row] for row in shuffled]))
    # The last part is scored with all others in the store.
    assert answers == [expected[row] for row in shuffled]
    # And each reading, sent again when all are there.
    assert [probability(client.post("/readings", json=reading)) for reading in readings[::7]] == expected[::7]


def test_equal_rows_of_one_request_are_one_reading(client, one):
    answer = client.post("/readings", json=[one[1], one[0], one[1] | {"reading_id": "again"}, one[0]]).json()
    found = [row["failure_probability"] for row in answer["predictions"]]
    assert (found[0], found[1]) == (found[2], found[3])
    assert answer["predictions"][2]["reading_id"] == "again"
    assert len(kept_times(client, "E7")) == 2


def test_rows_of_one_request_that_contradict_each_other_are_refused_all(client, one):
    answer = client.post("/readings", json=[one[0], one[0] | {"heat": 444.0}, one[1]]).json()
    assert [bool(row.get("errors")) for row in answer["predictions"]] == [True, True, False]
    assert kept_times(client, "E7") == ["2024-05-01T13:00:00Z"]


def test_a_request_may_be_a_table_of_any_format(client, table, expected):
    answer = client.post("/readings", content=table.to_csv(index=False), headers=CSV)
    assert probabilities(answer) == expected
    arrow, sink = pa.Table.from_pandas(table, preserve_index=False), io.BytesIO()
    pa.parquet.write_table(arrow, sink)
    parquet = {"Content-Type": "application/vnd.apache.parquet"}
    answer = client.post("/readings", content=sink.getvalue(), headers=parquet)
    found = pa.parquet.read_table(io.BytesIO(answer.content))["failure_probability"].to_numpy()
    np.testing.assert_array_equal(found, expected)
    texts = table.assign(timestamp=table["timestamp"].astype(str))
    columns = {name: [None if cell != cell else cell for cell in texts[name]] for name in texts}
    assert client.post("/readings", json=columns).json()["predictions"]["failure_probability"] == expected
    assert sum(machine["readings"] for machine in client.get("/machines").json()["machines"]) == len(table)


def test_an_answer_to_a_single_reading_is_json(client, one):
    refusal = client.post("/readings", json=one[0], headers={"Accept": "text/csv"})
    assert refusal.status_code == 406
    assert client.get("/machines").json()["machines"] == []


@pytest.mark.parametrize("body", ["[]", "{}", '{"heat": []}', "5", "{", '{"heat": [500.0, 501.0]'])
def test_a_body_without_readings_is_an_error(client, body):
    assert client.post("/readings", content=body).status_code in (400, 422)


def test_every_process_with_the_same_store_gives_the_same_answer(start, readings, expected):
    first, second = start(), start()
    rows = in_time_order(readings)
    found = [
        probability((first, second)[turn % 2].post("/readings", json=readings[row])) for turn, row in enumerate(rows)
    ]
    assert found == [expected[row] for row in rows]


def test_a_restart_loses_nothing(start, one):
    client = start()
    client.post("/readings", json=one[0])
    client.post("/readings", json=one[1:3])
    client.__exit__(None, None, None)
    assert len(kept_times(start(), "E7")) == 3


def test_what_was_received_long_ago_is_removed(start, one, tmp_path):
    client = start(store_retention_days=1)
    client.post("/readings", json=one[:3])
    client.__exit__(None, None, None)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE pdm_readings SET received = received - 86401 WHERE time < 1714568400000000")
    connection.close()
    client = start(store_retention_days=1)
    client.post("/readings", json=one[3])
    assert kept_times(client, "E7") == ["2024-05-01T15:00:00Z", "2024-05-01T14:00:00Z", "2024-05-01T13:00:00Z"]


def test_machines_come_in_pages(client, one):
    client.post("/readings", json=[one[0] | {"machine_id": f"E{number}"} for number in range(5)])
    page = client.get("/machines", params={"limit": 2}).json()
    assert [machine["machine_id"] for machine in page["machines"]] == ["E0", "E1"]
    found = []
    while page["next"]:
        page = client.get("/machines", params={"limit": 2, "after": page["next"]}).json()
        found += [machine["machine_id"] for machine in page["machines"]]
    assert found == ["E2", "E3", "E4"]


def test_a_machine_has_its_sensors_and_risk_over_time(client, one):
    answers = [client.post("/readings", json=reading).json() for reading in one]
    machine = client.get("/machines/E7", params={"limit": 2}).json()
    assert machine["model_name"] == "test_engine"
    assert [
        (reading["time"], reading["failure_probability"], reading["values"]["heat"]) for reading in machine["latest"]
    ] == [
        ("2024-05-01T17:00:00Z", answers[5]["failure_probability"], 505.0),
        ("2024-05-01T16:00:00Z", answers[4]["failure_probability"], 504.0),
    ]
    further = client.get("/machines/E7", params={"before": machine["latest"][-1]["time"]}).json()
    assert [reading["time"] for reading in further["latest"]][:1] == ["2024-05-01T15:00:00Z"]
    assert len(further["latest"]) == 4


def test_a_machine_may_have_any_id(client, one):
    for name in ("line 3/press 7", "größe", "a?b#c%", "'; DROP TABLE pdm_readings; --"):
        assert client.post("/readings", json=one[0] | {"machine_id": name}).status_code == 200
        assert client.get(f"/machines/{quote(name, safe='')}").json()["machine_id"] == name


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/machines/never-seen", 404),
        ("/machines/a%00b", 404),
        ("/machines/E7?before=noon", 422),
        ("/machines?limit=0", 422),
        ("/machines?after=%00", 422),
    ],
)
def test_a_question_that_has_no_answer_is_an_error(client, path, status):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_a_reading_without_a_value_of_a_formula_of_statistics_is_kept_and_not_scored(
    small_engine_without_value, checked_files, one, tmp_path
):
    registry = MemoryRegistry(versions={"1": small_engine_without_value.files}, alias="1")
    with start_client(registry, small_engine_without_value.params, tmp_path, checked_files) as client:
        first = client.post("/readings", json=one[0])
        assert first.status_code == 422
        assert first.json()["errors"][0]["field"] == "rise"
        assert first.json()["errors"][0]["reason"].endswith(
            "is not a finite number: the reading is kept, but has no prediction"
        )
        second = client.post("/readings", json=one[1])
        with_history = client.post("/predict", json=one[1] | {"history": [one[0]]})
        assert second.json() == with_history.json()
        others = [reading | {"machine_id": "E8"} for reading in one[:2]]
        batch = client.post("/readings", json=others).json()["predictions"]
        assert batch[0]["errors"][0]["field"] == "rise"
        assert batch[1]["failure_probability"] == second.json()["failure_probability"]
        machine = client.get("/machines/E8").json()
        assert (machine["readings"], machine["latest"][1]["failure_probability"]) == (2, None)
        assert client.post("/readings", json=one[0]).status_code == 422
        assert client.get("/machines/E7").json()["readings"] == 2


@pytest.fixture
def milling_client(make_client):
    return make_client()


SNAPSHOT = READING | {"machine_id": "M1", "timestamp": "2024-05-01T10:00:00Z"}


def test_readings_of_a_machine_without_history_are_kept_and_scored_as_by_predict(milling_client):
    answer = milling_client.post("/readings", json=SNAPSHOT)
    assert answer.status_code == 200, answer.text
    assert answer.json() == milling_client.post("/predict", json=READING).json()
    later = SNAPSHOT | {"timestamp": "2024-05-01T11:00:00Z", "torque_nm": READING["torque_nm"] + 1}
    batch = milling_client.post("/readings", json=[later, SNAPSHOT, later | {"machine_id": "M2"}]).json()
    alone = milling_client.post("/predict", json={name: later[name] for name in READING}).json()
    for row in (0, 2):
        assert batch["predictions"][row]["failure_probability"] == alone["failure_probability"]
    found = milling_client.get("/machines").json()["machines"]
    assert [(one["machine_id"], one["readings"], one["time"]) for one in found] == [
        ("M1", 2, "2024-05-01T11:00:00Z"), ("M2", 1, "2024-05-01T11:00:00Z"),
    ]  # fmt: skip
    log = milling_client.get("/machines/M1").json()["latest"]
    assert [one["time"] for one in log] == ["2024-05-01T11:00:00Z", "2024-05-01T10:00:00Z"]


def test_a_repeated_snapshot_is_kept_once_and_a_contradicting_one_is_refused(milling_client):
    for _ in range(2):
        milling_client.post("/readings", json=SNAPSHOT)
    assert milling_client.get("/machines/M1").json()["readings"] == 1
    other = SNAPSHOT | {"torque_nm": SNAPSHOT["torque_nm"] + 1}
    assert milling_client.post("/readings", json=other).status_code == 409


@pytest.mark.parametrize("name", ["machine_id", "timestamp"])
def test_a_snapshot_without_machine_or_time_is_refused_by_the_store_and_not_by_predict(milling_client, name):
    reading = {key: value for key, value in SNAPSHOT.items() if key != name}
    answer = milling_client.post("/readings", json=reading)
    assert answer.status_code == 422
    assert name in answer.json()["detail"]
    assert milling_client.post("/readings", json=[reading]).json()["predictions"][0]["errors"][0]["field"] == name
    assert milling_client.post("/predict", json=READING).status_code == 200
    assert milling_client.post("/predict", json=SNAPSHOT).status_code == 422


def test_a_machine_without_a_time_keeps_no_readings(small, params, checked_files, tmp_path, enter):
    placeless = Machine(MILLING.description.model_copy(update={"machine": None, "time": None}), MILLING.conversions)
    files = dict(small.files) | {"machine.json": to_json(placeless).encode()}
    registry = MemoryRegistry(versions={"1": files}, alias="1")
    client = enter(start_client(registry, params, tmp_path, checked_files))
    for answer in (
        client.post("/readings", json=READING),
        client.post("/readings", json=[READING]),
        client.get("/machines"),
        client.get("/machines/E1"),
        client.post("/events", json={}),
    ):
        assert answer.status_code == 409, answer.text
        assert "has no machine or no time, so that no readings are kept" in answer.json()["detail"]
    assert not (tmp_path / "store.db").exists()


def test_requests_that_need_no_store_do_not_open_it(client, one, tmp_path):
    assert client.post("/predict", json=one[0]).status_code == 200
    assert client.post("/predict/batch", json=one).status_code == 200
    for path in ("/health", "/ready", "/metrics", "/model", "/openapi.json"):
        assert client.get(path).status_code == 200
    assert not (tmp_path / "store.db").exists()


def test_the_store_needs_the_key_like_the_other_routes(start, one):
    client = start(api_key="secret")
    for answer in (client.post("/readings", json=one[0]), client.get("/machines"), client.get("/machines/E7")):
        assert answer.status_code == 401
    assert client.post("/readings", json=one[0], headers={"X-API-Key": "secret"}).status_code == 200


def test_the_examples_of_the_document_are_accepted(client):
    document = client.get("/openapi.json").json()
    content = document["paths"]["/readings"]["post"]["requestBody"]["content"]["application/json"]
    assert set(content["examples"]) == {"reading", "records", "columns"}
    for example in content["examples"].values():
        assert client.post("/readings", json=example["value"]).status_code == 200
