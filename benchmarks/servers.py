"""Start servers as separate processes, and load them with wrk."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

PROJECT = Path(__file__).resolve().parents[1]
_POLL_S = 0.01
_START_S = 180.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server. `started_s` is the time from its start to its first successful response."""

    url: str
    pid: int
    started_s: float

    def resident_mib(self) -> tuple[float, float]:
        """Resident memory in MiB: (sum over its processes, largest process)."""
        sizes = [_resident_mib(pid) for pid in _process_tree(self.pid)]
        return sum(sizes), max(sizes)

    def cpu_seconds(self) -> float:
        """Processor time of its processes so far, in seconds."""
        return sum(map(_cpu_seconds, _process_tree(self.pid)))


@dataclass(frozen=True)
class Load:
    """The result of one run of wrk."""

    requests: int
    per_second: float
    median_ms: float


@contextmanager
def serving(command: Sequence[str], path: str, body: bytes | None = None, **environment: str) -> Iterator[Server]:
    """Run `command` for the block, with a free port in place of {port}.

    The block starts once `path` returns 200, to a POST of `body` if given.
    """
    port = _free_port()
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed below, after the server has ended
    search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow finds uvicorn on the path
    start = time.perf_counter()
    process = subprocess.Popen(
        [part.replace("{port}", port) for part in command],
        cwd=PROJECT, env=os.environ | {"PATH": search_path} | environment, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        while not _is_ready(url + path, body):
            if process.poll() is not None or time.perf_counter() - start > _START_S:
                log.seek(0)
                sys.exit(f"{' '.join(command)} did not start within {_START_S:.0f} s, or ended:\n{log.read()[-2000:]}")
            time.sleep(_POLL_S)
        yield Server(url, process.pid, time.perf_counter() - start)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


@contextmanager
def serving_in_container(
    image: str, path: str, memory_mib: int, folder: Path, writable: Path, **environment: str
) -> Iterator[Server]:
    """Run `image` with a memory limit for the block, with `folder` mounted read-only at the same path, and `writable`.

    The block starts when `path` returns 200. If the container ends by itself, the benchmark exits with an error.
    """
    engine = os.environ.get("CONTAINER_ENGINE") or shutil.which("docker") or shutil.which("podman")
    if engine is None:
        sys.exit("no container engine: install docker or podman, or set CONTAINER_ENGINE")
    port, start = _free_port(), time.perf_counter()
    settings = [f"--env={name}={value}" for name, value in ({"PORT": port} | environment).items()]
    limits = ["--memory", f"{memory_mib}m", "--memory-swap", f"{memory_mib}m", "--read-only", "--tmpfs", "/tmp"]  # noqa: S108
    mount = ["--volume", f"{folder}:{folder}:ro", "--volume", f"{writable}:{writable}"]
    name = _engine(engine, "run", "--detach", "--network", "host", *limits, *mount, *settings, image)
    try:
        while not _is_ready(f"http://127.0.0.1:{port}{path}", None):
            if time.perf_counter() - start > _START_S:
                sys.exit(f"{image} did not start within {_START_S:.0f} s:\n{_engine(engine, 'logs', name)[-2000:]}")
            time.sleep(_POLL_S)
        pid = int(_engine(engine, "inspect", "--format", "{{.State.Pid}}", name))
        yield Server(f"http://127.0.0.1:{port}", pid, time.perf_counter() - start)
        if _engine(engine, "inspect", "--format", "{{.State.Running}}", name) != "true":
            sys.exit(f"the container has ended:\n{_engine(engine, 'logs', name)[-2000:]}")
    finally:
        _engine(engine, "rm", "--force", name)


def load(url: str, body: Path, clients: int, seconds: int) -> Load:
    """Post `body` over `clients` connections for `seconds`. Exit with an error if any response is not successful."""
    script = body.with_suffix(".lua")
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(script), url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"{url}: some responses were not successful:\n{text}")
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    requests, per_second = re.search(r"(\d+) requests in", text), re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not (median and requests and per_second):
        sys.exit(f"the output of wrk cannot be parsed:\n{text}")
    return Load(int(requests[1]), float(per_second[1]), float(median[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[median[2]])


def check_wrk() -> None:
    """Exit with an instruction if wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.exit("wrk, the HTTP load generator of this benchmark, is not installed: apt-get install wrk")


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _engine(engine: str, *arguments: str) -> str:
    done = subprocess.run([engine, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{engine} {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def _is_ready(url: str, body: bytes | None) -> bool:
    headers = {"content-type": "application/json"}
    try:
        response = httpx.get(url) if body is None else httpx.post(url, content=body, headers=headers, timeout=30)
    except httpx.TransportError:
        return False
    return response.status_code == 200


def _process_tree(pid: int) -> list[int]:
    # Each thread lists the processes that it has started.
    children = [child for tasks in Path(f"/proc/{pid}/task").glob("*/children") for child in tasks.read_text().split()]
    return [pid, *(descendant for child in children for descendant in _process_tree(int(child)))]


def _resident_mib(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
