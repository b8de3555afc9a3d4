"""Runs a training, and ends it with all its processes when the process that has started it ends, also by SIGKILL.

    python training_guard.py GRACE_SECONDS COMMAND...

The standard input is a pipe, of which that process alone has the other end: the system closes it when the process is gone. This
program imports nothing of the project, so that it starts fast and needs little memory.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_PIPE = 0


def run(command: Sequence[str], grace_seconds: float) -> int:
    """Run a command and return its exit code. This process must lead a process group, which the command shares."""
    # The command gets an interrupt of the group, too, and this process waits for its end. Ignored, it would be for the command.
    signal.signal(signal.SIGINT, lambda *_: None)
    training = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  the arguments are those of the monitor
    threading.Thread(target=_end_with_parent, args=(grace_seconds,), daemon=True).start()
    exit_code = training.wait()
    if select.select([_PIPE], [], [], 0)[0]:  # the monitor is gone, so its processes are ended here
        os.killpg(0, signal.SIGKILL)
    return exit_code


def _end_with_parent(grace_seconds: float) -> None:
    os.read(_PIPE, 1)  # nothing is ever written: it returns when the pipe is closed
    os.killpg(0, signal.SIGINT)
    time.sleep(grace_seconds)
    os.killpg(0, signal.SIGKILL)


def _exit_as(exit_code: int) -> None:
    """End as a process with an exit code of `subprocess`: negative ones are signals."""
    if exit_code < 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), -exit_code)
    sys.exit(abs(exit_code))


if __name__ == "__main__":
    _exit_as(run(sys.argv[2:], float(sys.argv[1])))
