"""The API as a process, with an MLflow server: promotions, outages, damaged files and restarts.

PROMOTION_ROUNDS=50 changes the served version 100 times under load instead of twice.
"""

import concurrent.futures
import io
import json
import os
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
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.packaging import package_version
from predictive_maintenance.tracking.runs import FlowRun
from tests.fixtures.environments import Environment
from tests.fixtures.servers import wait_for
from tests.paths import REPOSITORY

ROUNDS = int(os.environ.get("PROMOTION_ROUNDS", "1"))


@pytest.fixture(scope="module")
def scorers(small, forest_files):
    return {"1": small.scorer, "2": Scorer.from_files(forest_files)}


@pytest.fixture(scope="module")
def readings(small):
    return small.rows.test[list(MILLING.input_names)].head(200).to_dict("records")


def under_load(service, readings, seconds_after, act):
    """Call `act` while four clients send readings without a pause. Returns all (reading, response) pairs."""
    stop, answers = threading.Event(), []

    def send(first):
        index = first
        while not stop.is_set():
            reading = readings[index % len(readings)]
            answers.append((reading, service.predict(reading)))
            index += 1

    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        sending = [clients.submit(send, first * 50) for first in range(4)]
        time.sleep(0.5)
        act()
        time.sleep(seconds_after)
        stop.set()
    for each in sending:
        each.result()  # raises if a connection was refused or closed
    return answers


def test_no_request_fails_during_a_promotion_and_a_rollback_and_each_response_names_its_model(
    make_service, in_production, readings, scorers
):
    service = make_service()
    service.ready()

    def promote_and_roll_back():
        for _ in range(ROUNDS):
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
    print(f"{len(answers):,} requests in {2 * ROUNDS} changes of the served version")


@pytest.mark.long
def test_without_the_registry_the_api_serves_and_restarts_from_its_cache_and_a_new_one_waits(
    make_service, in_production, mlflow_server, readings, tmp_path
):
    service = make_service()
    service.ready()
    new = make_service(PDM_MODEL_CACHE=str(tmp_path / "cache of another machine"))
    with mlflow_server.down():
        new.start()
        wait_for(lambda: service.get("/health").json()["status"] == "degraded")
        assert "cannot be read" in service.get("/health").json()["warning"]
        assert "the server does not answer" in service.get("/model/status").json()["warning"]
        assert service.predict(readings[0]).status_code == 200
        assert service.get("/ready").status_code == 200
        assert service.stop() == 0
        service.up()
        health = service.get("/health").json()
        assert (health["serving_version"], health["restored_from_disk"]) == ("1", True)
        assert service.predict(readings[0]).status_code == 200
        new.wait_until_alive()
        wait_for(lambda: "cannot be read" in new.get("/ready").json().get("detail", ""))
        assert new.get("/ready").status_code == 503
        assert new.predict(readings[0]).status_code == 503
    wait_for(lambda: service.get("/health").json()["status"] == "ok")
    assert not service.get("/health").json()["restored_from_disk"]
    wait_for(lambda: new.get("/ready").status_code == 200)
    assert new.predict(readings[0]).json()["model_version"] == "1"


@pytest.mark.long
def test_a_version_with_a_truncated_file_is_refused_until_the_file_is_complete(
    make_service, in_production, mlflow_server, tmp_path
):
    service = make_service()
    service.ready()
    onnx = max(mlflow_server.artifacts.rglob("model.onnx"), key=lambda path: path.stat().st_mtime)
    complete = onnx.read_bytes()
    in_production.promote("2", "1")  # complete at the promotion, damaged before the download
    onnx.write_bytes(complete[: len(complete) // 2])
    service_2 = make_service(PDM_MODEL_CACHE=str(tmp_path / "cache of another machine"))
    try:
        service_2.up()
        wait_for(lambda: "version 2 is refused" in (service_2.get("/health").json()["warning"] or ""))
        assert service_2.get("/ready").status_code == 503
        events = service_2.get("/metrics").text
        assert 'pdm_model_events_total{event="refused"}' in events
    finally:
        onnx.write_bytes(complete)
    service_2.wait_for_version("2")
    assert service_2.get("/health").json()["status"] == "ok"


def test_sigterm_lets_a_running_batch_request_finish(make_service, in_production, small):
    service = make_service()
    service.ready()
    rows = pd.concat([small.rows.test[list(MILLING.input_names)]] * 40, ignore_index=True).head(60_000)
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


def test_a_client_that_disconnects_within_its_body_is_logged_as_a_client_error(make_service, in_production):
    service = make_service()
    service.ready()
    head = "POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\nx-request-id: disconnected\r\n\r\n"
    with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port)) as client:
        client.sendall(f"{head}{{".encode())
    lines = wait_for(lambda: [line for line in service.log.read_text().splitlines() if '"disconnected"' in line])
    assert [json.loads(line)["status"] for line in lines] == [400]
    assert "Traceback" not in service.log.read_text()
    assert service.get("/ready").status_code == 200


@pytest.mark.long
def test_metrics_are_the_sum_over_all_workers(make_service, in_production, readings):
    service = make_service("--workers", "2")
    service.up()
    wait_for(lambda: _serving_workers(service) == 2)  # /ready is about the worker that answers
    for reading in readings[:40]:  # on separate connections, so that both workers receive some
        assert httpx.post(f"{service.url}/predict", json=reading).status_code == 200
    route = {"method": "POST", "route": "/predict", "status": "200"}
    # A worker counts a request after its answer, so the last one may not be counted yet.
    wait_for(lambda: [s.value for s in _samples(service, "pdm_http_requests_total") if s.labels == route] == [40])


def _serving_workers(service) -> int:
    return len({sample.labels["pid"] for sample in _samples(service, "pdm_model_serving")})


def _samples(service, name: str) -> list:
    families = text_string_to_metric_families(service.get("/metrics").text)
    return [sample for family in families for sample in family.samples if sample.name == name]


def test_each_log_line_is_json_without_readings_or_keys(make_service, in_production, readings):
    service, reading = make_service(PDM_API_KEY="hush-hush"), readings[0] | {"torque_nm": 43.2198765}
    service.ready()
    assert service.predict(reading).status_code == 401
    service.client.headers["x-api-key"] = "hush-hush"
    answer = service.predict(reading)
    assert "server" not in answer.headers  # it would tell clients which software runs
    service.stop()
    first, *lines = service.log.read_text().splitlines()
    assert first.startswith("docs: http://127.0.0.1:")
    events = [json.loads(line) for line in lines]
    request = next(event for event in events if event.get("request_id") == answer.headers["x-request-id"])
    assert (request["path"], request["status"], request["method"]) == ("/predict", 200, "POST")
    assert "hush-hush" not in service.log.read_text()
    assert "43.2198765" not in service.log.read_text()


def test_the_api_the_command_line_and_the_mlflow_model_return_equal_predictions(
    make_service, in_production, mlflow_server, small, tmp_path, params
):
    rows = small.rows.test[list(MILLING.input_names)].reset_index(drop=True)
    path, output = tmp_path / "rows.parquet", tmp_path / "scored.parquet"
    rows.to_parquet(path)
    score_file(path, output, in_production.load_scorer("1"), "1", params.columns.aliases)
    mlflow.set_tracking_uri(mlflow_server.url)
    mlflow.set_registry_uri(mlflow_server.url)
    mlflow_model = mlflow.pyfunc.load_model("models:/predictive_maintenance@production").predict(rows)
    service = make_service()
    service.ready()
    content_type = {"content-type": "application/vnd.apache.parquet"}
    answer = service.client.post(f"{service.url}/predict/batch", content=path.read_bytes(), headers=content_type)
    by_api, by_command = pd.read_parquet(io.BytesIO(answer.content)), pd.read_parquet(output)
    for other in (by_command, mlflow_model):
        np.testing.assert_array_equal(by_api["failure_probability"], other["failure_probability"])
    alarms = by_api["predicted_failure"].astype(int)
    np.testing.assert_array_equal(alarms, mlflow_model["predicted_failure"])
    np.testing.assert_array_equal(alarms, by_command["predicted_failure"])
    assert alarms.sum() > 10


@pytest.mark.long
def test_the_api_serves_from_an_sqlite_registry(make_service, registry_uri, small, params, tmp_path):
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
    ("settings", "message"),
    [
        ({"PDM_POLL_SECONDS": "soon"}, "PDM_POLL_SECONDS: Input should be a valid number"),
        ({"PDM_LOG_LEVEL": "chatty"}, "PDM_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'"),
        (
            {"MLFLOW_TRACKING_URI": "mlflow.db"},
            "MLFLOW_TRACKING_URI: 'mlflow.db' is not an address of a registry: write",
        ),
        (
            {"PDM_MODEL_DIR": "/nonexistent"},
            "PDM_MODEL_DIR: /nonexistent is not a folder that can be read: write it with",
        ),
    ],
)
def test_an_invalid_setting_is_reported_without_a_traceback(settings, message):
    result = subprocess.run(
        [sys.executable, "-m", "app"], cwd=REPOSITORY, env=os.environ | settings, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {message}")


def test_a_taken_port_is_reported_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "app", "--port", str(port)], cwd=REPOSITORY, capture_output=True, text=True
        )
    assert result.returncode == 1
    assert result.stderr == f"Error: port {port} of 127.0.0.1 is taken: choose another one with --port\n"


@pytest.mark.parametrize(("arguments", "port"), [((), 8000), (("PORT=8011",), 8011)])
def test_make_serve_uses_the_given_port(arguments, port):
    commands = subprocess.run(
        ["make", "--dry-run", "BIN=absent", "serve", *arguments],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"absent/python -m app --port {port}" in commands.splitlines()


@pytest.mark.environment
def test_serving_needs_no_training_library_and_unpickles_nothing(
    make_service, in_production, readings, tmp_path_factory
):
    """In an environment of requirements-serve.txt, in which an attempt to unpickle a class ends the process."""
    environment = Environment.create(tmp_path_factory.mktemp("serving") / "environment")
    environment.install("--requirement", REPOSITORY / "requirements-serve.txt")
    training = {"pandas", "scikit-learn", "lightgbm", "mlflow", "scipy", "boto3", "metaflow"}
    assert not environment.distributions() & training
    (environment.site_packages / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def watch(event, arguments):\n"
        "    if event == 'pickle.find_class':\n"
        "        os.write(2, f'UNPICKLED {arguments}'.encode())\n"
        "        os._exit(70)\n"
        "sys.addaudithook(watch)\n"
    )
    service = make_service(python=str(environment.python))
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
