"""Score batches in a process of their own, one at a time, each within a deadline."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar

import structlog

from ..problems import Problem
from .byte_budget import ByteBudget, HeldBytes, busy
from .messages import Failed, Job, OutOfMemory, Refused, Scored
from .process import WorkerEndedError, WorkerProcess

T = TypeVar("T")

_OUT_OF_MEMORY_CODES = (-signal.SIGABRT, -signal.SIGKILL)
"""Libraries that cannot report a failed allocation abort; the kernel kills a process when the system has no memory."""

_log = structlog.get_logger()


class BatchFailedError(Exception):
    """An unexpected error in the worker process, with its traceback."""


class BatchWorker:
    """The queue of batches and the process that scores them.

    The process starts with the first batch. It is ended, and started again for the next batch, when a batch exceeds its
    deadline or the memory limit, or when the client of the batch has left.
    """

    def __init__(self, *, max_waiting: int, max_held_bytes: int, deadline_seconds: float, memory_mib: int) -> None:
        self.budget = ByteBudget(max_held_bytes)
        self._max_waiting, self._deadline_seconds, self._memory_mib = max_waiting, deadline_seconds, memory_mib
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch-worker")
        self._process: WorkerProcess | None = None

    async def run(self, job: Job, body: bytes, held: HeldBytes) -> tuple[Scored, bytearray]:
        """Return the result and the answer, whose bytes are `held`. If this is cancelled, the work ends.

        Raises Problem if the batch is refused, or exceeds the memory limit or its deadline, which covers the time in the queue.
        """
        if self._waiting >= self._max_waiting:
            raise busy(f"{self._waiting} batches are waiting already (PDM_MAX_WAITING)")
        self._waiting += 1
        running: WorkerProcess | None = None
        try:
            async with asyncio.timeout(self._deadline_seconds), self._turn:
                self.budget.check()
                running = await self._in_thread(self._start)
                result, answer = await self._in_thread(running.run, job, body)
                running = None
                held.replace(len(answer))
        except TimeoutError:
            raise self._timed_out(running is not None) from None
        except WorkerEndedError as error:
            running = None
            raise self._ended(error) from None
        finally:
            self._waiting -= 1
            if running:
                running.kill()
        match result:
            case Scored():
                return result, answer
            case Refused():
                raise Problem(HTTPStatus(result.status), result.detail, result.errors)
            case OutOfMemory():
                raise self._out_of_memory()
            case Failed():
                raise BatchFailedError(result.traceback)

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
        self._thread.shutdown(wait=True)
        if self._process:
            self._process.close()

    def _start(self) -> WorkerProcess:
        """Return the process; start it if there is none. The only method that runs in the thread."""
        if self._process and self._process.has_ended:
            self._process.close()
            self._process = None
        self._process = self._process or WorkerProcess(self._memory_mib)
        return self._process

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _timed_out(self, started: bool) -> Problem:
        within = f"within {self._deadline_seconds:g} s (PDM_BATCH_DEADLINE_SECONDS)"
        if not started:
            return busy(f"the batch had no turn {within}")
        _log.warning("batch ended at its deadline", seconds=self._deadline_seconds)
        return Problem(HTTPStatus.GATEWAY_TIMEOUT, f"the batch was not scored {within}: send fewer rows")

    def _ended(self, error: WorkerEndedError) -> Problem:
        if error.return_code in _OUT_OF_MEMORY_CODES:
            return self._out_of_memory()
        _log.error("batch worker ended", return_code=error.return_code)
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"the process that scores batches ended with return code {error.return_code}: send the batch as another "
            "content type, and report this to the operator of this service",
        )

    def _out_of_memory(self) -> Problem:
        _log.warning("batch exceeded the memory limit", mib=self._memory_mib)
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the batch needs more memory than {self._memory_mib} MiB (PDM_BATCH_MEMORY_MIB): send it in parts",
        )
