"""Messages about alarms that were not delivered are in GET /deliveries and in the metrics."""

import pytest

from predictive_maintenance.errors import StoreError
from predictive_maintenance.store.store import Store

from .conftest import MemoryRegistry, start_client
from .test_kept_events import hot


@pytest.fixture
def client(small_pump, pump_params, checked_files, tmp_path, enter):
    """An application of pumps without readings."""
    registry = MemoryRegistry(versions={"1": dict(small_pump.files)}, alias="1")
    return enter(start_client(registry, pump_params, tmp_path, checked_files))


@pytest.fixture
def store(client, tmp_path):
    """Its store, with an open alarm that is to be delivered."""
    for hour in range(3):
        client.post("/readings", json=hot(hour))
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    with store.writing() as transaction:
        transaction.begin_deliveries(client.get("/deliveries").json()["model_name"], 1_800_000_000)
    yield store
    store.close()


def fail(store, client, state, **how):
    """Note that the message could not be sent."""
    (due,) = store.due_deliveries(client.get("/deliveries").json()["model_name"], now=10**10, most=5)
    with store.writing() as transaction:
        assert transaction.claim_delivery(due, 10**10)
        transaction.end_delivery(due, state, **how)


def messages(client):
    """The metric, by state."""
    lines = client.get("/metrics").text.splitlines()
    return dict(
        line.removeprefix("pdm_alarm_messages").split() for line in lines if line.startswith("pdm_alarm_messages{")
    )


def test_a_message_waits_from_the_start_on_and_is_then_shown_with_its_last_error(client, store):
    assert messages(client) == {'{state="waiting"}': "1.0", '{state="dead"}': "0.0"}
    answer = client.get("/deliveries").json()
    assert (answer["began"], answer["waiting"], answer["dead"], answer["messages"]) == (
        "2027-01-15T08:00:00Z",
        1,
        0,
        [],
    )
    fail(store, client, "waiting", due=1_800_000_010, reason="answer 503: closed")
    (message,) = client.get("/deliveries").json()["messages"]
    assert message == {
        "machine_id": "P1", "opened": "2024-03-01T00:00:00Z", "event": "alarm.opened", "state": "waiting", "attempts": 1,
        "next_attempt": "2027-01-15T08:00:10Z", "reason": "answer 503: closed",
    }  # fmt: skip


def test_a_message_that_was_given_up_is_counted_and_shown(client, store):
    fail(store, client, "dead", reason="answer 400: no such field")
    assert messages(client) == {'{state="waiting"}': "0.0", '{state="dead"}': "1.0"}
    (message,) = client.get("/deliveries").json()["messages"]
    assert (message["state"], message["next_attempt"], message["reason"]) == ("dead", None, "answer 400: no such field")
    assert client.get("/deliveries?limit=0").status_code == 422


def test_a_service_that_delivers_nothing_has_no_such_metric_and_makes_no_store_for_it(client, tmp_path):
    assert messages(client) == {}
    assert not (tmp_path / "store.db").exists()
    client.post("/readings", json=hot(0))
    assert messages(client) == {}
    assert client.get("/deliveries").json()["began"] is None


def test_metrics_do_without_the_store(client, store, tmp_path):
    (tmp_path / "store.db").rename(tmp_path / "elsewhere.db")
    assert client.get("/metrics").status_code == 200
    assert messages(client) == {}


def test_metrics_that_read_the_store_do_not_hide_that_it_cannot_be_written(client, store):
    access = client.app.state.service.store.access
    access.report(StoreError("the disk of the store is full", 60))
    assert messages(client)
    assert client.get("/health").json()["status"] == "degraded"
