"""The routes that SageMaker and Azure ML call, and a model in a folder instead of a registry."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion

from .conftest import READING, wait_until

CSV, LINES = "text/csv", "application/jsonlines"


@pytest.fixture
def client(shared_client):
    return shared_client


def invoke(client, body, content_type="application/json", **headers):
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post("/invocations", content=content, headers={"content-type": content_type, **headers})


@pytest.fixture
def probability(client):
    return client.post("/predict", json=READING).json()["failure_probability"]


def test_a_ping_reports_readiness(make_client, registry, tmp_path):
    assert make_client().get("/ping").status_code == 200
    registry.alias = None
    answer = make_client(model_cache=str(tmp_path / "empty cache")).get("/ping")
    assert answer.status_code == 503
    assert "no version is in production" in answer.json()["detail"]


def test_a_ping_needs_no_key_and_an_invocation_does(make_client):
    client = make_client(api_key="key")
    assert client.get("/ping").status_code == 200
    assert invoke(client, READING).status_code == 401


@pytest.mark.parametrize("body", [READING, [READING], {name: [value] for name, value in READING.items()}])
def test_one_record_several_records_and_columns_are_accepted(client, body, probability):
    (row,) = csv.DictReader(io.StringIO(invoke(client, body, accept=CSV).text))
    assert float(row["failure_probability"]) == probability


def test_a_csv_is_accepted_with_and_without_a_header(client, probability):
    row = ",".join(str(READING[name]) for name in MILLING.input_names)
    with_header = invoke(client, f"{','.join(MILLING.input_names)}\n{row}\n{row}\n", CSV)
    without = invoke(client, f"{row}\r\n{row}\r\n", CSV)
    assert with_header.content == without.content
    assert with_header.headers["content-type"].startswith(CSV)
    assert len(without.text.splitlines()) == 3
    assert str(probability) in without.text


def test_json_lines_are_answered_as_json_lines(client, probability):
    lines = [json.dumps(READING | {"reading_id": str(index)}) for index in range(3)]
    response = invoke(client, "\n".join(lines) + "\n", LINES)
    assert response.headers["content-type"].startswith(LINES)
    answers = [json.loads(line) for line in response.text.splitlines()]
    assert [answer["reading_id"] for answer in answers] == ["0", "1", "2"]
    assert {answer["failure_probability"] for answer in answers} == {probability}
    assert {answer["model_version"] for answer in answers} == {"1"}


def test_an_invalid_line_has_its_errors_and_the_other_lines_are_scored(client):
    lines = [json.dumps(READING), json.dumps(READING | {"torque_nm": -3})]
    good, bad = map(json.loads, invoke(client, "\n".join(lines), LINES).text.splitlines())
    assert "failure_probability" in good
    assert bad["errors"][0]["field"] == "torque_nm"


def test_an_inference_id_is_returned_with_the_answer(client):
    answer = invoke(client, READING, **{"X-Amzn-SageMaker-Inference-Id": "order-17"})
    assert answer.headers["X-Amzn-SageMaker-Inference-Id"] == "order-17"


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
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
def test_an_invalid_request_gets_a_client_error(client, body, content_type, accept, status):
    assert invoke(client, body, content_type, accept=accept).status_code == status


def write_model(folder, files, version="7", run_id="run"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    recorded = ModelVersion(
        version=version,
        aliases=("production",),
        run_id=run_id,
        created=datetime.now(UTC),
        tags={"algorithm": "lightgbm"},
    )
    (folder / VERSION_FILE).write_text(recorded.to_json())


@pytest.mark.parametrize("below", ["", "unpacked"])
def test_a_model_in_a_folder_is_served_without_a_registry(make_client, registry, small, tmp_path, below):
    registry.down = "not used"
    write_model(tmp_path / "model" / below, small.files)
    client = make_client(model_dir=tmp_path / "model")
    assert client.get("/ping").status_code == 200
    assert client.post("/predict", json=READING).json()["model_version"] == "7"
    assert client.get("/model").json()["version"] == "7"


def test_a_model_that_replaces_the_one_in_the_folder_is_served(make_client, small, tmp_path):
    write_model(tmp_path / "model", small.files)
    client = make_client(model_dir=tmp_path / "model")
    write_model(tmp_path / "model", small.files, version="8", run_id="another")
    wait_until(lambda: client.get("/health").json()["serving_version"] == "8")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / VERSION_FILE).unlink(), "has no version.json: name a folder that `export` wrote"),
        (lambda folder: (folder / VERSION_FILE).write_text("{}"), "cannot be read: not a model version"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"damaged"), "version 7"),
    ],
)
def test_a_damaged_folder_is_a_warning_and_nothing_is_served(make_client, small, tmp_path, damage, reason):
    write_model(tmp_path / "model", small.files)
    damage(tmp_path / "model")
    client = make_client(model_dir=tmp_path / "model")
    answer = client.get("/ping")
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text
    assert reason in client.get("/model/status").json()["warning"]
