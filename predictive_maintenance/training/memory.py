"""The memory that this process can use."""

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Bytes that are free for this process: of the machine, or of its container if that is less."""
    import psutil  # only for data that may not fit

    free = int(psutil.virtual_memory().available)
    limit, used = (_CGROUP / "memory.max", _CGROUP / "memory.current")
    if limit.is_file() and (text := limit.read_text().strip()) != "max":
        free = min(free, int(text) - int(used.read_text()))
    return free
