"""What hostile request bodies do to the service: memory, time, and the latency of good readings meanwhile.

    python benchmarks/hostile.py                 all cases, about five minutes; --list shows them
    python benchmarks/hostile.py json csv-gzip   the cases whose names begin with one of these
    python benchmarks/hostile.py --memory-mib 600  in the container image of `make image`, with a memory limit

Each case starts the service on a small model and sends one body; a good client sends single readings all the time. The table
has the status of the answer (`none` after the patience of the client), its time, the peak of the resident memory of all
processes of the service, and the 99th percentile of the good readings' latency.

The promise: at most 512 MiB, an answer within the deadline of a batch (10 s), and good readings within 50 ms at p99.
To add a case, add an entry to CASES: a function that returns (path, body, headers).
"""

import argparse
import gzip
import io
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from measuring import describe_machine, in_child, markdown_table
from servers import Server, serving, serving_in_container

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
MAX_MIB, MAX_SECONDS, MAX_P99_MS = 512, 11.0, 50.0
_MIB = 2**20
_SAMPLE_SECONDS = 0.02

READING = {
    "product_type": "M", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
    "rotational_speed_rpm": 1538.0, "torque_nm": 38.1, "tool_wear_min": 120.0,
}  # fmt: skip

Case = tuple[str, bytes, dict[str, str]]


def batch(body: bytes, media_type: str = JSON) -> Case:
    return "/predict/batch", body, {"content-type": media_type}


def single(body: bytes, path: str = "/predict") -> Case:
    return path, body, {"content-type": JSON}


def unknown_keys(size_mib: float) -> bytes:
    """A JSON object of `size_mib` MiB whose keys are all unknown."""
    keys = int(size_mib * _MIB / 12)
    return b"{" + b",".join(b'"%07d":1' % number for number in range(keys)) + b"}"


def table(columns: dict[str, list[Any]], write: Callable[[Any, io.BytesIO], None]) -> bytes:
    """A table with the columns of a reading, of which `columns` replace or add some, as `write` writes it."""
    import pyarrow as pa

    rows = len(next(iter(columns.values())))
    buffer = io.BytesIO()
    write(pa.table({name: [value] * rows for name, value in READING.items()} | columns), buffer)
    return buffer.getvalue()


def parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow.parquet as pq

    return table(columns, lambda made, buffer: pq.write_table(made, buffer, compression="zstd"))


def arrow(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa

    def write(made: Any, buffer: io.BytesIO) -> None:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(buffer, made.schema, options=options) as writer:
            writer.write_table(made)

    return table(columns, write)


def dictionary_of_long_texts(rows: int, characters: int) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * characters]))


def csv_of_readings(rows: int, line: str) -> bytes:
    return (",".join(READING) + "\n" + (line + "\n") * rows).encode()


_GOOD_LINE = ",".join(map(str, READING.values()))

CASES: dict[str, Callable[[], Case]] = {
    "good-1000-records": lambda: batch(json.dumps([READING] * 1_000).encode()),
    "good-100000-records": lambda: batch(json.dumps([READING] * 100_000).encode()),
    "good-100000-csv": lambda: batch(csv_of_readings(100_000, _GOOD_LINE), CSV),
    "json-300000-empty-objects": lambda: batch(b"[" + b",".join([b"{}"] * 300_000) + b"]"),
    "json-100000-empty-objects": lambda: batch(b"[" + b",".join([b"{}"] * 100_000) + b"]"),
    "json-32MiB-empty-objects": lambda: batch(b"[" + b",".join([b"{}"] * (10 * _MIB)) + b"]"),
    "json-32MiB-empty-lists": lambda: batch(b"[" + b",".join([b"[]"] * (10 * _MIB)) + b"]"),
    "json-32MiB-of-commas-in-a-list": lambda: batch(b"[" + b",".join([b"1"] * (15 * _MIB)) + b"]"),
    "json-24MiB-unknown-keys": lambda: batch(b"[" + unknown_keys(24) + b"]"),
    "json-9MiB-unknown-keys": lambda: batch(b"[" + unknown_keys(9) + b"]"),
    "json-9MiB-unknown-columns": lambda: batch(unknown_keys(9)),
    "json-480-records-of-63KiB-unknown-keys": lambda: batch(b"[" + b",".join([unknown_keys(0.06)] * 480) + b"]"),
    "json-100000-invalid-columns": lambda: batch(json.dumps({name: ["x"] * 100_000 for name in READING}).encode()),
    "json-nested": lambda: batch(b"[" * (16 * _MIB)),
    "json-nested-in-a-record": lambda: batch(b'[{"a":' + b"[" * (16 * _MIB)),
    "json-long-number": lambda: batch(b'[{"torque_nm":' + b"9" * (31 * _MIB) + b"}]"),
    "json-long-text": lambda: batch(b'[{"reading_id":"' + b"x" * (31 * _MIB) + b'"}]'),
    "json-lines-of-16MiB": lambda: ("/invocations", b"1\n" * (16 * _MIB), {"content-type": "application/jsonlines"}),
    "json-single-24MiB-unknown-keys": lambda: single(unknown_keys(24)),
    "json-single-63KiB-unknown-keys": lambda: single(unknown_keys(0.06)),
    "json-what-if-24MiB": lambda: single(unknown_keys(24), "/predict/what-if"),
    "csv-gzip-1500000-columns": lambda: batch(gzip.compress(b"a," * 1_500_000 + b"a\n1\n"), CSV),
    "csv-gzip-300KiB": lambda: batch(gzip.compress(b"a," * (150 * _MIB) + b"a\n1\n"), CSV),
    "csv-gzip-malformed-rows": lambda: batch(gzip.compress(csv_of_readings(50_000_000, "1,2")), CSV),
    "csv-32MiB-malformed-rows": lambda: batch(csv_of_readings(8 * _MIB, "1,2"), CSV),
    "csv-long-cell": lambda: batch(csv_of_readings(1, "x" * (31 * _MIB) + _GOOD_LINE), CSV),
    "parquet-20-cells-of-50MB": lambda: batch(parquet({"reading_id": ["x" * 50_000_000] * 20}), PARQUET),
    "parquet-20kB-text-in-65000-rows": lambda: batch(parquet({"reading_id": ["x" * 20_000] * 65_000}), PARQUET),
    "parquet-20kB-text-in-an-unused-column": lambda: batch(parquet({"other": ["x" * 20_000] * 65_000}), PARQUET),
    "parquet-dictionary-of-long-texts": lambda: batch(
        parquet({"reading_id": dictionary_of_long_texts(65_000, 20_000)}), PARQUET
    ),
    "arrow-20kB-text-in-65000-rows": lambda: batch(arrow({"reading_id": ["x" * 20_000] * 65_000}), ARROW),
    "arrow-dictionary-of-long-texts": lambda: batch(
        arrow({"reading_id": dictionary_of_long_texts(65_000, 20_000)}), ARROW
    ),
}
"""Path, body and headers of each case. They are made one at a time, in a process of their own: some take gigabytes."""


@dataclass
class Observed:
    """What happened to the service while a body was answered. Latencies are in s."""

    peak_mib: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failed_readings: int = 0

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.latencies, n=100)[98] * 1000 if len(self.latencies) > 1 else float("nan")


def main() -> None:
    arguments = _arguments()
    names = [name for name in CASES if any(name.startswith(start) for start in arguments.cases or ("",))]
    if arguments.list or not names:
        print("\n".join(CASES))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as text:
        folder = Path(text)
        in_child(write_model, folder / "model")
        for name in names:
            rows.append(run_case(name, folder, arguments.seconds, arguments.memory_mib))
            print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    where = f"container with {arguments.memory_mib} MiB" if arguments.memory_mib else "process"
    print(f"{describe_machine()}; service: {where}\n")
    print(markdown_table(("case", "body", "status", "seconds", "peak MiB", "p99 of readings", ""), rows))


def start_service(folder: Path, memory_mib: int | None) -> AbstractContextManager[Server]:
    """Start the service as a process, or in a container with a memory limit. A container that ends is an error."""
    model = folder / "model"
    if memory_mib:
        return serving_in_container(
            "predictive-maintenance:serve", "/ready", memory_mib, model, PDM_MODEL_DIR=str(model)
        )
    command = [sys.executable, "-m", "app", "--port", "{port}"]
    return serving(command, "/ready", PDM_MODEL_DIR=str(model), PDM_MODEL_CACHE=str(folder / "cache"))


def run_case(name: str, folder: Path, patience_seconds: float, memory_mib: int | None) -> tuple[str, ...]:
    """Send the body of one case to a new service, and return the row of the table."""
    path, headers = in_child(write_body, name, folder / "body")
    body = (folder / "body").read_bytes()
    with start_service(folder, memory_mib) as server:
        # The first batch starts the worker process.
        httpx.post(f"{server.url}/predict/batch", json=[READING], timeout=60).raise_for_status()
        observed, done = Observed(), threading.Event()
        threads = [
            threading.Thread(target=watch, args=(server, observed, done)) for watch in (_watch_memory, _send_readings)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1)
        start = time.perf_counter()
        try:
            answer = httpx.post(server.url + path, content=body, headers=headers, timeout=patience_seconds)
            status = str(answer.status_code)
        except httpx.TransportError as error:
            status = f"none: {type(error).__name__}"
        seconds = time.perf_counter() - start
        time.sleep(1)
        done.set()
        for thread in threads:
            thread.join()
    is_kept = (
        observed.peak_mib <= MAX_MIB
        and seconds <= MAX_SECONDS
        and observed.p99_ms <= MAX_P99_MS
        and not observed.failed_readings
    )
    return (
        name, f"{len(body) / 1024:,.0f} KiB", status, f"{seconds:.1f}", f"{observed.peak_mib:,.0f}",
        f"{observed.p99_ms:.0f} ms", "" if is_kept else "EXCEEDED",
    )  # fmt: skip


def write_model(folder: Path) -> None:
    """Train a small model on simulated readings and write it as `export` does."""
    from datetime import UTC, datetime

    from predictive_maintenance.config.params_file import load_params
    from predictive_maintenance.config.sources import Source
    from predictive_maintenance.ingestion.ingest import ingest
    from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
    from predictive_maintenance.training.candidate import train_untuned
    from predictive_maintenance.training.export import export_model
    from predictive_maintenance.training.splits import split
    from predictive_maintenance.validation.cleaning import clean

    params = load_params()
    pulled = ingest((Source(uri="simulator://?rows=8000&seed=3"),), params.machine)
    rows = split(
        params.machine.with_features(clean(pulled, params.machine, params.cleaning).frame),
        params.machine,
        params.split,
        3,
    )
    trained = train_untuned("lightgbm", rows.train, rows.fold, params)
    folder.mkdir()
    for name, content in export_model(trained, rows, params).items():
        (folder / name).write_bytes(content)
    version = ModelVersion(version="1", aliases=(), run_id="hostile", created=datetime.now(UTC), tags={})
    (folder / VERSION_FILE).write_text(version.to_json())


def write_body(name: str, file: Path) -> tuple[str, dict[str, str]]:
    """Write the body of a case. Return its path and headers."""
    path, body, headers = CASES[name]()
    file.write_bytes(body)
    return path, headers


def _watch_memory(server: Server, observed: Observed, done: threading.Event) -> None:
    while not done.wait(_SAMPLE_SECONDS):
        try:
            observed.peak_mib = max(observed.peak_mib, server.resident_mib()[0])
        except (OSError, StopIteration):
            continue  # a process ended while it was read


def _send_readings(server: Server, observed: Observed, done: threading.Event) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        while not done.is_set():
            start = time.perf_counter()
            try:
                is_good = client.post("/predict", json=READING).status_code == 200
            except httpx.TransportError:
                is_good = False
            observed.latencies.append(time.perf_counter() - start)
            observed.failed_readings += not is_good
            time.sleep(0.005)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="names of cases, or how they begin; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="patience of the hostile client")
    parser.add_argument("--memory-mib", type=int, help="run the container image with this memory limit")
    parser.add_argument("--list", action="store_true", help="show the names of the cases")
    return parser.parse_args()


if __name__ == "__main__":
    main()
