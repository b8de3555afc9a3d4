"""The worker process: python -m app.worker SOCKET MEMORY_MIB. The service starts it; it ends with the socket."""

import contextlib
import os
import signal
import socket
import sys
import threading
from importlib.abc import MetaPathFinder
from typing import cast

import pyarrow as pa

from .memory import limit_resident_memory
from .messages import OUT_OF_MEMORY, Job, receive, send
from .scoring import BatchScorer

_STACK_BYTES = 2**20
_NICENESS = 5
"""Single readings, which the service answers itself, are scheduled first."""


class _WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas if it is installed, which takes seconds and 60 MiB. Nothing here uses it."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002  the signature of finders
        if fullname == "pandas":
            raise ModuleNotFoundError(f"{fullname} is not imported in the worker process", name=fullname)


def main(file_descriptor: int, memory_mib: int) -> None:
    """Score batches until the service closes the socket."""
    sys.meta_path.insert(0, _WithoutPandas())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches every process; the service ends this one
    os.nice(_NICENESS)
    # The stack of each thread, 8 MiB by default, counts against the limit although it is never used.
    threading.stack_size(_STACK_BYTES)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with socket.socket(fileno=file_descriptor) as connection, contextlib.suppress(EOFError, OSError):
        limit_resident_memory(memory_mib)
        connection.sendall(b"\0")  # ready
        _score_batches(connection)


def _score_batches(connection: socket.socket) -> None:
    scorer = BatchScorer()
    while True:
        try:
            job, body = receive(connection, Job)
            # The service ends this process at the deadline. This is for a service that has ended itself.
            signal.setitimer(signal.ITIMER_REAL, job.seconds)
            result, answer = scorer.run(job, cast(bytes, body))  # a bytearray: a copy takes memory
        except MemoryError:
            # What the batch has allocated may be fragmented or referenced: only a new process has all of the memory.
            os._exit(OUT_OF_MEMORY)
        del body
        send(connection, result, answer)
        del answer
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
