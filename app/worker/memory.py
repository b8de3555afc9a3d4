"""The memory limit of this process."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_MIB = 2**20


def limit_resident_memory(mib: int) -> None:
    """Make allocations fail with MemoryError before the resident memory of this process exceeds `mib`.

    The kernel limits the private writable memory, not the resident one. Memory that is reserved but never touched is not
    resident, so this allows what is reserved now and the difference between `mib` and what is resident now. Linux only:
    on other systems, this does nothing.
    """
    if sys.platform != "linux":
        return
    import resource

    now = _read_status()
    limit = now["VmData"] + mib * _MIB - now["VmRSS"]
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _read_status() -> dict[str, int]:
    """Return the sizes in /proc/self/status, in bytes."""
    lines = (line.split() for line in _STATUS.read_text(encoding="ascii").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1] == "kB"}
