"""The worker process as the service sees it: start, send a batch and receive its answer, end. All calls block."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time

from ..child_process import child_environment
from .messages import OUT_OF_MEMORY, Job, Result, receive, send

_START_SECONDS = 60.0
_END_SECONDS = 5.0
_STANDARD_ERROR = 2
_POLL_SECONDS = 0.005
_MOST_OF_LIMIT = 0.8
_MAXRSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10
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

    A library that cannot allocate memory may abort the process, or crash, as msgspec does. `was_at_limit` is whether the process
    had used most of the memory that it may use.
    """

    def __init__(self, return_code: int, was_at_limit: bool = False) -> None:
        super().__init__(f"the worker process has ended with return code {return_code}")
        self.return_code, self.was_at_limit = return_code, was_at_limit

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the batch needs more memory than the process may use, for certain or most likely."""
        crashed_at_limit = self.was_at_limit and self.return_code == -signal.SIGSEGV
        return crashed_at_limit or self.return_code in (OUT_OF_MEMORY, *_OUT_OF_MEMORY_SIGNALS)

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
        # A new process inherits the peak of the process that starts it, so that only a higher peak is its own.
        self._inherited_peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_PER_MIB
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
        end = time.monotonic() + _END_SECONDS
        while (found := self._wait(os.WNOHANG)) is None and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        if found is None:
            self._process.kill()
            found = self._wait(0)
        code, peak_mib = found or (self._process.wait(), 0.0)
        return WorkerEndedError(code, peak_mib > max(_MOST_OF_LIMIT * self._memory_mib, self._inherited_peak_mib))

    def _wait(self, options: int) -> tuple[int, float] | None:
        """The return code and the peak of the resident memory in MiB (Popen has no memory); None if the process runs."""
        if self._process.returncode is not None:
            return self._process.returncode, 0.0
        try:
            pid, status, usage = os.wait4(self._process.pid, options)
        except ChildProcessError:  # Popen has waited for it
            return self._process.wait(), 0.0
        if not pid:
            return None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode, usage.ru_maxrss / _MAXRSS_PER_MIB
