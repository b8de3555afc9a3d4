"""Folders that are filled once per test session and shared by all pytest-xdist workers."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def shared_folder(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder `name`. The first worker that asks for it calls `fill`; the others wait until it is complete.

    Tests read the folder and never change it. A test that needs to change a file copies the folder first.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has its own folder below the session's
    folder, complete = root / f"shared {name}", root / f"shared {name}.complete"
    with (root / f"shared {name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # incomplete: `fill` failed in another worker
            folder.mkdir()
            fill(folder)
            complete.touch()
    return folder
