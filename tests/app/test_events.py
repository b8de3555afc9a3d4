"""The API serves a machine with tables of events: a reading or a batch with its events, explanations, errors."""

import json

import pytest

from tests.fixtures.pumps import pump

from .conftest import MemoryRegistry, start_client

MACHINE = pump()
INPUTS = ("machine_id", "timestamp", "make", "flow", "heat", "age")


@pytest.fixture(scope="module")
def client(small_pump, pump_params, checked_files, tmp_path_factory):
    registry = MemoryRegistry(versions={"1": small_pump.files}, alias="1")
    folder = tmp_path_factory.mktemp("pump client")
    with start_client(registry, pump_params, folder, checked_files) as client:
        yield client


@pytest.fixture(scope="module")
def rows(small_pump):
    """The held-out readings of two pumps in time order, without features."""
    test = small_pump.rows.test
    names = test["machine_id"].unique()[:2]
    own = test.loc[test["machine_id"].isin(names), list(INPUTS)]
    return own.sort_values(["machine_id", "timestamp"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def events(small_pump, rows):
    tables = {name: small_pump.rows.events[name] for name in MACHINE.event_tables}
    return {name: table[table["machine_id"].isin(rows["machine_id"])] for name, table in tables.items()}


@pytest.fixture(scope="module")
def expected(small_pump, rows, events):
    return small_pump.scorer.probabilities(rows, events).tolist()


def as_json(frame):
    texts = frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return [{name: value for name, value in row.items() if value == value} for row in texts.to_dict("records")]


@pytest.fixture(scope="module")
def reading(rows, events):
    """The last reading of the second pump with its history and its events."""
    *history, last = as_json(rows[rows["machine_id"] == rows["machine_id"].iloc[-1]])
    own = {name: table[table["machine_id"] == last["machine_id"]] for name, table in events.items()}
    unnamed = {name: as_json(table.drop(columns="machine_id")) for name, table in own.items()}
    return last | {"history": history, "events": unnamed}


def test_a_reading_with_its_events_gets_the_probability_of_the_table(client, reading, expected):
    assert client.post("/predict", json=reading).json()["failure_probability"] == expected[-1]
    without = reading | {"events": {"service": reading["events"]["service"]}}
    assert client.post("/predict", json=without).json()["failure_probability"] != expected[-1]


def test_a_batch_of_records_with_events_gets_the_probabilities_of_the_table(client, rows, events, expected):
    body = {"readings": as_json(rows), "events": {name: as_json(table) for name, table in events.items()}}
    answer = client.post("/predict/batch", json=body).json()
    assert answer["rejected_rows"] == 0
    assert [row["failure_probability"] for row in answer["predictions"]] == expected


JSON = {"Content-Type": "application/json"}


def test_events_of_another_machine_have_no_effect_also_beside_events_that_name_none(client, reading, expected):
    name = reading["machine_id"]
    others = [event | {"machine_id": "another"} for event in reading["events"]["errors"]]
    own = [event | ({"machine_id": name} if row % 2 else {}) for row, event in enumerate(reading["events"]["errors"])]
    for errors in (others + reading["events"]["errors"], others + own):
        answer = client.post("/predict", json=reading | {"events": reading["events"] | {"errors": errors}})
        assert answer.json()["failure_probability"] == expected[-1]


def test_events_that_name_a_machine_need_a_reading_that_does(client, reading):
    unnamed = {name: value for name, value in reading.items() if name not in ("machine_id", "history")}
    assert client.post("/predict", json=unnamed).status_code == 200
    errors = [event | {"machine_id": "P1"} for event in reading["events"]["errors"]]
    answer = client.post("/predict", json=unnamed | {"events": {"errors": errors}})
    detail = "events: errors: events name their machine: the reading needs its machine_id, too"
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)


def test_a_repeated_key_of_an_event_is_refused_with_its_place(client, reading, rows, events):
    repeated = '"events": {"errors": [{"timestamp": "2024-01-01T00:00:00Z", '
    body = json.dumps(reading).replace('"events": {"errors": [{', repeated, 1)
    answer = client.post("/predict", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (422, "events.errors.0.timestamp: appears more than once")
    tables = {name: as_json(table) for name, table in events.items()}
    body = json.dumps({"readings": as_json(rows), "events": tables}).replace('"events": {"errors": [{', repeated, 1)
    answer = client.post("/predict/batch", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (422, "events.errors.0.timestamp: appears more than once")


@pytest.mark.parametrize("part", ['"readings": []', '"events": {}'])
def test_a_batch_with_readings_or_events_twice_is_refused(client, rows, part):
    body = json.dumps({"readings": as_json(rows), "events": {}})
    answer = client.post("/predict/batch", content=f"{{{part}, {body[1:]}", headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (422, "readings or events appears more than once")


def test_columns_are_still_a_batch(client, rows, small_pump):
    columns = {name: list(values) for name, values in rows.items()}
    columns["timestamp"] = rows["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").tolist()
    columns["heat"] = [None if value != value else value for value in columns["heat"]]
    answer = client.post("/predict/batch", json=columns).json()
    assert answer["predictions"]["failure_probability"] == small_pump.scorer.probabilities(rows).tolist()


def test_an_explanation_has_a_part_for_each_table_of_events(client, reading):
    answer = client.post("/predict?explain=true", json=reading).json()
    parts = {part["sensor"]: part for part in answer["explanation"]["contributions"]}
    assert set(parts) == {"flow", "heat", "age", "errors", "service"}  # the reference readings have the same make
    assert parts["errors"]["label"] == "Errors"
    assert parts["errors"]["value"] is None
    total = answer["explanation"]["base_probability"] + sum(part["contribution"] for part in parts.values())
    assert total == pytest.approx(answer["failure_probability"])


def test_an_explanation_names_sensor_and_window_together(client, reading):
    answer = client.post("/predict?explain=true", json=reading).json()
    found = {part["sensor"]: part for part in answer["explanation"]["contributions"]}
    assert {name for name, part in found.items() if "parts" in part} == {"flow", "heat", "errors", "service"}
    labels = {part["label"] for part in found["heat"]["parts"]}
    assert labels == {"Heat, current value", "Heat, mean of 12 h", "Heat, last difference of 12 h"}
    assert "Errors, count of 48 h" in {part["label"] for part in found["errors"]["parts"]}
    for part in found.values():
        divided = part.get("parts", [])
        if divided:
            assert sum(one["contribution"] for one in divided) == pytest.approx(part["contribution"], abs=1e-9)
            sizes = [abs(one["contribution"]) for one in divided]
            assert sizes == sorted(sizes, reverse=True)
    values = {part["name"]: part["value"] for part in found["heat"]["parts"]}
    assert values["heat"] == reading.get("heat")


def test_a_what_if_analysis_keeps_the_events(client, reading):
    probability = client.post("/predict", json=reading).json()["failure_probability"]
    answer = client.post("/predict/what-if", json=reading).json()
    assert answer["failure_probability"] == probability
    (curve,) = [curve for curve in answer["curves"] if curve["sensor"] == "flow"]
    own = curve["values"].index(curve["value"])
    assert curve["probabilities"][own] == pytest.approx(probability)


EVENT = {"timestamp": "2024-01-02T10:00:00Z", "type": "low flow"}


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"error": []}, "events.error", "is not a known field"),
        ({"errors": [EVENT | {"type": "hot"}]}, "events.errors.0.type", "'low flow' or 'over-heat'"),
        ({"errors": [{"type": "low flow"}]}, "events.errors.0.timestamp", "missing"),
        ({"errors": [EVENT | {"timestamp": "soon"}]}, "events", "column timestamp is not a time"),
    ],
)
def test_an_invalid_event_of_a_reading_is_named(client, reading, given, field, reason):
    answer = client.post("/predict", json=reading | {"events": given})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"errors": [EVENT]}, "events.errors.0.machine_id", "missing"),
        ({"errors": [EVENT | {"machine_id": "P1", "timestamp": "soon"}]}, "events", "column timestamp is not a time"),
        ({"errors": {}}, "events.errors", "list"),
    ],
)
def test_an_invalid_event_of_a_batch_is_named(client, rows, given, field, reason):
    answer = client.post("/predict/batch", json={"readings": as_json(rows[:2]), "events": given})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert reason in error["reason"]


def test_repeated_keys_in_events_are_refused(client, rows):
    readings = str(as_json(rows[:1])).replace("'", '"')
    body = f'{{"readings": {readings}, "events": {{"errors": [], "errors": []}}}}'
    answer = client.post("/predict/batch", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "events.errors"


def test_events_need_the_time_of_the_reading(client):
    reading = {"make": "A", "flow": 50.0, "events": {"errors": [EVENT]}}
    answer = client.post("/predict", json=reading)
    assert answer.status_code == 422
    assert "timestamp is missing: events are before or after the time of the reading" in answer.text


def test_the_document_describes_the_events(client):
    document = client.get("/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "events" in body["properties"]
    shapes = document["paths"]["/predict/batch"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "anyOf"
    ]
    assert [list(shape.get("properties", [])) for shape in shapes][2] == ["readings", "events"]
