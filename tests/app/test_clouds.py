"""The service under the names that SageMaker and Azure ML ask for, and with a model that lies in a folder."""

import csv
import io
import json
import time
from datetime import UTC, datetime

import pytest

from predictive_maintenance.machine.sensors import INPUT_NAMES
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion

from .conftest import READING

CSV, LINES = "text/csv", "application/jsonlines"


def invoke(client, body, kind="application/json", **headers):
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post("/invocations", content=content, headers={"content-type": kind, **headers})


@pytest.fixture
def probability(client):
    return client.post("/predict", json=READING).json()["failure_probability"]


def test_a_ping_is_answered_as_readiness_is(make_client, registry):
    assert make_client().get("/ping").status_code == 200
    registry.alias = None
    answer = make_client(model_cache="/nowhere").get("/ping")
    assert answer.status_code == 503
    assert "no version is in production" in answer.json()["detail"]


def test_a_ping_needs_no_key_and_an_invocation_does(make_client):
    client = make_client(api_key="key")
    assert client.get("/ping").status_code == 200
    assert invoke(client, READING).status_code == 401


@pytest.mark.parametrize("body", [READING, [READING], {name: [value] for name, value in READING.items()}])
def test_one_record_several_and_columns_are_read(client, body, probability):
    (row,) = csv.DictReader(io.StringIO(invoke(client, body, accept=CSV).text))
    assert float(row["failure_probability"]) == probability


def test_a_csv_is_read_with_a_header_and_without(client, probability):
    row = ",".join(str(READING[name]) for name in INPUT_NAMES)
    with_header = invoke(client, f"{','.join(INPUT_NAMES)}\n{row}\n{row}\n", CSV)
    without = invoke(client, f"{row}\r\n{row}\r\n", CSV)
    assert with_header.content == without.content
    assert with_header.headers["content-type"].startswith(CSV)
    assert len(without.text.splitlines()) == 3
    assert str(probability) in without.text


def test_json_lines_come_back_as_json_lines(client, probability):
    lines = [json.dumps(READING | {"reading_id": str(index)}) for index in range(3)]
    answer = invoke(client, "\n".join(lines) + "\n", LINES)
    assert answer.headers["content-type"].startswith(LINES)
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["reading_id"] for one in found] == ["0", "1", "2"]
    assert {one["failure_probability"] for one in found} == {probability}
    assert {one["model_version"] for one in found} == {"1"}


def test_a_bad_line_is_answered_in_its_place_and_the_others_are_scored(client):
    lines = [json.dumps(READING), json.dumps(READING | {"torque_nm": -3})]
    good, bad = map(json.loads, invoke(client, "\n".join(lines), LINES).text.splitlines())
    assert "failure_probability" in good
    assert bad["errors"][0]["field"] == "torque_nm"


def test_an_inference_id_is_passed_through(client):
    answer = invoke(client, READING, **{"X-Amzn-SageMaker-Inference-Id": "order-17"})
    assert answer.headers["X-Amzn-SageMaker-Inference-Id"] == "order-17"


@pytest.mark.parametrize(
    ("body", "kind", "accept", "status"),
    [
        ("{", "application/json", "*/*", 400),
        ("", "application/json", "*/*", 400),
        ("", CSV, "*/*", 422),
        (b"\xc2\xbc\r\xc3\x9e\x818", CSV, "*/*", 422),
        (b"M,\r\n\x00", CSV, "*/*", 422),
        ("", LINES, "*/*", 422),
        ("not json", LINES, "*/*", 400),
        ("x", "text/plain", "*/*", 415),
        (json.dumps(READING), "application/json", "image/png", 406),
        (json.dumps({name: [value] for name, value in READING.items()}), "application/json", LINES, 406),
    ],
)
def test_what_cannot_be_answered_is_a_problem_of_the_client(client, body, kind, accept, status):
    assert invoke(client, body, kind, accept=accept).status_code == status


def write_model(folder, files, version="7", run_id="run"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    note = ModelVersion(
        version=version,
        aliases=("production",),
        run_id=run_id,
        created=datetime.now(UTC),
        tags={"algorithm": "lightgbm"},
    )
    (folder / VERSION_FILE).write_text(note.to_json())


@pytest.mark.parametrize("below", ["", "unpacked"])
def test_a_model_in_a_folder_is_served_without_a_registry(make_client, registry, small, tmp_path, below):
    registry.down = "nobody asks it"
    write_model(tmp_path / "given" / below, small.files)
    client = make_client(model_dir=tmp_path / "given")
    assert client.get("/ping").status_code == 200
    assert client.post("/predict", json=READING).json()["model_version"] == "7"
    assert client.get("/model").json()["version"] == "7"


def test_a_folder_that_is_replaced_is_served_from_then_on(make_client, small, tmp_path):
    write_model(tmp_path / "given", small.files)
    client = make_client(model_dir=tmp_path / "given")
    write_model(tmp_path / "given", small.files, version="8", run_id="another")
    until = time.monotonic() + 10
    while client.get("/health").json()["serving_version"] != "8":
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / VERSION_FILE).unlink(), "holds no version.json: is it what `export` wrote?"),
        (lambda folder: (folder / VERSION_FILE).write_text("{}"), "cannot be read: not a version's note"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"damaged"), "version 7"),
    ],
)
def test_a_damaged_folder_is_told_and_nothing_is_served(make_client, small, tmp_path, damage, told):
    write_model(tmp_path / "given", small.files)
    damage(tmp_path / "given")
    answer = make_client(model_dir=tmp_path / "given").get("/ping")
    assert answer.status_code == 503
    assert told in answer.json()["detail"]
