"""The end of the API process while the registry accepts connections and never answers."""

import contextlib
import signal
import socket
import sys
import threading
import time

import httpx
import pytest

from tests.fixtures.servers import Process, clean_environment, free_port, wait_for


@pytest.fixture
def silent_registry():
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def make_service(silent_registry, tmp_path):
    """Start an API that uses the silent registry: (process, URL)."""
    made = []

    def make(*arguments, **settings):
        port = free_port()
        environment = clean_environment(
            MLFLOW_TRACKING_URI=silent_registry, PDM_MODEL_CACHE=str(tmp_path), PDM_REGISTRY_WAIT_SECONDS="0.1", **settings
        )  # fmt: skip
        command = [sys.executable, "-m", "app", "--port", str(port), *arguments]
        made.append(Process(command, tmp_path / f"service-{len(made)}.log", environment))
        made[-1].start()
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: httpx.get(f"{url}/health").status_code == 200)
        return made[-1], url

    yield make
    for service in made:
        service.kill()


def ask_for_the_history(url):
    """Send a request that waits for the registry, in a thread."""

    def ask():
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/model/history", timeout=60)

    # The watcher connects to the registry first: until then, the history is an error at once.
    wait_for(lambda: not _answers_within(url, 1))
    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.5)
    return thread


def _answers_within(url, seconds):
    try:
        httpx.get(f"{url}/model/history", timeout=seconds)
    except httpx.ReadTimeout:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        pytest.param((), signal.SIGTERM, id="SIGTERM"),
        pytest.param((), signal.SIGINT, id="SIGINT"),
        pytest.param(("--workers", "2"), signal.SIGTERM, id="two workers", marks=pytest.mark.long),
    ],
)
def test_the_process_ends_within_its_deadline_while_a_request_waits_for_the_registry(make_service, arguments, number):
    service, url = make_service(*arguments, PDM_SHUTDOWN_SECONDS="2")
    waiting = ask_for_the_history(url)
    start = time.monotonic()
    assert service.stop(number) == 0
    assert time.monotonic() - start < 6
    waiting.join()


def test_an_idle_process_ends_at_once(make_service):
    service, _ = make_service()
    start = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - start < 3


def test_connections_that_are_all_busy_are_refused_with_a_problem(make_service):
    service, url = make_service(PDM_MAX_CONNECTIONS="2", PDM_SHUTDOWN_SECONDS="1")
    waiting = [ask_for_the_history(url), ask_for_the_history(url)]
    answer = httpx.get(f"{url}/health")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "2 connections (PDM_MAX_CONNECTIONS) are open and busy" in answer.json()["detail"]
    assert service.stop() == 0
    for thread in waiting:
        thread.join()
