"""A run of the training flow that this process has started: its deadline, its result, and its end with all its processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..store.rows import Incident
from . import training_guard

_GRACE_SECONDS = 30.0
"""From the request to end, on which Metaflow stops its tasks and jobs on AWS Batch, to the end by force."""


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended: `text` continues "the training"."""

    text: str
    succeeded: bool = False


class TrainingRun:
    """A command that trains for an incident, in a process group of its own, for at most `max_hours`.

    The command gets no Ctrl+C of the terminal: this process ends it, by `stop`. If this process is killed, the guard that leads
    the group does: no deadline would apply any more, and the next monitor would not know of it.
    """

    def __init__(self, incident: Incident, command: Sequence[str], folder: Path, max_hours: float) -> None:
        self.incident, self._max_hours = incident, max_hours
        # Not by the time of day: a clock that is set right must not stop it.
        self._deadline = time.monotonic() + max_hours * 3_600
        self._result: TrainingResult | None = None
        guarded = [sys.executable, "-IS", training_guard.__file__, f"{_GRACE_SECONDS}", *command]
        self._process = subprocess.Popen(guarded, cwd=folder, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603  the arguments are ours
        self._ended = threading.Event()
        threading.Thread(target=self._await_end, name="training", daemon=True).start()

    def wait(self, seconds: float) -> TrainingResult | None:
        """Wait for the end for at most `seconds`; return the result, None while it runs. After the deadline, it is stopped."""
        if self._result is None:
            has_ended = self._ended.wait(max(0.0, min(seconds, self._deadline - time.monotonic())))
            if has_ended:
                self._result = _result(self._process.returncode)
                if not self._result.succeeded:
                    self._signal(signal.SIGKILL)  # the tasks of a scheduler that was killed would go on
            elif time.monotonic() >= self._deadline:
                hours = f"{self._max_hours:g} hour{'' if self._max_hours == 1 else 's'}"
                self._result = self.stop(f"was stopped: it took longer than {hours} (monitoring.retrain_max_hours)")
        return self._result

    def stop(self, text: str) -> TrainingResult:
        """End all its processes: by a request that it can follow and, after some seconds, by force."""
        try:
            self._signal(signal.SIGINT)
            self._ended.wait(_GRACE_SECONDS)
        finally:
            self._signal(signal.SIGKILL)
        self._ended.wait(_GRACE_SECONDS)
        return TrainingResult(text)

    def _await_end(self) -> None:
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._ended.set()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(self._process.pid, number)


def _result(exit_code: int) -> TrainingResult:
    if exit_code < 0:
        return TrainingResult(f"was ended by {signal.Signals(-exit_code).name}")
    return TrainingResult(f"ended with exit code {exit_code}") if exit_code else TrainingResult("was successful", True)
