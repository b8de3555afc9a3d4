"""The service as a process on full disks: it keeps answering, and its health says what is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.fixtures.servers import clean_environment, free_port, wait_for
from tests.paths import REPOSITORY

from .conftest import READING
from .test_clouds import write_model


@pytest.fixture
def start_service(small, tmp_path):
    """A function that starts the API in a process with the given output, arguments and environment; returns its URL."""
    write_model(tmp_path / "model", small.files)
    environment = clean_environment(PDM_MODEL_DIR=str(tmp_path / "model"), PDM_MODEL_CACHE=str(tmp_path / "cache"))
    started = []

    def start(output, *arguments, **variables):
        url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "app", "--port", url.rpartition(":")[2], *arguments]
        started.append(
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment | variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        )
        wait_for(lambda: started[-1].poll() is not None or httpx.get(f"{url}/ready").status_code == 200)
        assert started[-1].poll() is None
        return url

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
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
    assert health["warning"].startswith("the log cannot be written (No space left on device): ")


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


def test_a_batch_that_needs_the_full_temporary_folder_is_refused_with_503_and_the_reason(
    make_client, make_disk, monkeypatch
):
    disk = make_disk(64)
    monkeypatch.setenv("TMPDIR", str(disk.path))
    client = make_client()
    header, row = ",".join(READING), ",".join(map(str, READING.values()))
    csv = "\n".join([header, *[row] * 1000])
    assert client.post("/predict/batch", content=csv, headers={"content-type": "text/csv"}).status_code == 200
    disk.fill()
    refusal = client.post("/predict/batch", content=csv, headers={"content-type": "text/csv"})
    assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "60")
    assert "no disk space for this request" in refusal.json()["detail"]
    assert client.post("/predict", json=READING).status_code == 200
    disk.free()
    assert client.post("/predict/batch", content=csv, headers={"content-type": "text/csv"}).status_code == 200


@pytest.mark.long
def test_several_workers_answer_while_the_folder_of_their_metrics_is_on_a_full_disk(start_service, make_disk):
    """A sparse file that is mapped into memory ends its process with SIGBUS where the disk has no space."""
    disk = make_disk(8192)
    url = start_service(subprocess.DEVNULL, "--workers", "2", TMPDIR=str(disk.path))
    disk.fill()
    routes = ("/predict", "/predict/what-if", "/model", "/model/history", "/health", "/ping", "/metrics", "/nowhere")
    for _ in range(10):
        for route in routes:
            assert httpx.get(url + route).status_code < 500
        assert httpx.post(f"{url}/predict", json=READING).status_code == 200
    assert (
        'pdm_http_requests_total{method="any",route="unmatched",status="404"} 10.0' in httpx.get(f"{url}/metrics").text
    )
