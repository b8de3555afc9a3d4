"""Check a model version in a separate process with a deadline and a memory limit, before this process loads it."""

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from predictive_maintenance.errors import ModelError
from predictive_maintenance.tracking.entities import ModelVersion
from predictive_maintenance.tracking.packaging import scorer_sha256

from ..child_process import child_environment

CHECK_MODULE = "app.version_check"
REFUSED = 3
"""The exit code of a check that refuses the version; its standard output has the reason."""

_MAX_RECORDS = 32
_LOCK = ".lock"


@dataclass(frozen=True, kw_only=True)
class IsolatedCheck:
    """Runs CHECK_MODULE on a version, once for the same files: `records` is a folder with a record of each check passed.

    Processes that share the folder check one after the other, and a version that passed once.
    """

    seconds: float
    memory_bytes: int
    records: Path

    def run(self, folder: Path, version: ModelVersion) -> None:
        """Raise ModelError with the reason if the version fails the check, or exceeds the deadline or the memory."""
        record = self.records / scorer_sha256(folder)
        if record.exists():
            return
        with _one_at_a_time(self.records):
            if not record.exists():  # another process of the service may have checked it meanwhile
                self._check(folder, version)
                _add_record(record)

    def _check(self, folder: Path, version: ModelVersion) -> None:
        task = {
            "folder": str(folder.absolute()),
            "version": version.to_json(),
            "seconds": self.seconds,
            "memory_bytes": self.memory_bytes,
        }
        try:
            done = subprocess.run(  # noqa: S603  fixed arguments
                [sys.executable, "-m", CHECK_MODULE],
                input=json.dumps(task),
                capture_output=True,
                text=True,
                timeout=self.seconds,
                env=child_environment() | {"MALLOC_ARENA_MAX": "1"},
            )
        except subprocess.TimeoutExpired:
            raise ModelError(f"its check did not end within {self.seconds:g} s (PDM_MODEL_LOAD_SECONDS)") from None
        if done.returncode == REFUSED:
            raise ModelError(done.stdout.strip())
        if done.returncode:
            raise ModelError(self._unexpected_end(done))

    def _unexpected_end(self, done: subprocess.CompletedProcess[str]) -> str:
        if done.returncode < 0:
            return (
                f"its check was ended by {signal.Signals(-done.returncode).name}, which a model that needs more than "
                f"{self.memory_bytes:,} bytes (PDM_MODEL_LOAD_BYTES) or {self.seconds:g} s (PDM_MODEL_LOAD_SECONDS) can cause"
            )
        last_line = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return f"its check ended with exit code {done.returncode}: {last_line}"


@contextmanager
def _one_at_a_time(records: Path) -> Iterator[None]:
    """Exclude the other processes that share `records` from the block: each check takes processor time and memory."""
    with ExitStack() as stack:
        # In a folder that is not writable there are no records either: each process checks for itself.
        with suppress(OSError):
            records.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((records / _LOCK).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _add_record(record: Path) -> None:
    # Without a record, the next start checks the version again. ModelCache reports a folder that is not writable.
    with suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        record.touch()
        records = (path for path in record.parent.iterdir() if path.name != _LOCK)
        for old in sorted(records, key=lambda path: path.stat().st_mtime)[:-_MAX_RECORDS]:
            old.unlink(missing_ok=True)
