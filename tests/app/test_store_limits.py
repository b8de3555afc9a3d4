"""Requests that use the store: what waits and what is held is bounded, and readings need not wait for all events."""

import asyncio
import threading

import pytest

from app.problems import Problem
from app.serving.store_access import StoreAccess, StoreOptions
from app.serving.store_queue import StoreQueue
from tests.fixtures.run_to_failure import runs_to_failure

from .conftest import MemoryRegistry, start_client
from .test_history import as_json

MACHINE = "/machines/E0"


@pytest.fixture
def client(small_engine, engine_params, checked_files, tmp_path, enter):
    """A client of an application whose store has the readings of one engine."""
    registry = MemoryRegistry(versions={"1": small_engine.files}, alias="1")
    client = enter(start_client(registry, engine_params, tmp_path, checked_files))
    assert client.post("/readings", json=as_json(runs_to_failure(1))).status_code == 200
    return client


@pytest.fixture
def make_queue(sqlite_url):
    """A function that makes the queue of a store."""

    def make(max_waiting):
        options = StoreOptions(
            url=sqlite_url,
            model_name="engine",
            timeout_seconds=5,
            synchronous="normal",
            retention_days=1,
            audit_days=1,
            prediction_days=1,
            max_clock_skew_seconds=0,
        )
        return StoreQueue(StoreAccess(options), max_waiting)

    return make


@pytest.mark.parametrize("path", [MACHINE, "/machines", "/alarms"])
def test_answers_from_the_store_are_refused_while_others_take_the_memory(client, path):
    budget = client.app.state.service.batches.budget
    assert client.get(path).status_code == 200
    assert budget.held_bytes == 0
    budget.held_bytes = 2 * client.app.state.service.settings.max_request_bytes + 1
    answer = client.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    reading = as_json(runs_to_failure(1))[0] | {"machine_id": "another"}
    assert client.post("/readings", json=reading).status_code == 503  # its body counts, too
    budget.held_bytes = 0
    assert client.get(path).status_code == 200


def test_an_answer_counts_with_its_size(client, monkeypatch):
    sizes, budget = [], client.app.state.service.batches.budget
    monkeypatch.setattr(budget, "check", lambda more=0: sizes.append(more))
    assert len(client.get(MACHINE).content) in sizes
    assert budget.held_bytes == 0


@pytest.mark.parametrize("kind", ["read", "write"])
def test_more_requests_than_may_wait_are_refused(make_queue, kind):
    async def scenario():
        queue, release = make_queue(2), threading.Event()
        use = getattr(queue, kind)
        running = [asyncio.create_task(use(lambda _: release.wait(30))) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(Problem, match=r"2 requests .* are waiting already \(PDM_MAX_WAITING\)"):
            await use(lambda _: None)
        release.set()
        assert await asyncio.gather(*running) == [True, True]
        assert await use(lambda _: "again") == "again"
        queue.close()

    asyncio.run(scenario())


def test_a_reading_waits_for_one_request_with_events_only(make_queue):
    async def scenario():
        queue, order, release = make_queue(8), [], threading.Event()

        def first(_store):
            release.wait(30)
            order.append("events")

        writes = [asyncio.create_task(queue.write(first))]
        await asyncio.sleep(0.01)
        writes += [asyncio.create_task(queue.write(lambda _: order.append("events"))) for _ in range(5)]
        await asyncio.sleep(0.01)
        # As `keep` does with a group of readings.
        reading = asyncio.get_running_loop().run_in_executor(queue._writer, order.append, "reading")
        release.set()
        await asyncio.gather(reading, *writes)
        queue.close()
        return order

    assert asyncio.run(scenario()) == ["events", "reading", *["events"] * 5]


def test_events_that_wait_for_a_client_that_leaves_are_not_kept(make_queue):
    async def scenario():
        queue, release, kept = make_queue(8), threading.Event(), []
        running = asyncio.create_task(queue.write(lambda _: release.wait(30)))
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(queue.write(kept.append))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait((waiting,))
        release.set()
        await running
        queue.close()
        return kept

    assert asyncio.run(scenario()) == []
