"""Throughput of POST /readings, whose history is in the store, compared with /predict and the same model.

    python benchmarks/stateful.py            takes about two minutes; --store postgresql://... uses another store than SQLite

A machine with four sensors, windows of 3 h and 24 h, five statistics each. The store has 24 hourly readings of each of 1,000
machines. One process serves, and logs its predictions; one thread of another sends, each client one request after the other.
Each figure is the median of the rounds: requests per second, and the CPU time of the serving process for a request, which
depends less on what else the machine does.

- /predict: the reading alone.
- /predict, 24 readings beside it: the same history in the body.
- /readings: the next reading of one machine after the other, committed before it is answered.

Expected: /readings has at least half the throughput of /predict with 16 clients.
"""

import argparse
import json
import os
import selectors
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from measuring import describe_machine, in_child, markdown_table
from servers import PROJECT, Server, serving

CLIENTS = (1, 16, 64)
MACHINES, HOURS = 1_000, 24
START = datetime(2024, 1, 1)  # noqa: DTZ001  readings without a zone are in UTC
SENSORS = {"voltage_v": 200.0, "rotation_rpm": 250.0, "pressure_kpa": 300.0, "vibration_mm_s": 350.0}
_SENT_AT_MOST = 40_000

DESCRIPTION = """
name: hourly machine
model_name: hourly_machine
machine: {headers: [machine]}
time: {kind: timestamp}
sensors:
  voltage_v: {label: Voltage, unit: V, range: [0, 1000], resolution: 0.01}
  rotation_rpm: {label: Rotation, unit: rpm, range: [0, 1000], resolution: 0.01}
  pressure_kpa: {label: Pressure, unit: kPa, range: [0, 1000], resolution: 0.01}
  vibration_mm_s: {label: Vibration, unit: mm/s, range: [0, 1000], resolution: 0.01}
history: {windows: [3h, 24h], statistics: [mean, std, min, max, slope]}
label: {column: fails_soon, label: Failure within a day, run_to_failure: {horizon: 24h}}
group: machine
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", help="address of the store; by default an SQLite file in the temporary folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stateful-benchmark-") as name:
        folder = Path(name)
        _log_progress("training the model")
        in_child(train, folder)
        environment = {
            "PDM_MODEL_DIR": str(folder / "model"),
            "PDM_MODEL_CACHE": str(folder / "cache"),
            "PDM_STORE_URL": arguments.store or f"sqlite:///{folder / 'store.db'}",
            "PDM_BATCH_DEADLINE_SECONDS": "60",
            "PYTHONPATH": str(PROJECT),
        }
        command = [sys.executable, "-m", "app", "--port", "{port}"]
        with serving(command, "/ready", None, **environment) as server:
            lines = [
                line for clients in CLIENTS for line in compare(server, clients, arguments.rounds, arguments.seconds)
            ]
            print(f"{describe_machine()}, load average {os.getloadavg()[0]:.1f} at the end")
            print(f"resident memory of all processes {server.resident_mib()[0]:.0f} MiB\n")
    print(markdown_table(("clients", "request", "per second", "CPU ms", "of /predict"), lines))


def compare(server: Server, clients: int, rounds: int, seconds: float) -> Iterator[Sequence[str]]:
    """A line for each kind of request."""
    random = np.random.default_rng(clients)
    first_hour = HOURS * (1 + CLIENTS.index(clients) * 100)
    history = [[reading(random, machine, first_hour + hour) for hour in range(HOURS)] for machine in range(MACHINES)]
    _log_progress(f"{clients} clients: sending {MACHINES * HOURS:,} readings")
    for start in range(0, MACHINES, 200):
        body = [one for readings in history[start : start + 200] for one in readings]
        httpx.post(f"{server.url}/readings", json=body, timeout=60).raise_for_status()
    requests: dict[str, Callable[[int], bytes]] = {
        "/predict": lambda place: post("/predict", reading(random, place, first_hour + HOURS)),
        "/predict, 24 readings beside it": lambda place: post(
            "/predict",
            reading(random, place, first_hour + HOURS)
            | {"history": [{k: v for k, v in one.items() if k != "machine_id"} for one in history[place % MACHINES]]},
        ),
    }
    found: dict[str, list[tuple[float, float]]] = {}
    load(server, [post("/readings", reading(random, 0, first_hour + HOURS - 1, "warm-up"))], 1, 0.1)
    for number in range(rounds):
        hour = first_hour + HOURS + number * (_SENT_AT_MOST // MACHINES)
        requests["/readings"] = partial(_next_reading, random, hour)
        for name, make in requests.items():
            count = _SENT_AT_MOST if name == "/readings" else 2_000
            found.setdefault(name, []).append(load(server, [make(place) for place in range(count)], clients, seconds))
    medians = {
        name: [statistics.median(values) for values in zip(*pairs, strict=True)] for name, pairs in found.items()
    }
    for name, (rate, cpu_ms) in medians.items():
        yield str(clients), name, f"{rate:,.0f}", f"{cpu_ms:.2f}", f"{rate / medians['/predict'][0]:.2f}"


def _next_reading(random: np.random.Generator, hour: int, place: int) -> bytes:
    return post("/readings", reading(random, place, hour + place // MACHINES))


def reading(random: np.random.Generator, machine: int, hour: int, name: str = "machine") -> dict[str, Any]:
    """A healthy reading of one of the machines."""
    values = {sensor: round(mean + random.normal(0, 6), 2) for sensor, mean in SENSORS.items()}
    moment = (START + timedelta(hours=hour)).isoformat()
    return {"machine_id": f"{name} {machine % MACHINES}", "timestamp": moment} | values


def post(path: str, body: dict[str, Any]) -> bytes:
    """A request as it is sent."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def load(server: Server, requests: Sequence[bytes], clients: int, seconds: float) -> tuple[float, float]:
    """Send requests over `clients` connections for `seconds`: (responses per second, CPU ms of the server for each)."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    selector, waiting, sent = selectors.DefaultSelector(), dict[socket.socket, bytes](), 0
    for _ in range(clients):
        connection = socket.create_connection((host, int(port)))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        waiting[connection] = b""
    began, cpu_s = time.perf_counter(), server.cpu_seconds()
    for connection in waiting:
        connection.sendall(requests[sent % len(requests)])
        sent += 1
    while time.perf_counter() < began + seconds:
        for key, _ in selector.select(1):
            connection = key.fileobj  # type: ignore[assignment]  # sockets are all that is registered
            waiting[connection] += connection.recv(65536)
            if _is_complete(waiting[connection]):
                waiting[connection] = b""
                connection.sendall(requests[sent % len(requests)])
                sent += 1
    answered, elapsed = sent - clients, time.perf_counter() - began
    for connection in waiting:
        connection.close()
    selector.close()
    return answered / elapsed, (server.cpu_seconds() - cpu_s) / max(answered, 1) * 1e3


def _is_complete(response: bytes) -> bool:
    head, end, body = response.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(f"a response was not successful: {response.decode()}")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) >= int(length.partition(b":")[2])


def train(folder: Path) -> None:
    """Train a small model and write it to the folder `model`."""
    import pandas as pd

    from predictive_maintenance.config.machine_file import parse_machine
    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.machine.machine_json import to_plain
    from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import export_model
    from predictive_maintenance.training.labelling import label, labelled_rows
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    random, runs = np.random.default_rng(1), []
    for number in range(60):
        hours = int(random.integers(80, 160))
        wear = 30 * np.clip(1 - np.arange(hours)[::-1] / 48, 0, 1)
        times = pd.date_range(START, periods=hours, freq="h", tz="UTC")
        sensors = {name: (mean + wear + random.normal(0, 6, hours)).round(2) for name, mean in SENSORS.items()}
        runs.append(pd.DataFrame({"machine_id": f"M{number}", "timestamp": times} | sensors))
    pd.concat(runs).to_csv(folder / "readings.csv", index=False)
    params = load_params().override(machine=to_plain(parse_machine(DESCRIPTION)))
    machine = params.machine
    cleaned = clean(ingest((Source(uri=str(folder / "readings.csv")),), machine), machine, params.cleaning).frame
    labelled = labelled_rows(cleaned, label(cleaned, machine), machine)
    rows = split(labelled.frame, machine, params.split, params.training.seed, labelled.unlabelled)
    files = export_model(train_untuned("lightgbm", rows.train, rows.fold, params), rows, params)
    (folder / "model").mkdir()
    for name, content in files.items():
        (folder / "model" / name).write_bytes(content)
    version = ModelVersion(
        version="1",
        aliases=("production",),
        run_id="benchmark",
        created=datetime.now().astimezone(),
        tags={"algorithm": "lightgbm"},
    )
    (folder / "model" / VERSION_FILE).write_text(version.to_json())


def _log_progress(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
