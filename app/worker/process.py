"""The worker process as the service sees it: start, send a batch and receive its answer, end. All calls block."""

import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ..child_process import child_environment
from .messages import OUT_OF_MEMORY, Job, Result, receive, send

_START_SECONDS = 60.0
_END_SECONDS = 5.0
_STANDARD_ERROR = 2
_SAMPLE_MILLISECONDS = 20
_MOST_OF_LIMIT = 0.8
_OUT_OF_MEMORY_SIGNALS = (-signal.SIGABRT, -signal.SIGKILL)
"""C++ libraries abort if an allocation fails, and the kernel kills a process if the container's memory is used up."""
_ENVIRONMENT = {
    # Pools reserve memory that counts against the limit.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # Large blocks go back to the system when they are freed. Without a fixed threshold, they fragment the heap.
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(128 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(1024 * 1024),
}


class WorkerEndedError(Exception):
    """The process has ended without a result. Negative `return_code`: the signal that ended it.

    A library that cannot allocate memory may abort the process, crash, as msgspec does, or raise another error than MemoryError.
    `was_at_limit` is whether the process had used most of the memory that it may use.
    """

    def __init__(self, return_code: int, was_at_limit: bool = False) -> None:
        super().__init__(f"the worker process has ended with return code {return_code}")
        self.return_code, self.was_at_limit = return_code, was_at_limit

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the batch needs more memory than the process may use, for certain or most likely."""
        return self.was_at_limit or self.return_code in (OUT_OF_MEMORY, *_OUT_OF_MEMORY_SIGNALS)

    @property
    def reason(self) -> str:
        """How the process ended, in words."""
        if self.return_code < 0:
            return f"crashed ({signal.Signals(-self.return_code).name})"
        return f"ended with return code {self.return_code}"


class WorkerProcess:
    """A process that scores one batch at a time."""

    def __init__(self, memory_mib: int) -> None:
        """Start the process. Raises WorkerEndedError if it ends while it starts."""
        self._memory_mib = memory_mib
        self._peak_mib = 0.0
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  no part of the command comes from a request
                [sys.executable, "-m", "app.worker", str(theirs.fileno()), str(memory_mib)],
                stdin=subprocess.DEVNULL,
                stdout=_STANDARD_ERROR,
                pass_fds=[theirs.fileno()],
                env=child_environment() | _ENVIRONMENT,
            )
        self.has_ended = False
        self.batches = 0
        try:
            self._connection.settimeout(_START_SECONDS)
            is_ready = self._connection.recv(1)
            self._connection.settimeout(None)
        except OSError:
            is_ready = b""
        if not is_ready:
            raise self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, job: Job, body: bytes | bytearray) -> tuple[Result, bytearray]:
        """Score a batch. Raises WorkerEndedError if the process ends before its answer, also by `kill`."""
        self.batches += 1
        try:
            send(self._connection, job, body)
            self._watch_memory()
            return receive(self._connection, Result)
        except (OSError, EOFError):
            raise self._end() from None

    def kill(self) -> None:
        """End the process at once. May be called from another thread while `run` waits."""
        self.has_ended = True
        self._process.kill()

    def close(self) -> None:
        """End the process if it has not ended, and wait for its end."""
        self._end()

    def _end(self) -> WorkerEndedError:
        """The error of a process that has ended, after its end."""
        self.has_ended = True
        self._connection.close()
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return WorkerEndedError(code, self._peak_mib > _MOST_OF_LIMIT * self._memory_mib)

    def _watch_memory(self) -> None:
        """Note the peak of the process's memory until it answers or ends.

        The peak that the kernel reports after the end includes the memory of the process that started it.
        """
        answer = select.poll()  # select.select takes no descriptor above 1,023
        answer.register(self._connection, select.POLLIN)
        while not answer.poll(_SAMPLE_MILLISECONDS):
            self._peak_mib = max(self._peak_mib, _peak_mib(self.pid))


def _peak_mib(pid: int) -> float:
    """The peak of a process's resident memory; 0 where the system does not say it."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
