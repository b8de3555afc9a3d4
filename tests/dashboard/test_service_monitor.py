"""The monitor polls the API once for all sessions and keeps the last known state."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.schemas.health import Health
from dashboard.api_client import ApiClient
from dashboard.service_monitor import ServiceMonitor, Snapshot
from dashboard.settings import Settings

from .conftest import READING, ServiceTransport

NOT_REACHABLE = httpx.ConnectError("refused")


@pytest.fixture
def monitor(api, clock):
    return ServiceMonitor(api=api, poll_seconds=5, clock=clock)


def test_any_number_of_callers_cause_one_poll_per_interval(monitor, transport, clock):
    for _ in range(5):
        monitor.snapshot()
    assert transport.requested_paths.count("/health") == 1
    clock.now += 5
    monitor.snapshot()
    assert transport.requested_paths.count("/health") == 2


def test_the_registry_is_polled_less_often_than_the_service(monitor, transport, clock):
    for _ in range(7):
        monitor.snapshot()
        clock.now += 5
    assert transport.requested_paths.count("/health") == 7
    assert transport.requested_paths.count("/model/history") == 2


def test_a_new_version_is_requested_immediately(monitor, transport, clock, full_registry):
    assert monitor.snapshot().model_card.version == "1"
    full_registry.alias = "2"
    transport.poll_registry()
    clock.now += 5
    assert monitor.snapshot().model_card.version == "2"


def test_the_last_known_state_stays_with_its_age_while_the_service_is_not_reachable(monitor, transport, clock):
    known = monitor.snapshot()
    transport.fault = NOT_REACHABLE
    clock.now += 5
    later = monitor.snapshot()
    assert "is not reachable" in later.error
    assert (later.model_card, later.versions, later.received_at) == (
        known.model_card,
        known.versions,
        known.received_at,
    )
    assert later.age_seconds(known.received_at + timedelta(seconds=90)) == 90


def test_a_caller_gets_the_previous_state_while_another_thread_polls(monitor, clock):
    known = monitor.snapshot()
    started, proceed = threading.Event(), threading.Event()
    health = monitor.api.health

    def slow_health():
        started.set()
        assert proceed.wait(10)
        return health()

    monitor.api.health = slow_health
    clock.now += 5
    other = threading.Thread(target=monitor.snapshot)
    other.start()
    assert started.wait(10)
    assert monitor.snapshot() is known
    proceed.set()
    other.join()
    assert monitor.snapshot() is not known


def test_a_wrong_api_key_is_reported_with_the_setting(make_client, clock, full_registry):
    transport = ServiceTransport(lambda: make_client(api_key="right"))

    def snapshot_with(key):
        api = ApiClient(Settings(api_url="http://plant", api_key=key), transport)
        return ServiceMonitor(api=api, poll_seconds=0, clock=clock).snapshot()

    wrong = snapshot_with("wrong")
    assert wrong.health.serving_version == "1"
    assert wrong.model_card is None
    assert wrong.failed_requests == ("the API requires a key: set PDM_API_KEY to one of the API's keys",)
    right = snapshot_with("right")
    assert (right.model_card.version, right.failed_requests) == ("1", ())


def test_the_message_has_the_details_that_only_the_status_route_gives(monitor, transport, full_registry):
    transport.service.get("/health")
    full_registry.down = "MLflow at http://plant:5000 does not answer"
    transport.poll_registry()
    assert "plant" not in transport.service.get("/health").text
    assert monitor.snapshot().health_message == "MLflow at http://plant:5000 does not answer"


def test_traffic_counts_only_scoring_requests_since_the_first_poll(monitor, transport, clock):
    assert monitor.snapshot().traffic is None
    clock.now += 30
    for _ in range(3):
        transport.service.post("/predict", json=READING)
    transport.service.post("/predict", json={})
    transport.service.get("/model")
    traffic = monitor.snapshot().traffic
    assert (traffic.seconds, traffic.requests) == (30, 4)
    assert monitor.snapshot().counters.client_errors == 1
    assert 0 < traffic.median_seconds <= traffic.p95_seconds


def test_a_restart_of_the_service_resets_the_traffic(monitor, transport, clock, make_client):
    monitor.snapshot()
    transport.service.post("/predict", json=READING)
    clock.now += 5
    assert monitor.snapshot().traffic.requests == 1
    transport.service = make_client()
    clock.now += 5
    restarted = monitor.snapshot()
    assert restarted.traffic is None
    assert restarted.counters.requests == 0


def test_traffic_covers_at_most_15_minutes(monitor, transport, clock):
    monitor.snapshot()
    transport.service.post("/predict", json=READING)
    for _ in range(4):
        clock.now += 300
        monitor.snapshot()
    assert monitor.snapshot().traffic.seconds == 900
    assert monitor.snapshot().traffic.requests == 0


def test_the_snapshot_has_the_time_of_the_response(monitor):
    assert datetime.now(UTC) - monitor.snapshot().received_at < timedelta(seconds=5)


def test_commands_name_the_machine_of_the_service_if_it_has_one():
    snapshot = Snapshot(url="http://plant:8000")
    assert snapshot.flow_command("run") == "python flows/train_flow.py run"
    for machine, argument in ((None, ""), ("fleet", " --machine fleet"), ("a b", " --machine 'a b'")):
        told = replace(snapshot, health=Health(status="ok", machine=machine))
        assert told.program_command("shadow") == f"predictive-maintenance shadow{argument}"
