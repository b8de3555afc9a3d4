"""What all pytest-xdist workers share: folders that are filled once per test session, and locks."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def shared_folder(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder `name`. The first worker that asks for it calls `fill`; the others wait until it is complete.

    Tests read the folder and never change it. A test that needs to change a file copies the folder first.
    """
    root = _session_folder(factory)
    folder, complete = root / f"shared {name}", root / f"shared {name}.complete"
    with shared_lock(factory, name):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # incomplete: `fill` failed in another worker
            folder.mkdir()
            fill(folder)
            complete.touch()
    return folder


@contextmanager
def shared_lock(factory: pytest.TempPathFactory, name: str) -> Iterator[None]:
    """Exclude the other workers from blocks with the same name."""
    with (_session_folder(factory) / f"shared {name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _session_folder(factory: pytest.TempPathFactory) -> Path:
    own = factory.getbasetemp()
    # Each worker has its own folder below the session's.
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
