"""What hostile requests do to the service: memory, time, and the latency of good readings meanwhile.

    python benchmarks/hostile.py                 all cases, about fifteen minutes; --list shows them
    python benchmarks/hostile.py json csv-gzip   the cases whose names begin with one of these
    python benchmarks/hostile.py --memory-mib 600  in the container image of `make image`, with a memory limit

Each case starts the service on a small model, of the milling machine or of the fleet with a store of 10,000 machines, and sends
one request, or several clients repeat theirs for some seconds; good clients send single readings all the time. The table has the
statuses of the answers (`none` after the patience of the client), the longest time of one, the peak of the resident memory of all
processes of the service, and the 99th percentile of the latency of the good readings meanwhile: to /predict and, with a store, to
/readings. The cases `nothing` show these latencies without a hostile request, and so how busy the computer is.

The promise: at most 512 MiB, an answer within the deadline of a batch (10 s), and good readings within 50 ms at p99.
To add a case, add an entry to hostile_bodies.py or hostile_store.py.
"""

import argparse
import itertools
import multiprocessing
import pickle
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from hostile_bodies import FLEET, MILLING, MILLING_CASES, READING, Case
from hostile_store import FLEET_CASES, fill_store, pump
from measuring import describe_machine, in_child, markdown_table
from servers import Server, serving, serving_in_container

CASES = MILLING_CASES | FLEET_CASES
MAX_MIB, MAX_SECONDS, MAX_P99_MS = 512, 11.0, 50.0
_SAMPLE_SECONDS = 0.02
_WARM_UP_SECONDS = 2.0
_LEAST_SECONDS = 4.0
"""Good readings are measured for so long, or until the last answer. Several requests are repeated meanwhile."""
_UNREAD_SECONDS = 8.0
_SMALL_BUFFER_BYTES = 4096
_GOOD = {MILLING: READING, FLEET: pump("good", 0)}


@dataclass
class Latencies:
    """Seconds of each good reading to a route, and how many were not answered with 200."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def reset(self) -> None:
        """Forget what was measured."""
        self.seconds, self.failed = [], 0

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98] * 1000 if len(self.seconds) > 1 else float("nan")

    @property
    def is_kept(self) -> bool:
        return self.p99_ms <= MAX_P99_MS and not self.failed

    def __str__(self) -> str:
        return f"{self.p99_ms:.0f} ms" + (f", {self.failed} failed" if self.failed else "")


@dataclass
class Observed:
    """What happened to the service while requests were answered. `reading` is what good clients send."""

    reading: dict[str, Any]
    peak_mib: float = 0.0
    predicted: Latencies = field(default_factory=Latencies)
    kept: Latencies = field(default_factory=Latencies)


@dataclass
class Answers:
    """The statuses of the answers to the requests of a case, and the longest time of one in s."""

    statuses: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0

    def add(self, status: str, seconds: float) -> None:
        self.statuses[status] += 1
        self.longest = max(self.longest, seconds)

    def __str__(self) -> str:
        if len(self.statuses) == 1:
            return next(iter(self.statuses))
        return ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))


def main() -> None:
    arguments = _arguments()
    names = [name for name in CASES if any(name.startswith(start) for start in arguments.cases or ("",))]
    if arguments.list or not names:
        print("\n".join(CASES))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as text:
        folder = Path(text)
        for machine in sorted({MILLING if name in MILLING_CASES else FLEET for name in names}):
            in_child(write_model, machine, folder / machine)
        for name in names:
            rows.append(run_case(name, folder, arguments.seconds, arguments.memory_mib))
            print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    where = f"container with {arguments.memory_mib} MiB" if arguments.memory_mib else "process"
    print(f"{describe_machine()}; service: {where}\n")
    headers = ("case", "body", "status", "seconds", "peak MiB", "p99 of /predict", "p99 of /readings", "")
    print(markdown_table(headers, rows))


def start_service(folder: Path, machine: str, memory_mib: int | None) -> AbstractContextManager[Server]:
    """Start the service as a process, or in a container with a memory limit. A container that ends is an error."""
    model, store = folder / machine, folder / "used" / "store.db"
    settings = {"PDM_MODEL_DIR": str(model)}
    if machine == FLEET:
        shutil.rmtree(store.parent, ignore_errors=True)
        store.parent.mkdir()
        shutil.copy(model / "store.db", store)
        settings |= {"PDM_STORE_URL": f"sqlite:///{store}", "PDM_MODEL_NAME": "fleet_pump"}
    if memory_mib:
        store.parent.mkdir(exist_ok=True)
        store.parent.chmod(0o777)  # the user of the image is another one
        if store.exists():
            store.chmod(0o666)
        return serving_in_container(
            "predictive-maintenance:serve", "/ready", memory_mib, model, store.parent, **settings
        )
    command = [sys.executable, "-m", "app", "--port", "{port}"]
    return serving(command, "/ready", None, PDM_MODEL_CACHE=str(folder / "cache"), **settings)


def run_case(name: str, folder: Path, patience_seconds: float, memory_mib: int | None) -> tuple[str, ...]:
    """Send the requests of one case to a new service, and return the row of the table."""
    in_child(write_case, name, folder / "case")
    case: Case = pickle.loads((folder / "case").read_bytes())  # noqa: S301  written just now
    with start_service(folder, case.machine, memory_mib) as server, _other_process() as hostile:
        good = _GOOD[case.machine]
        # The first batch starts the worker process, the first reading opens the store.
        httpx.post(f"{server.url}/predict/batch", json=[good], timeout=60).raise_for_status()
        watched, observed, done = [_watch_memory, _send_readings], Observed(good), threading.Event()
        if case.machine == FLEET:
            httpx.post(f"{server.url}/readings", json=good, timeout=60).raise_for_status()
            watched.append(_send_readings_to_keep)
        threads = [threading.Thread(target=watch, args=(server, observed, done)) for watch in watched]
        for thread in threads:
            thread.start()
        time.sleep(_WARM_UP_SECONDS)
        for latencies in (observed.predicted, observed.kept):
            latencies.reset()
        began = time.monotonic()
        answers: Answers = hostile.submit(
            *((send, server, case, patience_seconds) if case.is_read else (send_without_reading, server, case))
        ).result()
        time.sleep(max(0.0, began + _LEAST_SECONDS - time.monotonic()))
        done.set()
        for thread in threads:
            thread.join()
    is_kept = (
        observed.peak_mib <= MAX_MIB
        and answers.longest <= MAX_SECONDS
        and observed.predicted.is_kept
        and (case.machine == MILLING or observed.kept.is_kept)
    )
    size = "none" if case.body is None else f"{len(case.body) / 1024:,.0f} KiB"
    sent = answers.statuses.total() if case.is_read else case.times * case.clients
    requests = f"{sent:,} x " if sent > 1 else ""
    kept = str(observed.kept) if case.machine == FLEET else ""
    return (
        name, requests + size, str(answers), f"{answers.longest:.1f}", f"{observed.peak_mib:,.0f}",
        str(observed.predicted), kept, "" if is_kept else "EXCEEDED",
    )  # fmt: skip


@contextmanager
def _other_process() -> Iterator[ProcessPoolExecutor]:
    """A process for the hostile clients, which has started: in this one, their work would delay the good clients."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(time.monotonic).result()
        yield pool


def send(server: Server, case: Case, patience_seconds: float) -> Answers:
    """Send the requests of a case, over all of its clients at the same time."""
    answers, numbers, end = Answers(), itertools.count(), time.monotonic() + _LEAST_SECONDS

    def send_all() -> None:
        with httpx.Client(base_url=server.url, timeout=patience_seconds) as client:
            for place in itertools.count():
                if place >= case.times and (case.times == 1 or time.monotonic() > end):
                    return
                start = time.perf_counter()
                try:
                    status = str(client.send(_request(client, case, next(numbers))).status_code)
                except httpx.TransportError as error:
                    status = f"none: {type(error).__name__}"
                answers.add(status, time.perf_counter() - start)

    threads = [threading.Thread(target=send_all) for _ in range(case.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _request(client: httpx.Client, case: Case, number: int) -> httpx.Request:
    if case.body is None:
        return client.build_request("GET", case.path)
    body = case.body.replace(b"{number}", str(number).encode()) if case.times > 1 else case.body
    return client.build_request("POST", case.path, content=body, headers={"content-type": case.media_type})


def send_without_reading(server: Server, case: Case) -> Answers:
    """Send the requests of a case, several on each connection, and leave the answers unread for some seconds."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    request = f"GET {case.path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode() * case.times
    with ExitStack() as stack:
        for _ in range(case.clients):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
            with suppress(OSError):  # the service may close it
                connection.connect((host, int(port)))
                connection.sendall(request)
        time.sleep(_UNREAD_SECONDS)
    return Answers(Counter({"not read": 1}))


def write_model(machine: str, folder: Path) -> None:
    """Train a small model on simulated readings and write it as `export` does; for a fleet, with a store."""
    from datetime import UTC, datetime

    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import export_model
    from predictive_maintenance.training.labelling import label, labelled_rows
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    uri = {MILLING: "simulator://?rows=8000&seed=3", FLEET: "simulator://fleet?machines=20&days=60&seed=3"}[machine]
    params = load_params(machine=machine)
    pulled = ingest((Source(uri=uri),), params.machine)
    cleaned = clean(pulled, params.machine, params.cleaning, pulled.events)
    events = cleaned.event_frames()
    labelled = labelled_rows(cleaned.frame, label(cleaned.frame, params.machine, events), params.machine, events)
    settings = params.split.model_copy(update={"by": "group"} if machine == FLEET else {})
    rows = split(labelled.frame, params.machine, settings, 3, labelled.unlabelled, events)
    trained = train_untuned("lightgbm", rows.train, rows.fold, params)
    folder.mkdir()
    for name, content in export_model(trained, rows, params).items():
        (folder / name).write_bytes(content)
    version = ModelVersion(version="1", aliases=(), run_id="hostile", created=datetime.now(UTC), tags={})
    (folder / VERSION_FILE).write_text(version.to_json())
    if machine == FLEET:
        fill_store(f"sqlite:///{folder / 'store.db'}", params.registry.model_name)


def write_case(name: str, file: Path) -> None:
    """Make a case and write it to a file."""
    file.write_bytes(pickle.dumps(CASES[name]()))


def _watch_memory(server: Server, observed: Observed, done: threading.Event) -> None:
    while not done.wait(_SAMPLE_SECONDS):
        try:
            observed.peak_mib = max(observed.peak_mib, server.resident_mib()[0])
        except (OSError, StopIteration):
            continue  # a process ended while it was read


def _send_readings(server: Server, observed: Observed, done: threading.Event) -> None:
    _send_each(server, "/predict", itertools.repeat(observed.reading), observed.predicted, done)


def _send_readings_to_keep(server: Server, observed: Observed, done: threading.Event) -> None:
    readings = (pump("good", minute) for minute in itertools.count(1))
    _send_each(server, "/readings", readings, observed.kept, done)


def _send_each(
    server: Server, path: str, readings: Iterator[dict[str, Any]], latencies: Latencies, done: threading.Event
) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        while not done.is_set():
            start = time.perf_counter()
            try:
                is_good = client.post(path, json=next(readings)).status_code == 200
            except httpx.TransportError:
                is_good = False
            latencies.seconds.append(time.perf_counter() - start)
            latencies.failed += not is_good
            time.sleep(0.005)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="names of cases, or how they begin; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="patience of the hostile clients")
    parser.add_argument("--memory-mib", type=int, help="run the container image with this memory limit")
    parser.add_argument("--list", action="store_true", help="show the names of the cases")
    return parser.parse_args()


if __name__ == "__main__":
    main()
