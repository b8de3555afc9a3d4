"""Score batches in a process of their own, one at a time, each within a deadline."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

import structlog

from predictive_maintenance.errors import StoreError

from ..problems import Problem, busy
from .byte_budget import ByteBudget, HeldBytes
from .messages import Failed, Job, Refused, Result, Scored, Stored, StoreFailed
from .process import WorkerEndedError, WorkerProcess

T = TypeVar("T")

_GRACE_SECONDS = 0.5
"""The time that the batch of a client that has left may still take: a new process takes longer than most batches."""

_log = structlog.get_logger()


class BatchFailedError(Exception):
    """An unexpected error in the worker process, with its traceback."""


class BatchWorker:
    """The queue of batches and the process that scores them.

    The process starts with the first batch. It is ended, and started again for the next batch, when a batch exceeds its
    deadline or the memory limit, or when the client of the batch has left and it is not done soon after.
    """

    def __init__(self, *, max_waiting: int, max_held_bytes: int, deadline_seconds: float, memory_mib: int) -> None:
        self.budget = ByteBudget(max_held_bytes)
        self._max_waiting, self._deadline_seconds, self._memory_mib = max_waiting, deadline_seconds, memory_mib
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch-worker")
        self._process: WorkerProcess | None = None

    async def run(self, job: Job, body: bytes | bytearray, held: HeldBytes) -> tuple[Scored | Stored, bytearray]:
        """Return the result and the answer, whose bytes are `held`. If this is cancelled, the work ends.

        Raises StoreError, and Problem if the batch is refused, or exceeds the memory limit or its deadline, which covers the time
        in the queue.
        """
        if self._waiting >= self._max_waiting:
            raise busy(f"the queue for batches is full (PDM_MAX_WAITING: {self._max_waiting})")
        self._waiting += 1
        has_turn = False
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline, self._turn:
                has_turn = True
                self.budget.check()
                result, answer = await self._score(job, body, deadline)
                held.replace(len(answer))
        except TimeoutError:
            raise self._timed_out(has_turn) from None
        except WorkerEndedError as error:
            raise self._ended(error) from None
        finally:
            self._waiting -= 1
        match result:
            case Scored() | Stored():
                return result, answer
            case Refused():
                raise Problem(HTTPStatus(result.status), result.detail, result.errors, result.headers)
            case StoreFailed():
                raise StoreError(result.reason, retry_seconds=result.retry_seconds, replaced=result.replaced)
            case Failed():
                raise BatchFailedError(result.traceback)

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
        self._thread.shutdown(wait=True)
        if self._process:
            self._process.close()

    async def _score(self, job: Job, body: bytes | bytearray, deadline: asyncio.Timeout) -> tuple[Result, bytearray]:
        process = self._process
        if process is None or process.has_ended:
            process = await self._in_thread(self._start)
        running = asyncio.ensure_future(self._in_thread(process.run, job, body))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not deadline.expired():
                await asyncio.wait((running,), timeout=_GRACE_SECONDS)
            if not running.done():
                process.kill()
            await asyncio.gather(running, return_exceptions=True)
            raise
        except WorkerEndedError as error:
            if process.batches == 1 or not error.is_out_of_memory:
                raise
        # Earlier batches have left the memory of that process fragmented. A new one has all of it.
        return await self._score(job, body, deadline)

    def _start(self) -> WorkerProcess:
        """Return the process; start it if there is none, which takes a second. Called in the thread."""
        if self._process and self._process.has_ended:
            self._process.close()
            self._process = None
        self._process = self._process or WorkerProcess(self._memory_mib)
        return self._process

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _timed_out(self, had_turn: bool) -> Problem:
        within = f"within {self._deadline_seconds:g} s (PDM_BATCH_DEADLINE_SECONDS)"
        if not had_turn:
            return busy(f"the batch had no turn {within}")
        _log.warning("batch ended at its deadline", seconds=self._deadline_seconds)
        return Problem(HTTPStatus.GATEWAY_TIMEOUT, f"the batch was not scored {within}: send fewer rows")

    def _ended(self, error: WorkerEndedError) -> Problem:
        _log.warning("batch worker ended", return_code=error.return_code, memory_mib=self._memory_mib)
        if error.is_out_of_memory:
            return Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the batch needs more memory than {self._memory_mib} MiB (PDM_BATCH_MEMORY_MIB): send it in parts",
            )
        return Problem(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            f"the process that scores batches {error.reason}: report it to the operator of this service",
        )
