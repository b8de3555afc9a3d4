"""A database that accepts and does not answer: predictions go on, the store's routes answer 503, and all goes on afterwards."""

import pytest

from predictive_maintenance.store.store import Transaction
from tests.fixtures.run_to_failure import runs_to_failure
from tests.fixtures.silent_proxies import LEAVES_SOCKETS, silent_proxy

from .conftest import READING, MemoryRegistry, start_client, wait_until
from .test_health import samples
from .test_history import as_json
from .test_prediction_log import ON, counts, logged, rows_of, wait_until_written
from .test_store_faults import refused

pytestmark = LEAVES_SOCKETS

NO_ANSWER = "the database does not answer"


@pytest.fixture
def proxy(postgres_url):
    with silent_proxy(postgres_url) as proxy:
        yield proxy


def test_a_database_that_does_not_answer_costs_no_prediction_and_no_thread(
    proxy, small_engine, engine_params, checked_files, tmp_path, enter
):
    readings = as_json(runs_to_failure(1, seed=8).sort_values("timestamp"))
    registry = MemoryRegistry(versions={"1": small_engine.files}, alias="1")
    client = enter(start_client(registry, engine_params, tmp_path, checked_files, **ON | {"store_url": proxy.url}))
    assert client.post("/readings", json=readings[0]).status_code == 200
    wait_until_written(client)
    with proxy.silent():
        assert client.post("/predict", json=readings[1]).status_code == 200
        refused(client, "/readings", NO_ANSWER, "5", json=readings[1])
        refused(client, "/readings", NO_ANSWER, "5", json=readings[1:3])
        refused(client, "/machines", NO_ANSWER, "5")
        health = client.get("/health").json()
        assert (health["status"], health["warning"]) == ("degraded", "the store of readings cannot be used")
        assert NO_ANSWER in client.get("/model/status").json()["warning"]
        assert client.app.state.service.log._thread.is_alive()
        assert counts(client)[3] == 1  # it waits
    assert client.post("/readings", json=readings[1]).status_code == 200
    assert client.post("/readings", json=readings[1:3]).json()["rejected_rows"] == 0
    wait_until(lambda: client.get("/machines/E0").json()["readings"] == 3)
    assert wait_until_written(client) == (5, 0)
    assert client.get("/health").json()["status"] == "ok"


def test_an_unexpected_error_costs_the_log_one_transaction(make_client, tmp_path, monkeypatch):
    client, original = make_client(**ON), Transaction.log

    def fails(self, *arguments):
        monkeypatch.setattr(Transaction, "log", original)
        raise ZeroDivisionError("nobody expected it")

    monkeypatch.setattr(Transaction, "log", fails)
    client.post("/predict", json=READING)
    wait_until(lambda: counts(client)[2] == 1)
    assert samples(client)["pdm_predictions_not_logged_total", ("reason", "error")] == 1
    client.post("/predict", json=READING)
    assert rows_of(logged(client, tmp_path)) == 1
    assert client.get("/health").json()["status"] == "ok"
