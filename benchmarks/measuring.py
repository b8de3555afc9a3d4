"""Shared by the benchmarks: wall time, peak memory, child processes, files of readings, tables.

Only the standard library is imported at the top, so that the parent process stays small and measurements are of the child.
"""

import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MIB = 2**20
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """Wall time in s and the peak resident memory of the process in MiB."""

    seconds: float
    peak_mib: float


def measure(repeats: int, function: Callable[..., Any], *arguments: Any) -> tuple[Measured, Any]:
    """Call `function` `repeats` times: (shortest time, peak memory of the first call), result of the last call.

    The first call does not reuse memory of an earlier one.
    """
    times, peak_mib, result = [], 0.0, None
    for _ in range(repeats):
        result = None  # free the former result, so that the peak counts one result
        reset_peak()
        start = time.perf_counter()
        result = function(*arguments)
        times.append(time.perf_counter() - start)
        peak_mib = peak_mib or read_peak_mib()
    return Measured(min(times), peak_mib), result


def measure_process(repeats: int, script: Path, *arguments: str, **environment: str) -> Measured:
    """Run a Python script `repeats` times: shortest time including start-up, peak memory of the largest process."""
    command = [sys.executable, str(script), *arguments]
    runs = [_run(command, os.environ | environment) for _ in range(repeats)]
    return Measured(min(run.seconds for run in runs), max(run.peak_mib for run in runs))


def in_child(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of `function` from a new process without the imports and the memory of this one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def write_readings(file: Path, rows: int) -> None:
    """Write `rows` simulated readings as CSV."""
    from machines.milling.simulator import simulate

    simulate(rows).to_csv(file, index=False)


def reset_peak() -> bool:
    """Reset the peak of resident memory. Return False if the system does not permit it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def read_peak_mib() -> float:
    """Peak resident memory since `reset_peak`, or since the start of the process if a reset is not permitted."""
    if not reset_is_permitted():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES / _MIB
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / _MIB


def reset_is_permitted() -> bool:
    return os.access("/proc/self/clear_refs", os.W_OK)


def describe_machine() -> str:
    """The machine, its software, and how memory was measured."""
    memory = "VmHWM, reset before each stage" if reset_is_permitted() else "ru_maxrss, cumulative over the stages"
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}; "
        f"peak: resident memory of the whole process ({memory})"
    )


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with aligned columns. The first column is text, the others are numbers."""
    lines = [list(headers), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |" for line in lines
    )


def _run(command: Sequence[str], environment: dict[str, str]) -> Measured:
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            text = output.read().decode(errors="replace")
            sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{text}")
    return Measured(seconds, usage.ru_maxrss * _MAXRSS_BYTES / _MIB)
