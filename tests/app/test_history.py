"""The API serves a machine with history: readings with earlier ones beside them, and batches with many rows a machine."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.fixtures.run_to_failure import FORMULA_WITHOUT_VALUE, runs_to_failure

from .conftest import MemoryRegistry, start_client

CSV = {"Content-Type": "text/csv", "Accept": "text/csv"}
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def client(small_engine, engine_params, checked_files, tmp_path_factory):
    registry = MemoryRegistry(versions={"1": small_engine.files}, alias="1")
    folder = tmp_path_factory.mktemp("engine client")
    with start_client(registry, engine_params, folder, checked_files) as client:
        yield client


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Readings of two engines, in no order."""
    return runs_to_failure(2, seed=8)


@pytest.fixture(scope="module")
def expected(small_engine, table) -> np.ndarray:
    return small_engine.scorer.probabilities(table)


def as_json(rows: pd.DataFrame) -> list[dict]:
    """The rows as readings of a request, without missing values."""
    texts = rows.assign(timestamp=rows["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return [{name: value for name, value in row.items() if value == value} for row in texts.to_dict("records")]


@pytest.fixture(scope="module")
def reading(table) -> dict:
    """The last reading of an engine with all earlier ones as its history, the latest first."""
    rows = table[table["machine_id"] == "E1"].sort_values("timestamp", ascending=False)
    last, *history = as_json(rows)
    return last | {"history": history}


def test_a_reading_with_its_history_gets_the_probability_of_the_table(client, table, expected, reading):
    last = table[table["machine_id"] == "E1"]["timestamp"].idxmax()
    answer = client.post("/predict", json=reading).json()
    assert answer["failure_probability"] == expected[last]
    assert answer["warnings"] == []


def test_a_repeated_key_of_an_earlier_reading_is_refused_with_its_place(client, reading):
    body = json.dumps(reading).replace('"history": [{', '"history": [{"machine_id": "E1", ', 1)
    answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "history.0.machine_id: appears more than once"


def test_the_history_may_have_other_zones_and_no_machine(client, expected, table, reading):
    history = [
        {name: value for name, value in earlier.items() if name != "machine_id"}
        | {"timestamp": pd.Timestamp(earlier["timestamp"]).tz_convert("Asia/Tokyo").isoformat()}
        for earlier in reading["history"]
    ]
    answer = client.post("/predict", json=reading | {"history": history}).json()
    assert answer["failure_probability"] == expected[table[table["machine_id"] == "E1"]["timestamp"].idxmax()]


@pytest.mark.parametrize(
    ("count", "warning"),
    [
        (0, "there is no history: the reading is scored as the first one of its machine"),
        (2, "the history is shorter than the longest window: its statistics are of fewer readings"),
    ],
)
def test_too_little_history_is_a_warning(client, reading, count, warning):
    answer = client.post("/predict", json=reading | {"history": reading["history"][:count]})
    assert (answer.status_code, answer.json()["warnings"]) == (200, [warning])


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"timestamp": "2023-01-01T00:00:00Z"}, "history: reading 1 is later than the reading that is scored"),
        ({"timestamp": "noon"}, "history: column timestamp is not a time: Invalid isoformat string: 'noon'"),
        ({"machine_id": "E2"}, "history: machine_id differs: 'E1', 'E2'; send readings of one machine"),
        ({"history": [{"heat": 500.0}]}, "history.0.timestamp: is missing"),
        (
            {"history": [{"heat": 5000.0, "timestamp": "2023-12-01T00:00:00Z"}]},
            "history.0.heat: outside of the physical limits",
        ),
        (
            {"history": [{"heat": 500.0, "timestamp": "2023-12-01T00:00:00Z", "heet": 1.0}]},
            "history.0.heet: is not a known field",
        ),
        ({"history": 5}, "history: should be a list"),
        ({"histori": []}, "histori: is not a known field; did you mean history?"),
    ],
)
def test_a_history_that_cannot_be_used_is_refused_with_the_reason(client, reading, change, detail):
    answer = client.post("/predict", json=reading | change)
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]


def test_a_batch_in_any_format_gets_the_probabilities_of_the_table(client, table, expected):
    records = client.post("/predict/batch", json=as_json(table)).json()
    assert [answer["failure_probability"] for answer in records["predictions"]] == expected.tolist()
    texts = table.assign(timestamp=table["timestamp"].astype(str))
    columns = {name: [None if cell != cell else cell for cell in texts[name]] for name in texts}
    assert client.post("/predict/batch", json=columns).json()["predictions"]["failure_probability"] == expected.tolist()
    answer = client.post("/predict/batch", content=table.to_csv(index=False), headers=CSV)
    np.testing.assert_array_equal(pd.read_csv(io.StringIO(answer.text))["failure_probability"], expected)
    sink = io.BytesIO()
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with pa.ipc.new_stream(sink, arrow.schema) as stream:
        stream.write_table(arrow)
    answer = client.post(
        "/predict/batch", content=sink.getvalue(), headers={"Content-Type": ARROW, "Accept": "application/json"}
    ).json()
    assert [answer["failure_probability"] for answer in answer["predictions"]] == expected.tolist()


def test_an_invalid_row_of_a_batch_is_in_no_window(client, small_engine, table):
    readings = as_json(table)
    readings[3]["heat"] = 5000.0
    readings[4]["timestamp"] = "yesterday"
    del readings[5]["machine_id"]
    readings += [readings[6] | {"heat": 444.0}]
    answer = client.post("/predict/batch", json=readings).json()
    rejected = {row["row"]: row["errors"][0] for row in answer["predictions"] if "errors" in row}
    assert {row: (error["field"], error["reason"][:30]) for row, error in rejected.items()} == {
        4: ("heat", "outside of the physical limits"),
        5: ("timestamp", "is not a time in ISO 8601, suc"),
        6: ("machine_id", "is missing"),
        7: ("timestamp", "also the time of another readi"),
        len(readings): ("timestamp", "also the time of another readi"),
    }
    good = table.drop(index=[3, 4, 5, 6])
    probabilities = [row["failure_probability"] for row in answer["predictions"] if "errors" not in row]
    assert probabilities == small_engine.scorer.probabilities(good).tolist()


def test_a_batch_without_a_valid_row_is_answered(client, table):
    readings = [reading | {"timestamp": "?"} for reading in as_json(table)[:3]]
    answer = client.post("/predict/batch", json=readings)
    assert (answer.status_code, answer.json()["rejected_rows"]) == (200, 3)


def test_an_explanation_adds_up_and_counts_the_windows_with_their_sensor(client, reading):
    answer = client.post("/predict?explain=true", json=reading).json()
    explanation = answer["explanation"]
    parts = {part["sensor"]: part["contribution"] for part in explanation["contributions"]}
    assert set(parts) == {"heat", "ratio"}
    assert explanation["base_probability"] + sum(parts.values()) == pytest.approx(
        answer["failure_probability"], abs=1e-9
    )
    assert parts["heat"] > abs(parts["ratio"])


def test_what_if_changes_the_current_value_within_the_history(client, reading):
    curves = client.post("/predict/what-if", json=reading).json()["curves"]
    heat = next(curve for curve in curves if curve["sensor"] == "heat")
    for place in (0, len(heat["values"]) // 2, -1):
        changed = client.post("/predict", json=reading | {"heat": heat["values"][place]}).json()
        assert changed["failure_probability"] == heat["probabilities"][place]


def test_the_document_has_machine_time_and_history(client):
    document = client.get("/openapi.json").json()
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert set(content["schema"]["required"]) == {"heat"}
    assert content["schema"]["properties"]["history"]["type"] == "array"
    batch = document["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["application/json"]
    records, columns = batch["schema"]["anyOf"]
    assert set(records["items"]["required"]) == {"machine_id", "timestamp", "heat"} == set(columns["required"])
    for example in content["examples"].values():
        assert client.post("/predict", json=example["value"]).status_code == 200
    for example in batch["examples"].values():
        assert client.post("/predict/batch", json=example["value"]).json()["rejected_rows"] == 0


def test_invocations_take_records_lines_and_csv_with_a_header(client, table, expected):
    answer = client.post("/invocations", content=table.to_csv(index=False), headers=CSV)
    np.testing.assert_array_equal(pd.read_csv(io.StringIO(answer.text))["failure_probability"], expected)
    records = client.post("/invocations", json=as_json(table)).json()
    assert [answer["failure_probability"] for answer in records["predictions"]] == expected.tolist()


def test_a_row_without_a_value_of_a_formula_of_statistics_is_rejected(
    small_engine_without_value, checked_files, table, tmp_path
):
    registry = MemoryRegistry(versions={"1": small_engine_without_value.files}, alias="1")
    expected = {"field": "rise", "reason": f"{FORMULA_WITHOUT_VALUE} is not a finite number"}
    with start_client(registry, small_engine_without_value.params, tmp_path, checked_files) as client:
        rows = table.sort_values("timestamp")
        batch = client.post("/predict/batch", json=as_json(rows)).json()
        assert batch["predictions"][0]["errors"] == [expected]
        alone = client.post("/predict", json=as_json(rows)[0])
        assert (alone.status_code, alone.json()["errors"]) == (422, [{"row": None} | expected])


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_beyond_the_calendar_is_an_error_of_its_row(client, reading, moment):
    assert client.post("/predict", json=reading | {"timestamp": moment}).status_code == 422
    batch = [{name: value for name, value in reading.items() if name != "history"} | {"timestamp": moment}]
    assert client.post("/predict/batch", json=batch).json()["rejected_rows"] == 1
