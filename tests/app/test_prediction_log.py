"""The log of predictions: every scored reading is in the store or counted as lost, and no prediction waits for the store."""

import signal
import sqlite3
import sys
import time
from contextlib import closing, contextmanager

import httpx
import pytest
from msgspec import structs

from app.settings import Settings
from predictive_maintenance.errors import StoreError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.store.predictions import rows_of_block
from predictive_maintenance.store.store import Store
from predictive_maintenance.store.times import as_keys
from tests.fixtures.run_to_failure import engine, runs_to_failure
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for

from .conftest import READING, MemoryRegistry, start_client, wait_until
from .test_clouds import write_model
from .test_health import samples
from .test_history import as_json

ON = {"prediction_log": True, "prediction_log_seconds": 0.02, "store_timeout_seconds": 0.2}
_ROW_BYTES = 750
"""More than a waiting reading of the milling machine takes."""


@pytest.fixture
def logging_client(make_client):
    """A client of a milling application that logs."""
    return make_client(**ON)


@pytest.fixture
def start_engine(small_engine, engine_params, checked_files, tmp_path, enter):
    """A function that starts an application with an engine's model that logs."""

    def start(**settings):
        registry = MemoryRegistry(versions={"1": small_engine.files}, alias="1")
        return enter(start_client(registry, engine_params, tmp_path, checked_files, **ON | settings))

    return start


@pytest.fixture(scope="module")
def readings():
    """Readings of one engine in the order of their times."""
    return as_json(runs_to_failure(1, seed=8).sort_values("timestamp"))


def counts(client):
    """Scored, written, dropped, waiting predictions."""
    found, sums = samples(client), {}
    for (name, *_), value in found.items():
        sums[name] = sums.get(name, 0) + value
    names = ("readings_total", "predictions_logged_total", "predictions_not_logged_total", "predictions_waiting")
    return tuple(int(sums.get(f"pdm_{name}", 0)) for name in names)


def wait_until_written(client):
    """Wait until each scored reading is written or dropped; return the numbers of both."""
    wait_until(lambda: counts(client)[0] == sum(counts(client)[1:3]) and counts(client)[3] == 0)
    return counts(client)[1:3]


def logged(client, tmp_path):
    """What is in the log: (version, predictions) of each block."""
    wait_until_written(client)
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    with closing(store):
        return list(store.predictions(client.app.state.service.model_name))


def rows_of(blocks):
    return sum(len(predictions.failure_probability) for _, predictions in blocks)


@contextmanager
def locked(path):
    """Another program has the write lock of the store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_reading_without_time_is_logged_with_its_inputs(logging_client, tmp_path):
    before = time.time_ns() // 1000
    answer = logging_client.post("/predict", json=READING | {"reading_id": "a"}, headers={"x-request-id": "r-1"}).json()
    ((version, found),) = logged(logging_client, tmp_path)
    assert version == "1"
    assert before < found.scored[0] < time.time_ns() // 1000
    assert (found.request_id, found.reading_id) == (["r-1"], ["a"])
    assert found.failure_probability == [answer["failure_probability"]]
    assert found.predicted_failure == [answer["predicted_failure"]]
    assert found.inputs == {name: [READING[name]] for name in MILLING.input_names}
    assert (found.machine_id, found.time, found.row) == (None, None, None)


def test_readings_that_are_sent_together_are_one_block(make_client, tmp_path):
    client = make_client(**ON | {"prediction_log_seconds": 60})
    for number in range(5):
        client.post("/predict", json=READING, headers={"x-request-id": f"r-{number}"})
    client.app.state.service.log._wake.set()
    ((_, found),) = logged(client, tmp_path)
    assert found.request_id == [f"r-{number}" for number in range(5)]


def test_readings_of_two_versions_are_two_blocks(make_client, tmp_path):
    client = make_client(**ON | {"prediction_log_seconds": 60})
    client.post("/predict", json=READING)
    log = client.app.state.service.log
    (waiting,) = log._waiting
    log.add(structs.replace(waiting.reading, version="2"))  # which is in production since then
    log._wake.set()
    wait_until(lambda: counts(client)[1] == 2)
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)) as store:
        versions = [version for version, _ in store.predictions(client.app.state.service.model_name)]
    assert versions == ["1", "2"]


def test_a_reading_that_arrives_while_others_are_written_waits_for_the_next_interval(make_client, monkeypatch):
    client = make_client(**ON | {"prediction_log_seconds": 60})
    log, original, written = client.app.state.service.log, Store.writing, []

    @contextmanager
    def writing(self):
        if not written:
            log.add(log._taken[0].reading)
        written.append(1)
        with original(self) as transaction:
            yield transaction

    monkeypatch.setattr(Store, "writing", writing)
    client.post("/predict", json=READING)
    log._wake.set()
    wait_until(lambda: counts(client)[1] == 1)
    time.sleep(0.2)
    assert counts(client)[1:] == (1, 0, 1)


def test_the_valid_rows_of_a_batch_are_logged_with_their_places(logging_client, tmp_path):
    rows = [READING | {"reading_id": str(number)} for number in range(4)]
    rows[1] = rows[1] | {"torque_nm": -1.0}
    answer = logging_client.post("/predict/batch", json=rows, headers={"x-request-id": "r-2"}).json()
    ((version, found),) = logged(logging_client, tmp_path)
    assert (version, found.request_id, found.row) == ("1", "r-2", [1, 3, 4])
    assert found.reading_id == ["0", "2", "3"]
    assert found.failure_probability == [
        row["failure_probability"] for row in answer["predictions"] if "errors" not in row
    ]
    assert found.inputs == {name: [READING[name]] * 3 for name in MILLING.input_names}


def test_a_large_batch_is_logged_completely(logging_client, tmp_path):
    columns = {name: [value] * 25_000 for name, value in READING.items()}
    assert logging_client.post("/predict/batch", json=columns).status_code == 200
    blocks = logged(logging_client, tmp_path)
    assert [found.row for _, found in blocks] == [1, 10_001, 20_001]
    assert rows_of(blocks) == 25_000


def test_a_batch_that_takes_too_much_of_the_queue_is_logged_in_part(make_client, tmp_path):
    client = make_client(**ON | {"prediction_log_bytes": 2 * 2**20})
    columns = {name: [value] * 25_000 for name, value in READING.items()}
    assert client.post("/predict/batch", json=columns).status_code == 200
    assert rows_of(logged(client, tmp_path)) == 10_000
    assert samples(client)["pdm_predictions_not_logged_total", ("reason", "large batch")] == 15_000


def test_a_block_of_many_inputs_has_fewer_rows():
    assert [rows_of_block(inputs) for inputs in (0, 6, 300, 1_000_000)] == [25_000, 10_000, 328, 1]


def test_a_reading_of_a_machine_with_history_is_logged_with_its_place(start_engine, readings, tmp_path):
    client = start_engine(prediction_log_seconds=60)
    client.post("/predict", json=readings[0])
    client.post("/predict", json={name: value for name, value in readings[1].items() if name == "heat"})
    client.post("/predict/batch", json=readings[2:4])
    client.app.state.service.log._wake.set()
    first, batch = (found for _, found in logged(client, tmp_path))
    keys = as_keys(as_times([reading["timestamp"] for reading in readings[:4]], engine())).tolist()
    assert (first.machine_id, first.time) == (["E0", None], [keys[0], None])
    assert first.inputs == {
        "heat": [readings[0]["heat"], readings[1]["heat"]], "ratio": [readings[0].get("ratio"), None]
    }  # fmt: skip
    assert (batch.machine_id, batch.time) == (["E0", "E0"], keys[2:4])


def test_a_reading_that_the_store_has_is_logged_by_machine_and_time(start_engine, readings, tmp_path):
    client = start_engine()
    answers = [client.post("/readings", json=readings[0]), client.post("/readings", json=readings[0])]  # a repetition
    answers += [client.post("/readings", json=readings[1:3])]
    assert {answer.status_code for answer in answers} == {200}
    assert client.post("/readings", json=readings[0] | {"heat": 1.0}).status_code == 409  # not scored
    blocks = [found for _, found in logged(client, tmp_path)]
    keys = as_keys(as_times([reading["timestamp"] for reading in readings[:3]], engine())).tolist()
    assert [key for found in blocks for key in found.time] == [keys[0], keys[0], *keys[1:]]
    assert {name for found in blocks for name in found.machine_id} == {"E0"}
    assert {found.inputs for found in blocks} == {None}
    assert counts(client)[0] == 4


def test_without_a_store_there_is_no_log(make_client, tmp_path):
    client = make_client()
    client.post("/predict", json=READING)
    assert "pdm_predictions_not_logged_total{" not in client.get("/metrics").text
    client.__exit__(None, None, None)
    assert not (tmp_path / "store.db").exists()
    client.__enter__()


@pytest.mark.parametrize(
    ("url", "choice", "is_on"),
    [(None, None, False), (None, True, True), ("sqlite:////a", None, True), ("sqlite:////a", False, False)],
)
def test_the_log_is_on_where_a_store_is_set_unless_the_setting_says_otherwise(url, choice, is_on):
    assert Settings(store_url=url, prediction_log=choice).logs_predictions == is_on


def test_what_does_not_fit_while_the_store_is_locked_is_counted_and_the_rest_is_written(make_client, tmp_path):
    client = make_client(**ON | {"prediction_log_rows": 30})
    client.post("/predict", json=READING)
    assert wait_until_written(client) == (1, 0)
    with locked(tmp_path / "store.db"):
        for _ in range(50):
            assert client.post("/predict", json=READING).status_code == 200
        assert client.post("/predict/batch", json=[READING] * 31).status_code == 200
        wait_until(lambda: client.get("/health").json()["status"] == "degraded")
        wait_until(lambda: counts(client) == (82, 1, 51, 30))
        assert "another program keeps the store locked" in client.get("/model/status").json()["warning"]
    assert wait_until_written(client) == (31, 51)
    assert rows_of(logged(client, tmp_path)) == 31
    assert client.get("/health").json()["status"] == "ok"


def test_the_queue_has_a_limit_in_bytes(make_client, tmp_path):
    client = make_client(**ON | {"prediction_log_bytes": 10 * _ROW_BYTES})
    client.post("/predict", json=READING)
    wait_until_written(client)
    with locked(tmp_path / "store.db"):
        for _ in range(50):
            client.post("/predict", json=READING)
        waiting = 50 - counts(client)[2]
        assert 10 <= waiting <= 15
        long_id = {"reading_id": "x" * 200}
        assert client.post("/predict", json=READING | long_id).status_code == 200
    written, dropped = wait_until_written(client)
    assert (written, dropped) == (1 + waiting, 51 - waiting)
    for _ in range(10):  # what is written takes no memory
        client.post("/predict", json=READING)
    assert wait_until_written(client) == (written + 10, dropped)


def test_predictions_do_not_wait_for_a_locked_store(make_client, tmp_path):
    client = make_client(**ON | {"store_timeout_seconds": 30})
    client.post("/predict", json=READING)
    wait_until_written(client)
    with locked(tmp_path / "store.db"):
        began = time.monotonic()
        for _ in range(100):
            client.post("/predict", json=READING)
        assert time.monotonic() - began < 10
        assert counts(client)[1] == 1
    assert wait_until_written(client) == (101, 0)


def test_predictions_wait_while_the_disk_is_full(make_client, make_disk):
    disk = make_disk(1024)
    client = make_client(**ON | {"store_url": f"sqlite:///{disk.path / 'store.db'}"})
    client.post("/predict", json=READING)
    wait_until_written(client)
    disk.fill()
    sent = 1
    while client.get("/health").json()["status"] == "ok":  # some fit into pages that are there
        assert client.post("/predict/batch", json=[READING] * 100).status_code == 200
        sent += 100
    assert "the disk of the store is full" in client.get("/model/status").json()["warning"]
    assert client.post("/predict", json=READING).status_code == 200
    disk.free()
    assert wait_until_written(client) == (sent + 1, 0)


def test_a_store_that_is_gone_is_not_made_again_and_used_when_it_is_back(logging_client, tmp_path):
    client = logging_client
    client.post("/predict", json=READING)
    wait_until_written(client)
    for path in tmp_path.glob("store.db*"):
        path.rename(tmp_path / f"moved-{path.name}")
    for _ in range(5):
        assert client.post("/predict", json=READING).status_code == 200
    wait_until(lambda: client.get("/health").json()["status"] == "degraded")
    assert not (tmp_path / "store.db").exists()
    for path in tmp_path.glob("moved-store.db*"):
        path.rename(tmp_path / path.name.removeprefix("moved-"))
    assert wait_until_written(client) == (6, 0)
    assert rows_of(logged(client, tmp_path)) == 6


@pytest.mark.long
def test_predictions_wait_while_postgresql_is_stopped(make_client, postgres_server, postgres_url):
    client = make_client(**ON | {"store_url": postgres_url})
    client.post("/predict", json=READING)
    assert wait_until_written(client) == (1, 0)
    postgres_server.stop()
    try:
        for _ in range(20):
            assert client.post("/predict", json=READING).status_code == 200
        assert client.post("/predict/batch", json=[READING] * 20).status_code == 200
        wait_until(lambda: client.get("/health").json()["status"] == "degraded")
        wait_until(lambda: counts(client)[1:] == (1, 0, 40))
    finally:
        postgres_server.start()
    assert wait_until_written(client) == (41, 0)
    with closing(Store.open(postgres_url, timeout_seconds=5)) as store:
        assert rows_of(store.predictions("predictive_maintenance")) == 41


def test_a_commit_whose_answer_was_lost_is_not_logged_twice(logging_client, tmp_path, monkeypatch):
    """The store fails once after the commit, as a connection that breaks at this moment."""
    original, failures = Store.writing, []

    @contextmanager
    def writing(self):
        with original(self) as transaction:
            yield transaction
        if not failures:
            failures.append(1)
            raise StoreError("the connection is lost", 1)

    monkeypatch.setattr(Store, "writing", writing)
    logging_client.post("/predict", json=READING)
    assert wait_until_written(logging_client) == (1, 0)
    assert failures
    assert rows_of(logged(logging_client, tmp_path)) == 1


def test_old_predictions_are_removed(make_client, tmp_path):
    client = make_client(**ON | {"prediction_log_days": 0.5 / 86_400})
    client.post("/predict", json=READING)
    wait_until_written(client)
    time.sleep(0.6)
    client.app.state.service.store.access._next_purge = 0.0  # ten minutes later
    client.post("/predict", json=READING, headers={"x-request-id": "new"})
    ((_, found),) = logged(client, tmp_path)
    assert found.request_id == ["new"]


def test_what_waits_at_the_end_is_written(make_client, tmp_path):
    client = make_client(**ON | {"prediction_log_seconds": 60})
    for _ in range(20):
        client.post("/predict", json=READING)
    client.__exit__(None, None, None)
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)) as store:
        assert rows_of(store.predictions("predictive_maintenance")) == 20
    client.__enter__()


def test_what_cannot_be_written_at_the_end_is_counted_and_not_written_later(make_client, tmp_path, capsys):
    client = make_client(**ON | {"store_timeout_seconds": 3, "shutdown_seconds": 1})
    client.post("/predict", json=READING)
    wait_until_written(client)
    with locked(tmp_path / "store.db"):
        for _ in range(20):
            client.post("/predict", json=READING)
        log, began = client.app.state.service.log, time.monotonic()
        client.__exit__(None, None, None)
        assert time.monotonic() - began < 2.5
        assert "predictions are not in the log predictions=20 " in capsys.readouterr().out
    log._thread.join(10)
    assert not log._thread.is_alive()
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)) as store:
        assert rows_of(store.predictions("predictive_maintenance")) == 1
    client.__enter__()
    assert samples(client)["pdm_predictions_not_logged_total", ("reason", "shutdown")] == 20


def test_the_log_has_no_key_and_no_password(make_client, tmp_path):
    client = make_client(**ON | {"api_key": "s3cret-word"})
    client.headers["x-api-key"] = "s3cret-word"
    client.post("/predict", json=READING, headers={"authorization": "Bearer s3cret-word"})
    wait_until_written(client)
    files = list(tmp_path.glob("store.db*"))
    assert files
    assert not any(b"s3cret" in file.read_bytes() for file in files)


@pytest.fixture
def start_service(small, tmp_path):
    """A function that starts the API in a process that logs every 60 s; returns the process and its URL."""
    write_model(tmp_path / "model", small.files)
    started = []

    def start(*arguments, **variables):
        url = f"http://127.0.0.1:{free_port()}"
        environment = clean_environment(
            PDM_MODEL_DIR=str(tmp_path / "model"), PDM_MODEL_CACHE=str(tmp_path / "cache"),
            PDM_STORE_URL=f"sqlite:///{tmp_path / 'store.db'}", **variables,
        )  # fmt: skip
        command = ["-m", "app", "--port", url.rpartition(":")[2], *arguments]
        started.append(Process([sys.executable, *command], tmp_path / "service.log", environment))
        started[-1].start()
        wait_for(lambda: httpx.get(f"{url}/ready").status_code == 200)
        return started[-1], url

    yield start
    for process in started:
        process.kill()


def stored(tmp_path):
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        return connection.execute("SELECT coalesce(sum(predictions), 0) FROM pdm_predictions").fetchone()[0]


def test_a_restart_loses_nothing_and_a_kill_what_was_scored_since_the_last_write(start_service, tmp_path):
    service, url = start_service(PDM_PREDICTION_LOG_SECONDS="60")
    with httpx.Client(base_url=url) as client:
        for _ in range(100):
            assert client.post("/predict", json=READING).status_code == 200
    assert service.stop(signal.SIGTERM) == 0
    assert stored(tmp_path) == 100
    service, url = start_service(PDM_PREDICTION_LOG_SECONDS="0.5")
    with httpx.Client(base_url=url) as client:
        for _ in range(50):
            client.post("/predict", json=READING)
        wait_for(lambda: counts(client)[1] == 50)
    service.kill()
    assert stored(tmp_path) == 150


@pytest.mark.long
def test_the_counts_of_several_workers_are_added_up(start_service, tmp_path):
    _, url = start_service("--workers", "2", PDM_PREDICTION_LOG_SECONDS="0.5")

    def send():
        answer = httpx.post(f"{url}/predict", json=READING)
        return answer.status_code == 200

    for _ in range(60):
        wait_for(send)
    with httpx.Client(base_url=url) as client:
        wait_for(lambda: counts(client) == (60, 60, 0, 0))
    assert stored(tmp_path) == 60


def inputs(client, tmp_path):
    """Accepted and rejected readings in the store, and how often each field was invalid."""
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    with closing(store):
        found = store.inputs(client.app.state.service.model_name, since=0, until=2**40)
    fields = {}
    for one in found:
        for field, number in one.fields.items():
            fields[field] = fields.get(field, 0) + number
    return sum(one.accepted for one in found), sum(one.rejected for one in found), fields


def test_accepted_and_rejected_readings_are_counted_in_the_store(logging_client, tmp_path):
    hot, unknown = READING | {"torque_nm": 900.0}, READING | {"colour": "red"}
    logging_client.post("/predict", json=READING)
    assert logging_client.post("/predict", json=hot).status_code == 422
    wait_until(lambda: inputs(logging_client, tmp_path)[:2] == (1, 1))
    assert logging_client.post("/predict", json=unknown).status_code == 422
    logging_client.post("/predict/batch", json=[READING, hot, READING, hot])
    assert (
        logging_client.post("/predict/batch", content="a,b\n1,2", headers={"content-type": "text/csv"}).status_code
        == 422
    )
    wait_until(lambda: inputs(logging_client, tmp_path)[:2] == (3, 5))
    fields = inputs(logging_client, tmp_path)[2]
    assert (fields["torque_nm"], fields["unknown"]) == (4, 1)  # 4: the table has no torque, either


def test_a_trial_is_neither_counted_nor_logged(logging_client, tmp_path):
    assert logging_client.post("/predict?log=false&explain=true", json=READING).status_code == 200
    assert logging_client.post("/predict?log=false", json={}).status_code == 422
    assert logging_client.post("/predict/what-if", json=READING).status_code == 200
    assert logging_client.post("/predict/what-if", json={}).status_code == 422
    answer = logging_client.post("/predict/batch?log=false", json=[READING, {}]).json()
    assert (answer["rows"], answer["rejected_rows"]) == (2, 1)
    assert logging_client.post("/predict?log=maybe", json=READING).status_code == 422
    logging_client.post("/predict?log=true", json=READING)
    assert rows_of(logged(logging_client, tmp_path)) == 1
    assert inputs(logging_client, tmp_path) == (1, 0, {})
    assert counts(logging_client)[0] == 1


def test_counts_wait_for_a_store_that_cannot_be_written(make_client, tmp_path):
    client = make_client(**ON)
    with locked(tmp_path / "store.db"):
        client.post("/predict", json=READING)
        client.post("/predict", json={})
        time.sleep(0.5)
    wait_until(lambda: inputs(client, tmp_path)[:2] == (1, 1))
