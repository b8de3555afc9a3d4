"""End a process without freeing what it has imported. Import this before the modules whose exit functions must run.

Python needs about a second to clear the modules of a step, and a run has eight steps.
"""

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_codes: list[int] = []


@contextmanager
def exit_without_cleanup() -> Iterator[None]:
    """End the process with the exit code of the block. Threads and exit functions end first; an error ends as usual."""
    try:
        yield
    except SystemExit as exiting:
        if exiting.code is None or isinstance(exiting.code, int):
            _codes.append(exiting.code or 0)
        raise
    _codes.append(0)


def _exit() -> None:
    if _codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_codes[-1])


atexit.register(_exit)  # exit functions run in the reverse order: this one runs last
