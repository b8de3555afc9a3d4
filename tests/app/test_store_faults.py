"""A store that is locked, full, gone, newer or killed: the answer is 503 with the reason, and nothing acknowledged is lost."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial

import httpx
import pytest

from tests.fixtures.run_to_failure import runs_to_failure
from tests.fixtures.servers import clean_environment, free_port, wait_for
from tests.paths import REPOSITORY

from .conftest import MemoryRegistry, start_client
from .test_clouds import write_model
from .test_history import as_json


@pytest.fixture
def start(small_engine, engine_params, checked_files, tmp_path, enter):
    """A function that starts an application with an engine's model and the given settings."""

    def start(**settings):
        registry = MemoryRegistry(versions={"1": small_engine.files}, alias="1")
        return enter(start_client(registry, engine_params, tmp_path, checked_files, **settings))

    return start


@pytest.fixture(scope="module")
def readings():
    """Readings of one engine in the order of their times."""
    table = runs_to_failure(1, seed=8).sort_values("timestamp")
    return as_json(table)


def refused(client, path, reason, retry_after, **request):
    answer = client.request("POST" if request else "GET", path, **request)
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason in answer.json()["detail"]
    assert answer.headers.get("retry-after") == retry_after


def kept(client, machine_id="E0"):
    return client.get(f"/machines/{machine_id}").json()["readings"]


def test_a_locked_store_is_reported_and_used_again(start, readings, tmp_path):
    client = start(store_timeout_seconds=0.1)
    client.post("/readings", json=readings[0])
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused(client, "/readings", "another program keeps the store locked", "1", json=readings[1])
        refused(client, "/readings", "another program keeps the store locked", "1", json=readings[1:3])
        assert client.post("/predict", json=readings[1]).status_code == 200
        assert kept(client) == 1  # reading goes on
        other.execute("ROLLBACK")
    assert client.post("/readings", json=readings[1]).status_code == 200
    assert client.post("/readings", json=readings[1:3]).json()["rejected_rows"] == 0
    assert kept(client) == 3


def test_a_store_that_is_gone_is_not_replaced_by_an_empty_one(start, readings, tmp_path):
    client, store = start(), tmp_path / "store.db"
    client.post("/readings", json=readings[0])
    client.post("/readings", json=readings[1:3])
    for path in tmp_path.glob("store.db*"):
        path.rename(tmp_path / f"moved-{path.name}")
    for _ in range(2):
        refused(client, "/readings", "the file of the store is gone", "5", json=readings[3])
        refused(client, "/readings", "the file of the store is gone", "5", json=readings[3:5])
        refused(client, "/machines", "the file of the store is gone", "5")
    assert not store.exists()
    health = client.get("/health").json()
    assert (health["status"], health["warning"]) == ("degraded", "the store of readings cannot be used")
    assert "the file of the store is gone" in client.get("/model/status").json()["warning"]
    assert client.post("/predict", json=readings[3]).status_code == 200
    for path in tmp_path.glob("moved-store.db*"):
        path.rename(tmp_path / path.name.removeprefix("moved-"))
    assert client.post("/readings", json=readings[3]).status_code == 200
    assert client.post("/readings", json=readings[3:5]).status_code == 200
    assert kept(client) == 5
    assert client.get("/health").json()["status"] == "ok"


def test_a_store_that_was_replaced_is_opened_again(start, readings, tmp_path):
    client = start()
    client.post("/readings", json=readings[0])
    with (
        closing(sqlite3.connect(tmp_path / "store.db")) as source,
        closing(sqlite3.connect(tmp_path / "backup.db")) as copy,
    ):
        source.backup(copy)
    client.post("/readings", json=readings[1])
    for path in tmp_path.glob("store.db*"):
        path.unlink()
    (tmp_path / "backup.db").rename(tmp_path / "store.db")
    refused(client, "/readings", "the file of the store was replaced", "5", json=readings[2])
    assert client.post("/readings", json=readings[2]).status_code == 200
    assert kept(client) == 2


def test_a_store_of_a_newer_release_is_refused(start, readings, tmp_path):
    start().post("/readings", json=readings[0])
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("UPDATE pdm_store_version SET version_num = '0999'")
        connection.commit()
    client = start()
    refused(client, "/readings", "a newer release has changed the store", None, json=readings[1])
    refused(client, "/readings", "a newer release has changed the store", None, json=readings[1:3])
    refused(client, "/machines", "a newer release has changed the store", None)
    assert client.post("/predict", json=readings[1]).status_code == 200


def test_a_server_that_does_not_answer_is_reported_without_its_password(start, readings):
    client = start(
        store_url=f"postgresql://plant:s3cret-word@127.0.0.1:{free_port()}/readings", store_timeout_seconds=0.2
    )
    refused(client, "/readings", "the store does not work", "5", json=readings[0])
    refused(client, "/readings", "the store does not work", "5", json=readings[:2])
    assert "s3cret" not in client.get("/model/status").text
    assert client.post("/predict", json=readings[0]).status_code == 200


def test_a_full_disk_is_reported_and_the_store_is_used_again(start, readings, make_disk):
    disk = make_disk(1024)
    client = start(store_url=f"sqlite:///{disk.path / 'store.db'}")
    client.post("/readings", json=readings[0])
    disk.fill()
    full = 0
    for reading in readings[1:]:  # some fit into pages that are there
        answer = client.post("/readings", json=reading)
        if answer.status_code != 200:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
            assert "the disk of the store is full: free space" in answer.json()["detail"]
            break
        full += 1
    else:
        pytest.fail("the disk was not full")
    refused(client, "/readings", "the disk of the store is full", "60", json=readings)
    assert kept(client) == 1 + full
    assert client.post("/predict", json=readings[1]).status_code == 200
    disk.free()
    assert client.post("/readings", json=readings).json()["rejected_rows"] == 0
    assert kept(client) == len(readings)


def test_the_event_loop_answers_while_the_store_waits(start, readings, tmp_path):
    client = start(store_timeout_seconds=20)
    client.post("/readings", json=readings[0])
    answers = []
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=lambda: answers.append(client.post("/readings", json=readings[1])))
        waiting.start()
        for _ in range(20):
            assert client.post("/predict", json=readings[1]).status_code == 200
        assert client.get("/machines").status_code == 200
        assert answers == []
        other.execute("ROLLBACK")
    waiting.join()
    assert [answer.status_code for answer in answers] == [200]


@pytest.fixture
def start_service(small_engine, tmp_path):
    """A function that starts the API in processes with the given arguments; returns its URL and a function that kills it."""
    write_model(tmp_path / "model", small_engine.files)
    environment = clean_environment(
        PDM_MODEL_DIR=str(tmp_path / "model"),
        PDM_MODEL_CACHE=str(tmp_path / "cache"),
        PDM_BATCH_DEADLINE_SECONDS="60",
    )
    started = []

    def start(store_url, *arguments):
        url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "app", "--port", url.rpartition(":")[2], *arguments]
        with (tmp_path / "service.log").open("a") as log:
            started.append(
                subprocess.Popen(
                    command,
                    cwd=REPOSITORY,
                    env=environment | {"PDM_STORE_URL": store_url},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        wait_for(lambda: httpx.get(f"{url}/ready").status_code == 200)
        return url, lambda: os.killpg(started[-1].pid, signal.SIGKILL)

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_what_was_acknowledged_before_the_process_was_killed_is_kept(start_service, readings, sqlite_url):
    url, kill = start_service(sqlite_url)
    acknowledged = []

    def send():
        with httpx.Client(base_url=url) as client:
            for number in range(100_000):
                reading = readings[0] | {"machine_id": f"{threading.get_ident()}-{number}"}
                try:
                    if client.post("/readings", json=reading).status_code == 200:
                        acknowledged.append(reading["machine_id"])
                except httpx.TransportError:
                    return

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    wait_for(lambda: len(acknowledged) > 200)
    kill()
    for sender in senders:
        sender.join()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        found = {name for (name,) in connection.execute("SELECT machine_id FROM pdm_machines WHERE readings = 1")}
    assert set(acknowledged) <= found
    assert len(acknowledged) > 200


@pytest.mark.long
def test_several_workers_and_clients_give_the_answers_of_the_table(start_service, small_engine, empty_store_url):
    table = runs_to_failure(4, seed=4).sort_values(["machine_id", "timestamp"]).reset_index(drop=True)
    expected = small_engine.scorer.probabilities(table).tolist()
    rows, found = as_json(table), {}
    url, _ = start_service(empty_store_url, "--workers", "2")

    def post(row):
        """Send a reading in a connection of its own, so that both workers get some. One may still load the model."""
        answer = httpx.post(f"{url}/readings", json=rows[row], timeout=60, verify=False)
        return answer if "no model is ready" not in answer.text else None

    def send(name):
        for row in (row for row, reading in enumerate(rows) if reading["machine_id"] == name):
            found[row] = wait_for(partial(post, row)).json()["failure_probability"]

    senders = [threading.Thread(target=send, args=[f"E{number}"]) for number in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert [found[row] for row in range(len(rows))] == expected
    again = httpx.post(f"{url}/readings", json=rows[::-1], timeout=60).json()
    assert [row["failure_probability"] for row in again["predictions"]] == expected[::-1]
    machines = httpx.get(f"{url}/machines").json()["machines"]
    assert sum(machine["readings"] for machine in machines) == len(rows)
