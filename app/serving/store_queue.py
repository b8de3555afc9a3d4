"""Readings on their way into the store, and the threads that use it, because a database blocks."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from predictive_maintenance.errors import StoreError

from ..bounded_executor import BoundedExecutor
from ..problems import busy
from .kept_reading import KeptReading, NewReading, keep_readings
from .store_access import StoreAccess

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

T = TypeVar("T")

_MOST_TOGETHER = 64
"""Readings in one transaction: other processes wait for its end, some 20 ms."""


class StoreQueue:
    """Keeps single readings in one thread. Those that wait at the same time share a transaction: its commit takes longest.

    Nothing but what waits is in memory: what an answer depends on is read from the store. `access` opens it. At most
    `max_waiting` other requests wait for each thread.
    """

    def __init__(self, access: StoreAccess, max_waiting: int) -> None:
        self.access = access
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._reader = BoundedExecutor(max_waiting, "requests for what is in the store")
        self._max_waiting, self._writes = max_waiting, 0
        self._turn = asyncio.Lock()
        self._waiting: list[tuple[NewReading, asyncio.Future[KeptReading]]] = []
        self._runs = False

    async def keep(self, reading: NewReading) -> KeptReading:
        """Return the answer to a reading when it is committed. Raises StoreError if it is not."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[KeptReading] = loop.create_future()
        self._waiting.append((reading, answer))
        if not self._runs:
            self._runs = True
            loop.call_soon(self._start, loop)  # together with those that the loop receives now
        return await answer

    async def read(self, work: Callable[["Store"], T], *, notes_use: bool = True) -> T:
        """Return what `work` reads from the store. Raises StoreError, and Problem 503 if the queue is full.

        With `notes_use`, the service works again if this does. A regular read should not say so: nothing may be writable.
        """
        return await self._reader.run(self._in_store if notes_use else self._unnoted, work)

    async def write(self, work: Callable[["Store"], T]) -> T:
        """Return what `work` returns after it has changed the store. Raises StoreError, and Problem 503 if the queue is full.

        One waits in the thread at a time, so that readings need not wait for all of them.
        """
        if self._writes >= self._max_waiting:
            raise busy(f"{self._writes} requests with events are waiting already (PDM_MAX_WAITING)")
        self._writes += 1
        try:
            async with self._turn:
                return await asyncio.get_running_loop().run_in_executor(self._writer, self._in_store, work)
        finally:
            self._writes -= 1

    def close(self) -> None:
        """End the threads without waiting: the server has already waited for the requests."""
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._reader.close()
        self.access.close()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand the readings that wait to the thread."""
        group, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
        running = loop.run_in_executor(self._writer, self._keep, [reading for reading, _ in group])
        running.add_done_callback(lambda done: self._finish(loop, [answer for _, answer in group], done))

    def _keep(self, readings: Sequence[NewReading]) -> list[KeptReading]:
        kept = self._in_store(lambda store: keep_readings(store, readings))
        self.access.purge()
        return kept

    def _in_store(self, work: Callable[["Store"], T]) -> T:
        try:
            result = work(self.access.open())
        except StoreError as error:
            self.access.report(error)
            raise
        self.access.report(None)
        return result

    def _unnoted(self, work: Callable[["Store"], T]) -> T:
        return work(self.access.open())

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        answers: list[asyncio.Future[KeptReading]],
        done: "asyncio.Future[list[KeptReading]]",
    ) -> None:
        """Answer a group. If the store does not work, those that wait get the same error: each would wait as long."""
        error = None if done.cancelled() else done.exception()
        if isinstance(error, StoreError):
            answers += [answer for _, answer in self._waiting]
            self._waiting = []
        for place, answer in enumerate(answers):
            if answer.done():  # its client has left
                continue
            if done.cancelled():
                answer.cancel()
            elif error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result()[place])
        if self._waiting:
            self._start(loop)
        else:
            self._runs = False
