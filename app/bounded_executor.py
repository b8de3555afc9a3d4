"""A thread for work that would block the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .problems import busy

T = TypeVar("T")


class BoundedExecutor:
    """One thread with a bounded queue. `work` says what waits in it, such as "explanations"."""

    def __init__(self, max_waiting: int, work: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=work.replace(" ", "-"))
        self._max_waiting, self._waiting, self._work = max_waiting, 0, work

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return `work(*arguments)`, called in the thread. Raises Problem 503 if the queue is full.

        If this is cancelled before the thread calls `work`, it does not.
        """
        if self._waiting >= self._max_waiting:
            raise busy(f"{self._waiting} {self._work} are waiting already (PDM_MAX_WAITING)")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End without waiting: the server has already waited for the requests."""
        self._thread.shutdown(wait=False, cancel_futures=True)
