"""The worker process: python -m app.worker SOCKET MEMORY_MIB. The service starts it; it ends with the socket."""

import contextlib
import os
import signal
import socket
import sys

from .memory import limit_resident_memory
from .messages import Job, OutOfMemory, receive, send
from .scoring import BatchScorer

_NICENESS = 5
"""Single readings, which the service answers itself, are scheduled first."""


def main(file_descriptor: int, memory_mib: int) -> None:
    """Score batches until the service closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches every process; the service ends this one
    os.nice(_NICENESS)
    scorer = BatchScorer()
    with socket.socket(fileno=file_descriptor) as connection, contextlib.suppress(EOFError, OSError):
        limit_resident_memory(memory_mib)
        connection.sendall(b"\0")  # ready
        while True:
            job, body = receive(connection, Job)
            # The service ends this process at the deadline. This is for a service that has ended itself.
            signal.setitimer(signal.ITIMER_REAL, job.seconds)
            result, answer = scorer.run(job, body)
            del body
            send(connection, result, answer)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if isinstance(result, OutOfMemory):
                return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
