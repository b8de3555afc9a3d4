"""Servers as processes of their own, and wrk, which asks them as fast as they answer."""

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


@dataclass(frozen=True)
class Server:
    """A server that answers. `started_s` is from its start to its first good answer."""

    url: str
    pid: int
    started_s: float

    def resident_mib(self) -> tuple[float, float]:
        """(all of its processes, the largest of them) in MiB."""
        each = [_resident_mib(pid) for pid in _family(self.pid)]
        return sum(each), max(each)


@dataclass(frozen=True)
class Load:
    """What wrk saw in one go."""

    requests: int
    per_second: float
    median_ms: float


@contextmanager
def serving(command: Sequence[str], path: str, body: bytes | None = None, **environment: str) -> Iterator[Server]:
    """Run `command`, with {port} in it, until the block ends; it serves once `path` answers 200 (to `body`, if given)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed below, after the server
    path_of_commands = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow starts uvicorn by its name
    )
    began = time.perf_counter()
    process = subprocess.Popen(
        [part.replace("{port}", port) for part in command],
        cwd=PROJECT, env=os.environ | {"PATH": path_of_commands} | environment, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(url + path, body):
            if process.poll() is not None or time.perf_counter() - began > _START_S:
                log.seek(0)
                sys.exit(f"{' '.join(command)} does not serve:\n{log.read()[-2000:]}")
            time.sleep(_POLL_S)
        yield Server(url, process.pid, time.perf_counter() - began)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()


def load(url: str, body: Path, clients: int, seconds: int) -> Load:
    """`clients` connections that post `body` again and again. Leaves with an error where an answer is not a good one."""
    script = body.with_suffix(".lua")
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s", str(script), url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"{url}: not every answer was good:\n{text}")
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    requests, per_second = re.search(r"(\d+) requests in", text), re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not (median and requests and per_second):
        sys.exit(f"wrk said what is not understood here:\n{text}")
    return Load(int(requests[1]), float(per_second[1]), float(median[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[median[2]])


def check_wrk() -> None:
    """Leaves with the way out where wrk is missing."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing, the client that this benchmark asks with: apt-get install wrk")


def _answers(url: str, body: bytes | None) -> bool:
    headers = {"content-type": "application/json"}
    try:
        answer = httpx.get(url) if body is None else httpx.post(url, content=body, headers=headers, timeout=30)
    except httpx.TransportError:
        return False
    return answer.status_code == 200


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


def _resident_mib(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
