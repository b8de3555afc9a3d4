"""The API serves a machine unlike milling: no category, no id, no time, optional sensors, values of 1e-4 and 1e6."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from app.http.media_types import TABLES
from app.routes.batches import warnings_header
from tests.fixtures.machines import records

from .conftest import MemoryRegistry, start_client


@pytest.fixture(scope="module")
def client(small_compressor, compressor_params, checked_files, tmp_path_factory):
    registry = MemoryRegistry(versions={"1": small_compressor.files}, alias="1")
    folder = tmp_path_factory.mktemp("compressor client")
    with start_client(registry, compressor_params, folder, checked_files) as client:
        yield client


@pytest.fixture(scope="module")
def rows(small_compressor):
    """200 held-out readings, of which some lack optional sensors."""
    names = list(small_compressor.scorer.machine.input_names)
    return small_compressor.rows.test[names].head(200).reset_index(drop=True)


@pytest.fixture(scope="module")
def expected(small_compressor, rows):
    return small_compressor.scorer.probabilities(rows).tolist()


def test_a_reading_may_lack_optional_sensors_or_have_null(client, rows, expected):
    for reading, probability in zip(records(rows), expected, strict=True):
        for body in (reading, dict.fromkeys(rows) | reading):
            answer = client.post("/predict", json=body)
            assert (answer.status_code, answer.json()["failure_probability"]) == (200, probability)


def test_a_batch_gets_the_probabilities_of_its_readings(client, rows, expected):
    as_records = client.post("/predict/batch", json=records(rows)).json()
    assert [answer["failure_probability"] for answer in as_records["predictions"]] == expected
    columns = {name: [None if value != value else value for value in rows[name].tolist()] for name in rows}
    assert client.post("/predict/batch", json=columns).json()["predictions"]["failure_probability"] == expected
    headers = {"Content-Type": "text/csv", "Accept": "application/json"}
    table = client.post("/predict/batch", content=rows.to_csv(index=False), headers=headers).json()
    assert [answer["failure_probability"] for answer in table["predictions"]] == expected


def test_a_table_may_have_other_headers_and_units(client, rows, expected):
    table = rows.rename(columns={"clearance_m": "Gap [mm]", "inlet_pa": "P1 [bar]"})
    table["Gap [mm]"] *= 1000
    table["P1 [bar]"] /= 1e5
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    answer = client.post("/predict/batch", content=table.to_csv(index=False), headers=headers)
    found = pd.read_csv(io.StringIO(answer.text))["failure_probability"]
    assert np.isclose(found, expected, atol=1e-3).mean() > 0.98  # a converted value can be on the other side of a split


def test_a_reading_without_a_required_sensor_is_refused_by_name(client, rows):
    reading = {name: value for name, value in records(rows)[0].items() if name != "strokes"}
    answer = client.post("/predict", json=reading)
    assert (answer.status_code, answer.json()["detail"]) == (422, "strokes: is missing")


def test_a_small_value_outside_its_range_is_refused_with_the_range_in_full(client, rows):
    answer = client.post("/predict", json=records(rows)[0] | {"clearance_m": 9e-6, "inlet_pa": 2.1e6})
    assert answer.json()["detail"] == (
        "clearance_m: outside of the physical limits 1e-05 to 0.0009 m; "
        "inlet_pa: outside of the physical limits 20000 to 2000000 Pa"
    )


def test_a_reading_for_which_a_formula_has_no_value_is_refused_with_the_formula(client, rows):
    reading = records(rows)[0] | {"outlet_pa": records(rows)[0]["inlet_pa"]}
    expected = {"field": "inverse_rise", "reason": "1 / rise_pa is not a finite number"}
    for path, body in (
        ("/predict", reading),
        ("/predict", dict.fromkeys(rows) | reading),
        ("/predict/what-if", reading),
    ):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["errors"]) == (422, [{"row": None, **expected}])
    batch = client.post("/predict/batch", json=[reading, records(rows)[1]]).json()
    assert batch["predictions"][0] == {"row": 1, "errors": [expected]}


@pytest.mark.parametrize("columnar", [False, True])
def test_a_row_has_its_cells_that_do_not_parse_its_values_outside_of_their_ranges_and_its_formula(
    client, rows, columnar
):
    first = dict.fromkeys(rows) | records(rows)[0]
    bad = first | {"oil_degc": "hot", "strokes": 3.1e9, "outlet_pa": first["inlet_pa"]}
    body = {name: [first[name], bad[name]] for name in rows} if columnar else [first, bad]
    answer = client.post("/predict/batch", json=body).json()["predictions"]
    errors = answer["errors"][1] if columnar else answer[1]["errors"]
    assert [error["field"] for error in errors] == ["oil_degc", "strokes", "inverse_rise"]


def test_a_batch_that_lacks_an_optional_sensor_is_scored_with_a_warning(client, rows):
    answer = client.post("/predict/batch", json=records(rows.drop(columns="oil_degc"))).json()
    assert answer["rejected_rows"] == 0
    assert answer["warnings"][0].startswith("Oil temperature is missing in 100% of the 200 scored rows, but in ")


@pytest.mark.parametrize("answer_type", TABLES)
def test_the_warnings_of_a_batch_are_in_a_header_of_an_answer_that_is_a_table(client, rows, answer_type):
    body = json.dumps(records(rows.drop(columns="oil_degc")))
    headers = {"content-type": "application/json"}
    warnings = client.post("/predict/batch", content=body, headers=headers).json()["warnings"]
    answer = client.post("/predict/batch", content=body, headers=headers | {"accept": answer_type})
    assert json.loads(answer.headers["x-warnings"]) == warnings
    complete = client.post("/predict/batch", json=records(rows), headers={"accept": answer_type})
    assert complete.status_code == 200
    assert "x-warnings" not in complete.headers


def test_the_header_has_ascii_only_and_the_first_ten_warnings():
    value = warnings_header([f"température {number}" for number in range(12)])
    assert value.isascii()
    assert json.loads(value) == [
        *(f"température {number}" for number in range(10)),
        "and 2 more: a JSON answer has all",
    ]


@pytest.fixture
def oil_never_missing(small_compressor, compressor_params, checked_files, tmp_path):
    """A client of a model in whose training rows the oil temperature was never missing. The vibration was in 30 %."""
    spec = json.loads(small_compressor.files["scorer.json"])
    spec["missing_shares"]["oil_degc"] = 0.0
    files = small_compressor.files | {"scorer.json": json.dumps(spec).encode()}
    registry = MemoryRegistry(versions={"1": files}, alias="1")
    with start_client(registry, compressor_params, tmp_path, checked_files) as client:
        yield client


MISSING_OIL = (
    "Oil temperature is missing here, but in only 0.0% of the rows that the model was trained on: the answer may be less "
    "accurate"
)


def test_a_reading_without_a_sensor_that_was_never_missing_in_training_has_a_warning(
    oil_never_missing, compressor_params
):
    healthy = compressor_params.machine.description.examples["healthy"].reading
    complete = {**healthy, "vibration_mm_s": 5.0, "humidity": 0.5}
    bodies = {
        "complete": complete,
        "null": complete | {"oil_degc": None},
        "left out": {name: value for name, value in complete.items() if name != "oil_degc"},
        "often missing": {name: value for name, value in complete.items() if name != "vibration_mm_s"},
    }
    warnings = {name: oil_never_missing.post("/predict", json=body).json()["warnings"] for name, body in bodies.items()}
    assert warnings == {"complete": [], "null": [MISSING_OIL], "left out": [MISSING_OIL], "often missing": []}


def test_a_row_of_a_batch_has_the_warnings_of_its_reading(oil_never_missing, rows):
    readings = records(rows)
    answers = oil_never_missing.post("/predict/batch", json=readings).json()["predictions"]
    singles = [oil_never_missing.post("/predict", json=reading).json() for reading in readings]
    assert [answer["warnings"] for answer in answers] == [single["warnings"] for single in singles]
    assert any(single["warnings"] == [MISSING_OIL] for single in singles)


def test_an_explanation_has_a_contribution_of_each_sensor_also_of_a_missing_one(client, rows, small_compressor):
    reading = {name: records(rows)[0][name] for name in small_compressor.scorer.machine.required_sensor_names}
    explanation = client.post("/predict?explain=true", json=reading).json()["explanation"]
    values = {part["sensor"]: part["value"] for part in explanation["contributions"]}
    assert set(values) == set(small_compressor.scorer.machine.sensor_names)
    assert values["oil_degc"] is None
    assert client.post("/predict/what-if", json=reading).status_code == 200


def test_the_document_has_the_fields_ranges_and_examples_of_the_served_machine(client):
    document = client.get("/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    schema = body["schema"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert schema["required"] == ["clearance_m", "inlet_pa", "outlet_pa", "strokes"]
    clearance = schema["properties"]["clearance_m"]
    assert (clearance["minimum"], clearance["maximum"]) == (1e-5, 9e-4)
    assert "product_type" not in schema["properties"]
    for example in body["examples"].values():
        assert client.post("/predict", json=example["value"]).status_code == 200


def test_before_a_version_is_served_the_document_is_about_the_machine_of_the_settings(
    compressor_params, checked_files, tmp_path
):
    with start_client(MemoryRegistry(), compressor_params, tmp_path, checked_files, registry_wait_seconds=0) as client:
        assert client.get("/ready").status_code == 503
        document = client.get("/openapi.json").json()
    (schema,) = [
        body["schema"]
        for kind, body in document["paths"]["/predict"]["post"]["requestBody"]["content"].items()
        if kind == "application/json"
    ]
    assert "clearance_m" in schema["properties"]


def test_invocations_take_a_table_with_and_without_header_also_if_the_first_reading_lacks_sensors(
    client, rows, expected
):
    first = next(row for row in range(len(rows)) if rows.loc[row].isna().any())
    table = rows.iloc[first:].reset_index(drop=True)
    headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
    for header in (True, False):
        answer = client.post("/invocations", content=table.to_csv(index=False, header=header), headers=headers)
        assert answer.status_code == 200, answer.text
        found = pd.read_csv(io.StringIO(answer.text))
        assert found["failure_probability"].tolist() == expected[first:]
