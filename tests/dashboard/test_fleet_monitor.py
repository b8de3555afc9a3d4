"""Reading all machines in the store, once for all sessions."""

import httpx
import pytest

from dashboard import fleet_monitor
from dashboard.api_client import ApiClient
from dashboard.fleet_monitor import FleetMonitor
from dashboard.settings import Settings

from .stored_machines import summary


@pytest.fixture
def pages():
    """The pages of the list, by the parameter `after`."""
    return {"": (["A", "B"], "B"), "B": (["C", "D"], "D"), "D": (["E"], None)}


@pytest.fixture
def requests():
    return []


@pytest.fixture
def monitor(pages, requests, clock):
    def answer(request):
        after = request.url.params["after"]
        requests.append(after)
        clock.now += 2
        if after not in pages:
            return httpx.Response(500, json={"detail": "no such page"})
        ids, following = pages[after]
        machines = [summary(machine_id) for machine_id in ids]
        return httpx.Response(200, json={"model_name": "test", "machines": machines, "next": following})

    api = ApiClient(Settings(api_url="http://plant:8000"), httpx.MockTransport(answer))
    return FleetMonitor(api=api, poll_seconds=5, clock=clock)


def ids(snapshot):
    return "".join(machine.machine_id for machine in snapshot.machines)


def test_all_pages_are_read(monitor, requests):
    snapshot = monitor.snapshot()
    assert ids(snapshot) == "ABCDE"
    assert snapshot.is_complete
    assert requests == ["", "B", "D"]


def test_the_list_is_read_again_after_a_pause_in_relation_to_its_duration(monitor, requests, clock):
    monitor.snapshot()
    clock.now += 23  # reading took 6 s
    monitor.snapshot()
    assert len(requests) == 3
    clock.now += 2
    monitor.snapshot()
    assert len(requests) == 6


def test_a_list_with_too_many_machines_is_not_complete(monitor, monkeypatch):
    monkeypatch.setattr(fleet_monitor, "MAX_MACHINES", 3)
    snapshot = monitor.snapshot()
    assert ids(snapshot) == "ABCD"
    assert not snapshot.is_complete


def test_a_failed_read_keeps_the_machines_of_the_last_one(monitor, pages, clock):
    before = monitor.snapshot()
    del pages["D"]
    clock.now += 60
    snapshot = monitor.snapshot()
    assert ids(snapshot) == "ABCDE"
    assert snapshot.received_at == before.received_at
    assert "no such page" in str(snapshot.error)
    assert snapshot.has_store
