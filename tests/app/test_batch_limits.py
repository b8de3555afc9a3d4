"""A batch cannot take the service's memory or time: a real server, real bodies, and good requests beside them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.worker.process import WorkerProcess
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
from tests.fixtures.servers import is_running
from tests.paths import REPOSITORY

from .conftest import READING, wait_until

SLOW_BODY = b"[" + b",".join([b"{}"] * 100_000) + b"]"
"""Takes seconds of work: all of its rows are invalid."""

LARGE_BODY = json.dumps([READING | {"reading_id": f"machine {row}"} for row in range(100_000)]).encode()


@dataclass(frozen=True)
class Server:
    """A running service."""

    port: int
    process: subprocess.Popen
    cache: Path

    def post(self, path, body, seconds=60):
        content = body if isinstance(body, bytes) else json.dumps(body)
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.post(url, content=content, headers={"content-type": "application/json"}, timeout=seconds)

    def score_until_answered(self):
        """Send a small batch until it is scored: a short deadline may end while the worker process starts."""
        wait_until(lambda: self.post("/predict/batch", [READING]).status_code == 200)

    def workers(self):
        """The ids of the worker processes."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(child) for children in tasks for child in children.read_text().split()}

    def send_and_leave(self, path, body, rest=b""):
        """Return a connection that has sent a request with `body`, of which `rest` is not sent."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        size = len(body) + len(rest)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection


@pytest.fixture(scope="module")
def model_folder(small, tmp_path_factory):
    """The small model as `export` writes it."""
    folder = tmp_path_factory.mktemp("exported")
    for name, content in small.files.items():
        (folder / name).write_bytes(content)
    version = ModelVersion(version="1", aliases=(), run_id="run", created=datetime.now(UTC), tags={})
    (folder / VERSION_FILE).write_text(version.to_json())
    return folder


@pytest.fixture(scope="module")
def serve(model_folder, tmp_path_factory):
    """A context manager that runs the service with the given settings."""

    @contextmanager
    def run(**settings):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        cache = tmp_path_factory.mktemp("cache")
        environment = {"PDM_MODEL_DIR": str(model_folder), "PDM_MODEL_CACHE": str(cache)}
        environment |= {f"PDM_{name.upper()}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "app", "--port", str(port)]
        process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environment, stdout=subprocess.DEVNULL)
        try:
            server = Server(port, process, cache)
            wait_until(lambda: _is_ready(server), 60)
            yield server
        finally:
            process.kill()
            process.wait()

    return run


@pytest.fixture(scope="module")
def patient_server(serve):
    """A service whose batches may take a minute, with room for one batch. Tests may end its worker process."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_PASSWORD", "a-password-of-the-test")
        with serve(batch_deadline_seconds=60, max_waiting=1, max_request_bytes=400_000) as server:
            yield server


@pytest.fixture
def patient(patient_server):
    """The patient server with a worker process that has scored a batch: (the server, the process id)."""
    patient_server.score_until_answered()
    (worker,) = patient_server.workers()
    return patient_server, worker


def _is_ready(server):
    assert server.process.poll() is None
    try:
        return httpx.get(f"http://127.0.0.1:{server.port}/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_a_batch_ends_at_its_deadline_and_good_requests_are_answered(serve):
    with serve(batch_deadline_seconds=0.5) as server:
        server.score_until_answered()
        (worker,) = server.workers()
        with ThreadPoolExecutor(1) as other:
            slow = other.submit(server.post, "/predict/batch", SLOW_BODY)
            assert server.post("/predict", READING).status_code == 200
            answer = slow.result()
        assert answer.status_code == 504
        assert "0.5 s (PDM_BATCH_DEADLINE_SECONDS): send fewer rows" in answer.json()["detail"]
        wait_until(lambda: not is_running(worker))
        server.score_until_answered()
        assert server.workers() != {worker}


@pytest.mark.long
def test_a_batch_that_needs_more_memory_than_allowed_is_refused_and_the_next_one_is_scored(serve):
    with serve(batch_memory_mib=160, batch_deadline_seconds=60) as server:
        answer = server.post("/predict/batch", LARGE_BODY)
        assert answer.status_code == 413
        assert "160 MiB (PDM_BATCH_MEMORY_MIB)" in answer.json()["detail"]
        assert server.post("/predict/batch", [READING]).json()["rejected_rows"] == 0


@pytest.mark.long
def test_the_largest_batch_fits_into_the_default_limits_also_after_others(serve):
    with serve(batch_deadline_seconds=60) as server:
        for _ in range(3):
            assert server.post("/predict/batch", LARGE_BODY).json()["rows"] == 100_000
        assert len(server.workers()) == 1


@pytest.mark.parametrize("path", ["/predict/batch", "/invocations"])
def test_the_work_of_a_client_that_leaves_ends(patient, path):
    server, worker = patient
    with server.send_and_leave(path, SLOW_BODY):
        time.sleep(0.3)
        assert is_running(worker)
    wait_until(lambda: not is_running(worker))
    assert server.post("/predict/batch", [READING]).status_code == 200


@pytest.mark.parametrize("path", ["/predict/batch", "/invocations"])
def test_a_short_batch_of_a_client_that_leaves_does_not_end_the_process(patient, path):
    server, worker = patient
    os.kill(worker, signal.SIGSTOP)  # the batch is not done when the client leaves
    with server.send_and_leave(path, json.dumps([READING]).encode()):
        time.sleep(0.1)
    time.sleep(0.1)
    os.kill(worker, signal.SIGCONT)
    assert server.post("/predict/batch", [READING]).status_code == 200
    assert is_running(worker)


def test_the_worker_process_does_not_have_the_secrets_of_the_service(patient):
    server, worker = patient
    assert b"a-password-of-the-test" in Path(f"/proc/{server.process.pid}/environ").read_bytes()
    assert b"a-password-of-the-test" not in Path(f"/proc/{worker}/environ").read_bytes()


def test_batches_beyond_the_queue_are_refused_and_single_readings_are_not(patient):
    server, worker = patient
    os.kill(worker, signal.SIGSTOP)
    with server.send_and_leave("/predict/batch", json.dumps([READING]).encode()) as waiting:
        refused = server.post("/predict/batch", [READING])
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "the queue for batches is full (PDM_MAX_WAITING: 1)" in refused.json()["detail"]
        assert server.post("/predict?explain=true", READING).status_code == 200
        os.kill(worker, signal.SIGCONT)
        assert waiting.recv(1024).startswith(b"HTTP/1.1 200")


def test_bodies_are_refused_while_others_take_the_memory_for_batches(patient):
    server, _ = patient
    body = json.dumps([READING] * 2_000).encode()
    waiting = [server.send_and_leave("/predict/batch", body, rest=b" ") for _ in range(2)]
    wait_until(lambda: server.post("/predict/batch", body).status_code == 503)
    refused = server.post("/predict/batch", body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "take all of the memory for batches" in refused.json()["detail"]
    assert server.post("/predict", READING).status_code == 200
    for connection in waiting:
        connection.close()
    wait_until(lambda: server.post("/predict/batch", body).status_code == 200)


def test_a_worker_process_that_is_killed_is_replaced(patient):
    server, worker = patient
    os.kill(worker, signal.SIGKILL)
    assert server.post("/predict/batch", [READING]).status_code == 200
    assert server.workers().isdisjoint({worker})


def test_a_crash_of_the_worker_process_is_an_error_of_the_service_and_the_next_batch_is_scored(patient):
    server, worker = patient
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(server.post, "/predict/batch", [READING])
        time.sleep(0.5)
        os.kill(worker, signal.SIGSEGV)
        os.kill(worker, signal.SIGCONT)
        assert answer.result().status_code == 500
    assert "the process that scores batches crashed (SIGSEGV)" in answer.result().json()["detail"]
    assert server.post("/predict/batch", [READING]).status_code == 200


@pytest.mark.long
def test_the_worker_process_ends_with_a_service_that_is_killed(serve):
    with serve() as server:
        server.score_until_answered()
        (worker,) = server.workers()
        server.process.send_signal(signal.SIGKILL)
        wait_until(lambda: not is_running(worker), 10)


@pytest.mark.long
def test_a_model_that_is_deleted_from_the_cache_is_the_reason_for_refusing_batches(serve):
    with serve(batch_deadline_seconds=60) as server:
        shutil.rmtree(server.cache)
        answer = server.post("/predict/batch", [READING])
        assert answer.status_code == 503
        assert "version 1 cannot be loaded from the model cache" in answer.json()["detail"]
        assert server.post("/predict", READING).status_code == 200


@pytest.mark.long
def test_the_service_and_its_worker_process_end_on_a_signal(serve):
    with serve() as server:
        server.score_until_answered()
        (worker,) = server.workers()
        server.process.terminate()
        assert server.process.wait(10) == 0
        assert not is_running(worker)


# A process needs about 60 MiB to start.
@pytest.mark.parametrize("end", [signal.SIGSEGV, signal.SIGTERM])
@pytest.mark.parametrize(("memory_mib", "at_limit"), [(512, False), (20, True)])
def test_a_process_that_ends_has_too_little_memory_only_if_it_used_most_of_its_limit(memory_mib, at_limit, end):
    memory = bytearray(b"x") * (600 * 2**20)  # the memory of the process that starts it does not count
    process = WorkerProcess(512)
    del memory
    process._memory_mib = memory_mib
    threading.Timer(0.5, os.kill, (process.pid, end)).start()
    process._watch_memory()
    error = process._end()
    assert error.return_code == -end
    assert error.is_out_of_memory is at_limit
