"""The service as it runs: a process over a real registry, which is promoted in, stopped, damaged and restarted."""

import concurrent.futures
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from predictive_maintenance.inference.files import score_file
from predictive_maintenance.machine.sensors import INPUT_NAMES
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.packaging import package_version
from predictive_maintenance.tracking.runs import FlowRun
from tests.paths import REPOSITORY

from .conftest import wait_for

pytestmark = [pytest.mark.xdist_group("serving")]


@pytest.fixture(scope="module")
def scorers(small, forest_files):
    return {"1": small.scorer, "2": Scorer.from_files(forest_files)}


@pytest.fixture(scope="module")
def readings(small):
    return small.rows.test[list(INPUT_NAMES)].head(200).to_dict("records")


def under_load(service, readings, seconds_after, act):
    """Every answer to four clients that never pause, while `act` runs in the middle."""
    stop, answers = threading.Event(), []

    def ask(first):
        place = first
        while not stop.is_set():
            reading = readings[place % len(readings)]
            answers.append((reading, service.predict(reading)))
            place += 1

    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(ask, first * 50) for first in range(4)]
        time.sleep(0.5)
        act()
        time.sleep(seconds_after)
        stop.set()
    for each in asking:
        each.result()  # a connection that was refused or cut raises here
    return answers


def test_a_promotion_and_a_rollback_under_load_cost_no_request_and_every_answer_names_its_model(
    make_service, in_production, readings, scorers
):
    service = make_service()
    service.ready()

    def promote_and_roll_back():
        in_production.promote("2", "1")
        service.wait_for_version("2")
        time.sleep(0.5)
        in_production.rollback()
        service.wait_for_version("1")

    answers = under_load(service, readings, 0.5, promote_and_roll_back)
    assert [answer.status_code for _, answer in answers if answer.status_code != 200] == []
    assert {answer.json()["model_version"] for _, answer in answers} == {"1", "2"}
    for reading, answer in answers:
        body = answer.json()
        assert body["failure_probability"] == scorers[body["model_version"]].probability(reading)
    assert len(answers) > 100


def test_with_the_registry_down_predictions_go_on_and_a_restart_starts_from_disk(
    make_service, in_production, mlflow_server, readings
):
    service = make_service()
    service.ready()
    mlflow_server.stop(signal.SIGTERM)
    try:
        wait_for(lambda: service.get("/health").json()["status"] == "degraded")
        assert "the server does not answer" in service.get("/health").json()["trouble"]
        assert service.predict(readings[0]).status_code == 200
        assert service.get("/ready").status_code == 200
        assert service.stop() == 0
        service.up()
        health = service.get("/health").json()
        assert (health["serving_version"], health["restored_from_disk"]) == ("1", True)
        assert service.predict(readings[0]).status_code == 200
    finally:
        mlflow_server.up()
    wait_for(lambda: service.get("/health").json()["status"] == "ok")
    assert not service.get("/health").json()["restored_from_disk"]


def test_a_service_that_has_never_seen_the_registry_starts_and_becomes_ready_with_it(
    make_service, in_production, mlflow_server, readings
):
    mlflow_server.stop(signal.SIGTERM)
    try:
        service = make_service()
        service.up()
        wait_for(lambda: "the server does not answer" in service.get("/ready").json().get("detail", ""))
        assert service.get("/ready").status_code == 503
        assert service.predict(readings[0]).status_code == 503
    finally:
        mlflow_server.up()
    wait_for(lambda: service.get("/ready").status_code == 200)
    assert service.predict(readings[0]).json()["model_version"] == "1"


def test_a_version_whose_file_was_cut_short_is_refused_until_it_is_whole(make_service, in_production, mlflow_server):
    service = make_service()
    service.ready()
    onnx = max(mlflow_server.artifacts.rglob("model.onnx"), key=lambda path: path.stat().st_mtime)
    whole = onnx.read_bytes()
    in_production.promote("2", "1")  # whole while it is promoted, damaged before it is fetched
    onnx.write_bytes(whole[: len(whole) // 2])
    service_2 = make_service(PDM_MODEL_CACHE=str(onnx.parent / "cache of another machine"))
    try:
        service_2.up()
        wait_for(lambda: "version 2 is refused" in (service_2.get("/health").json()["trouble"] or ""))
        assert service_2.get("/ready").status_code == 503
        events = service_2.get("/metrics").text
        assert 'pdm_model_events_total{event="refused"}' in events
    finally:
        onnx.write_bytes(whole)
    service_2.wait_for_version("2")
    assert service_2.get("/health").json()["status"] == "ok"


def test_a_batch_in_flight_is_finished_when_the_service_is_told_to_end(make_service, in_production, small):
    service = make_service()
    service.ready()
    rows = pd.concat([small.rows.test[list(INPUT_NAMES)]] * 40, ignore_index=True).head(60_000)
    body = rows.to_csv(index=False).encode()
    with concurrent.futures.ThreadPoolExecutor(1) as client:
        answer = client.submit(
            service.client.post,
            f"{service.url}/predict/batch",
            content=body,
            headers={"content-type": "text/csv"},
            timeout=60,
        )
        time.sleep(0.3)
        code = service.stop(seconds=30)
        assert answer.result().status_code == 200
    assert code == 0
    assert len(pd.read_csv(io.BytesIO(answer.result().content))) == len(rows)


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error_of_the_service(make_service, in_production):
    service = make_service()
    service.ready()
    head = "POST /predict HTTP/1.1\r\nhost: here\r\ncontent-length: 1000\r\nx-request-id: leaver\r\n\r\n"
    with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port)) as client:
        client.sendall(f"{head}{{".encode())
    lines = wait_for(lambda: [line for line in service.log.read_text().splitlines() if '"leaver"' in line])
    assert [json.loads(line)["status"] for line in lines] == [400]
    assert "Traceback" not in service.log.read_text()
    assert service.get("/ready").status_code == 200


def test_the_metrics_of_all_workers_add_up(make_service, in_production, readings):
    service = make_service("--workers", "2")
    service.up()
    wait_for(lambda: _workers_that_serve(service) == 2)  # /ready speaks for the one worker that answers it
    for reading in readings[:40]:  # each on a connection of its own, so that both workers get some
        assert httpx.post(f"{service.url}/predict", json=reading).status_code == 200
    route = {"method": "POST", "route": "/predict", "status": "200"}
    assert [s.value for s in _samples(service, "pdm_http_requests_total") if s.labels == route] == [40]


def _workers_that_serve(service) -> int:
    return len({sample.labels["pid"] for sample in _samples(service, "pdm_model_serving")})


def _samples(service, name: str) -> list:
    families = text_string_to_metric_families(service.get("/metrics").text)
    return [sample for family in families for sample in family.samples if sample.name == name]


def test_every_line_of_the_log_is_json_and_holds_no_reading_and_no_key(make_service, in_production, readings):
    service = make_service(PDM_API_KEY="hush-hush")
    service.ready()
    assert service.predict(readings[0]).status_code == 401
    service.client.headers["x-api-key"] = "hush-hush"
    answer = service.predict(readings[0])
    assert "server" not in answer.headers  # whose software it is concerns nobody
    service.stop()
    first, *lines = service.log.read_text().splitlines()
    assert first.startswith("docs: http://127.0.0.1:")
    events = [json.loads(line) for line in lines]
    request = next(event for event in events if event.get("request_id") == answer.headers["x-request-id"])
    assert (request["path"], request["status"], request["method"]) == ("/predict", 200, "POST")
    assert "hush-hush" not in service.log.read_text()
    assert str(readings[0]["torque_nm"]) not in service.log.read_text()


def test_the_api_the_command_line_and_the_mlflow_pipeline_agree_on_every_row(
    make_service, in_production, mlflow_server, small, tmp_path, params
):
    rows = small.rows.test[list(INPUT_NAMES)].reset_index(drop=True)
    path, output = tmp_path / "rows.parquet", tmp_path / "scored.parquet"
    rows.to_parquet(path)
    score_file(path, output, in_production.load_scorer("1"), "1", params.columns.aliases)
    mlflow.set_tracking_uri(mlflow_server.url)
    mlflow.set_registry_uri(mlflow_server.url)
    pipeline = mlflow.pyfunc.load_model("models:/predictive_maintenance@production").predict(rows)
    service = make_service()
    service.ready()
    content_type = {"content-type": "application/vnd.apache.parquet"}
    answer = service.client.post(f"{service.url}/predict/batch", content=path.read_bytes(), headers=content_type)
    by_api, by_command = pd.read_parquet(io.BytesIO(answer.content)), pd.read_parquet(output)
    for theirs in (by_command["failure_probability"], pipeline["failure_probability"]):
        np.testing.assert_array_equal(by_api["failure_probability"], theirs)
    alarms = by_api["predicted_failure"].astype(int)
    np.testing.assert_array_equal(alarms, pipeline["predicted_failure"])
    np.testing.assert_array_equal(alarms, by_command["predicted_failure"])
    assert alarms.sum() > 10


def test_a_registry_in_a_file_serves_too(make_service, registry_uri, small, params, tmp_path):
    connection = connect(params.registry)
    versions, run = ModelRegistry(connection), FlowRun.start(connection, "TrainFlow/1", {})
    (work := tmp_path / "work").mkdir()
    versions.promote(
        versions.register(run, package_version(small.files, small.rows.test.head(5), work), {}).version, None
    )
    service = make_service(MLFLOW_TRACKING_URI=registry_uri, PDM_REGISTRY_WAIT_SECONDS="60")
    service.ready()
    assert service.get("/ready").json()["serving_version"] == "1"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PDM_POLL_SECONDS": "soon"}, "PDM_POLL_SECONDS: Input should be a valid number"),
        ({"PDM_LOG_LEVEL": "chatty"}, "PDM_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_wrong_setting_is_an_error_without_a_traceback(settings, said):
    result = subprocess.run(
        [sys.executable, "-m", "app"], cwd=REPOSITORY, env=os.environ | settings, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.environment
def test_serving_needs_no_training_library_and_unpickles_nothing(
    make_service, in_production, readings, tmp_path_factory
):
    """An environment of requirements-serve.txt alone, in which naming any class to be unpickled ends the process."""
    folder = tmp_path_factory.mktemp("serving environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", REPOSITORY / "requirements-serve.txt"], check=True)
    installed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "freeze"], check=True, capture_output=True, text=True
    )
    names = {line.partition("==")[0].lower() for line in installed.stdout.splitlines()}
    assert not names & {"pandas", "scikit-learn", "lightgbm", "mlflow", "scipy", "boto3", "metaflow"}
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def watch(event, arguments):\n"
        "    if event == 'pickle.find_class':\n"
        "        os.write(2, f'UNPICKLED {arguments}'.encode())\n"
        "        os._exit(70)\n"
        "sys.addaudithook(watch)\n"
    )
    service = make_service(python=str(python))
    service.ready()
    assert service.predict(readings[0]).status_code == 200
    in_production.promote("2", "1")
    service.wait_for_version("2")
    explained = service.client.post(f"{service.url}/predict?explain=true", json=readings[0])
    assert explained.json()["explanation"]["contributions"]
    rows = pd.DataFrame(readings)
    for content, kind in (
        (rows.to_csv(index=False), "text/csv"),
        (rows.to_parquet(), "application/vnd.apache.parquet"),
    ):
        answer = service.client.post(f"{service.url}/predict/batch", content=content, headers={"content-type": kind})
        assert answer.status_code == 200
    assert service.get("/model").status_code == service.get("/model/history").status_code == 200
    assert service.stop() == 0
    assert "UNPICKLED" not in service.log.read_text()
