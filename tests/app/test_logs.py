"""The log has one JSON object per line, for events of the service and of its libraries."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.fixtures.servers import clean_environment, free_port, wait_for
from tests.paths import REPOSITORY

from .conftest import READING
from .test_clouds import write_model

SCRIPT = """
import logging, structlog
from app import logs
logs.configure("info")
own, theirs = structlog.get_logger(), logging.getLogger("uvicorn.error")
own.info("request", status=200, path="/predict")
own.debug("not logged")
theirs.warning("port %s is taken", 8000)
logging.getLogger("mlflow").info("not logged")
try:
    1 / 0
except ZeroDivisionError as error:
    own.error("unexpected error", exc_info=error)
    theirs.exception("failed")
"""


@pytest.fixture(scope="module")
def lines():
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    return {(event := json.loads(line))["event"]: event for line in (ran.stdout + ran.stderr).splitlines()}


def test_each_event_from_the_level_upwards_is_a_line_with_its_level(lines):
    levels = {name: event["level"] for name, event in lines.items()}
    assert levels == {
        "request": "info", "port 8000 is taken": "warning", "unexpected error": "error", "failed": "error",
    }  # fmt: skip
    assert (lines["request"]["status"], lines["request"]["path"]) == (200, "/predict")


def test_each_line_has_a_time_in_utc(lines):
    for event in lines.values():
        assert event["timestamp"].endswith("Z")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(event["timestamp"])).total_seconds()) < 600


def test_a_traceback_is_part_of_its_line(lines):
    for name in ("unexpected error", "failed"):
        assert "ZeroDivisionError: division by zero" in lines[name]["exception"]


@pytest.fixture
def start_service(small, tmp_path):
    """A function that starts the API in a process with the given standard output and error; returns its URL."""
    write_model(tmp_path / "model", small.files)
    environment = clean_environment(PDM_MODEL_DIR=str(tmp_path / "model"), PDM_MODEL_CACHE=str(tmp_path / "cache"))
    started = []

    def start(output):
        url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "app", "--port", url.rpartition(":")[2]]
        started.append(subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output))
        wait_for(lambda: started[-1].poll() is not None or httpx.get(f"{url}/ready").status_code == 200)
        assert started[-1].poll() is None
        return url

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_requests_are_answered_while_the_log_is_on_a_full_disk_and_the_health_says_so(start_service):
    with Path("/dev/full").open("w") as full:
        url = start_service(full)
    with httpx.Client(base_url=url) as client:
        answers = [client.post("/predict", json=READING) for _ in range(200)]
        assert {answer.status_code for answer in answers} == {200}
        assert client.post("/predict", json={}).status_code == 422
        health = client.get("/health").json()
    assert health["status"] == "degraded"
    assert health["trouble"].startswith("the log cannot be written (No space left on device): ")


def test_the_log_goes_on_when_the_disk_has_space_again(start_service, make_disk):
    disk = make_disk(64)
    log = disk.path / "service.log"
    with log.open("a") as file:
        url = start_service(file)
    with httpx.Client(base_url=url) as client:
        disk.fill()
        for _ in range(100):
            assert client.post("/predict", json=READING).status_code == 200
        assert client.get("/health").json()["status"] == "degraded"
        disk.free()
        client.post("/predict", json=READING, headers={"x-request-id": "after-the-full-disk"})
        assert client.get("/health").json()["status"] == "ok"
    assert "after-the-full-disk" in log.read_text()
