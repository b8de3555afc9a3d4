"""Identify the process that launched a flow run, so that another process can find out whether it still exists."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LAUNCHER_VARIABLE = "PDM_LAUNCHER"
"""The environment variable that passes the launcher's identity to the processes of the steps."""


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """A process on a machine. `started` distinguishes it from a later process with the same id."""

    host: str
    machine: str
    pid: int
    started: str

    @classmethod
    def this_process(cls) -> Self:
        pid = os.getpid()
        return cls(host=socket.gethostname(), machine=_machine(), pid=pid, started=_start_time(pid))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse the result of `str`; None for any other text."""
        host, _, rest = text.partition(" ")
        fields = rest.split(" ")
        if len(fields) != 3 or not fields[1].isdecimal():
            return None
        return cls(host=host, machine=fields[0], pid=int(fields[1]), started=fields[2])

    def __str__(self) -> str:
        return f"{self.host} {self.machine} {self.pid} {self.started}"

    @property
    def is_on_this_machine(self) -> bool:
        """False also for another container on the same host: process ids are different there."""
        return (self.host, self.machine) == (socket.gethostname(), _machine())

    @property
    def exists(self) -> bool:
        """Whether the process still exists. Valid only on its own machine."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it exists, and belongs to another user
        return _start_time(self.pid) == self.started


def _machine() -> str:
    """The boot and the process namespace, on Linux: host names alone are not unique among containers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "-"


def _start_time(pid: int) -> str:
    """The start time in clock ticks since the boot, on Linux."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "-"
