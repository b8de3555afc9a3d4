"""The work of a client that has left ends, or does not begin."""

import asyncio
import threading

import pytest

from app.bounded_executor import BoundedExecutor
from app.http.disconnect import run_while_connected
from app.problems import Problem


class Connection:
    """The receiving side of a request whose body is complete. `leave` disconnects the client."""

    def __init__(self):
        self._left = asyncio.Event()

    async def receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    def leave(self):
        self._left.set()


def test_waiting_work_of_a_client_that_leaves_does_not_begin():
    async def scenario():
        executor, release, calls = BoundedExecutor(8, "explanations"), threading.Event(), []
        busy = asyncio.create_task(executor.run(release.wait, 30))
        await asyncio.sleep(0)
        connection = Connection()
        waiting = asyncio.create_task(run_while_connected(connection, executor.run(calls.append, "called")))
        await asyncio.sleep(0.01)
        connection.leave()
        with pytest.raises(Problem, match="the client disconnected"):
            await waiting
        release.set()
        await busy
        executor.close()
        return calls

    assert asyncio.run(scenario()) == []


def test_work_for_a_client_that_waits_is_returned_and_its_error_raised():
    async def fail():
        raise ValueError("wrong")

    async def scenario():
        assert await run_while_connected(Connection(), asyncio.sleep(0.01, "done")) == "done"
        with pytest.raises(ValueError, match="wrong"):
            await run_while_connected(Connection(), fail())

    asyncio.run(scenario())
