"""The hostile requests of hostile.py to a service of a machine with history, events and a store of readings."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import quote

from hostile_bodies import (
    ARROW,
    CSV,
    FLEET,
    PARQUET,
    Case,
    arrow_table,
    dictionary_of_long_texts,
    parquet_table,
    unknown_keys,
)

PUMP: dict[str, Any] = {
    "model": "CP-65", "flow_m3_h": 48.7, "discharge_pressure_bar": 6.61, "vibration_mm_s": 2.3,
    "bearing_temperature_c": 48.2, "motor_current_a": 33.1, "rated_power_kw": 18.5, "age_years": 6.5,
}  # fmt: skip
LARGE_MACHINE = "a machine with many readings"
STORED_MACHINES, STORED_READINGS, STORED_ALARMS = 10_000, 5_000, 5_000
_START = datetime(2024, 1, 1)  # noqa: DTZ001  times without a zone are in UTC
_KIB, _MIB = 2**10, 2**20


def pump(machine_id: str = "P1", minute: int = 0, **sensors: Any) -> dict[str, Any]:
    """A reading of a healthy pump."""
    moment = (_START + timedelta(minutes=minute)).isoformat()
    return {"machine_id": machine_id, "timestamp": moment, **PUMP, **sensors}


def fill_store(url: str, model_name: str) -> None:
    """Fill a store with STORED_MACHINES of one reading each, most of them with an open alarm, and LARGE_MACHINE."""
    from predictive_maintenance.store.rows import Alarm, Event, Reading, Score
    from predictive_maintenance.store.store import Store

    beginning, minute = int(_START.timestamp() * 1e6), 60_000_000
    score, received = Score(0.9, alarm=True, version="1"), int(time.time())

    def reading(place: int) -> Reading:
        return Reading(time=beginning + place * minute, received=received, sensors=PUMP, score=score)

    store = Store.open(url, timeout_seconds=5)
    with store.writing() as transaction:
        locked = transaction.machines(model_name, [f"machine {number}" for number in range(STORED_MACHINES)])
        transaction.add([(machine, reading(0)) for machine in locked.values()])
        for machine in list(locked.values())[:STORED_ALARMS]:
            transaction.save_alarm(machine, Alarm(opened=beginning, probability=0.9, version="1"))
        (large,) = transaction.machines(model_name, [LARGE_MACHINE]).values()
        transaction.add([(large, reading(place)) for place in range(STORED_READINGS)])
        events = [Event("errors", beginning + place * minute, "seal_leak") for place in range(STORED_READINGS)]
        transaction.add_events({large: events}, received)
    store.close()


def readings(rows: list[dict[str, Any]], **more: Any) -> Case:
    """Readings for the store."""
    return Case(path="/readings", body=json.dumps(rows).encode(), machine=FLEET, **more)


def raw(path: str, body: bytes, **more: Any) -> Case:
    return Case(path=path, body=body, machine=FLEET, **more)


def get(path: str, **more: Any) -> Case:
    return Case(path=path, machine=FLEET, **more)


def rows_of_table(**columns: list[Any]) -> dict[str, list[Any]]:
    """The columns of a table of readings, of which `columns` replace some."""
    count = len(next(iter(columns.values())))
    return {name: [value] * count for name, value in pump().items()} | columns


def events(count: int, table: str = "errors", kind: str = "seal_leak", **more: Any) -> dict[str, Any]:
    """Events, each of another machine."""
    return {
        table: [
            {"machine_id": f"machine {number}", "timestamp": _START.isoformat(), "type": kind, **more}
            for number in range(count)
        ]
    }


def fill(field: str, entries: Iterator[dict[str, Any]], limit: int = 63 * _KIB) -> bytes:
    """A single reading with as many entries in `field` as fit into `limit` bytes."""
    reading, chosen = pump(minute=10_000_000), list[dict[str, Any]]()
    size = len(json.dumps(reading)) + 100
    for entry in entries:
        size += len(json.dumps(entry)) + 2
        if size > limit:
            break
        chosen.append(entry)
    return json.dumps(reading | {field: chosen if field == "history" else {"errors": chosen}}).encode()


def earlier(**sensors: Any) -> Iterator[dict[str, Any]]:
    """Earlier readings of one machine, as short as they can be."""
    minute = 0
    while True:
        minute += 1
        reading = pump(minute=minute, **sensors)
        yield {name: value for name, value in reading.items() if name not in ("machine_id", "model", "vibration_mm_s")}


def past_events() -> Iterator[dict[str, Any]]:
    minute = 0
    while True:
        minute += 1
        yield {"timestamp": (_START + timedelta(minutes=minute)).isoformat(), "type": "seal_leak"}


def _empty() -> Iterator[dict[str, Any]]:
    while True:
        yield {}


def _batch_with_events(readings: int, number: int, **more: Any) -> Case:
    rows = [pump(f"machine {row}") for row in range(readings)]
    return raw("/predict/batch", json.dumps({"readings": rows, "events": events(number, **more)}).encode())


def _csv(rows: int, line: str) -> bytes:
    return (",".join(pump()) + "\n" + (line + "\n") * rows).encode()


_LARGE = f"/machines/{quote(LARGE_MACHINE)}?limit=5000"

FLEET_CASES: dict[str, Callable[[], Case]] = {
    "nothing-with-a-store": lambda: get("/health"),
    "readings-10000-of-one-machine": lambda: readings([pump(minute=row) for row in range(10_000)]),
    "readings-10000-of-10000-machines": lambda: readings([pump(f"P{row}") for row in range(10_000)]),
    "readings-100000-of-one-machine": lambda: readings([pump(minute=row) for row in range(100_000)]),
    "readings-100000-of-100000-machines": lambda: readings([pump(f"P{row}") for row in range(100_000)]),
    "readings-100000-far-apart": lambda: readings([pump(minute=row * 14_400 - 10**9) for row in range(70_000)]),
    "readings-100000-repeated": lambda: readings([pump()] * 100_000),
    "readings-100000-contradicting": lambda: readings([pump(flow_m3_h=row / 1000) for row in range(100_000)]),
    "readings-100000-contradict-the-store": lambda: readings(
        [
            pump(f"machine {row % STORED_MACHINES}", minute=row // STORED_MACHINES, flow_m3_h=1.0)
            for row in range(100_000)
        ]
    ),
    "readings-60000-long-machine-ids": lambda: readings([pump(f"{row:0200}") for row in range(60_000)]),
    "readings-json-300000-empty-objects": lambda: raw("/readings", b"[" + b",".join([b"{}"] * 300_000) + b"]"),
    "readings-json-100000-empty-objects": lambda: raw("/readings", b"[" + b",".join([b"{}"] * 100_000) + b"]"),
    "readings-json-24MiB-unknown-keys": lambda: raw("/readings", b"[" + unknown_keys(24) + b"]"),
    "readings-json-24MiB-unknown-keys-of-one": lambda: raw("/readings", unknown_keys(24)),
    "readings-json-63KiB-unknown-keys-of-one": lambda: raw("/readings", unknown_keys(0.06), times=50),
    "readings-json-63KiB-nested-in-one": lambda: raw("/readings", b'{"flow_m3_h":' + b"[" * (62 * _KIB), times=50),
    "readings-json-nested": lambda: raw("/readings", b"[" * (16 * _MIB)),
    "readings-csv-gzip-300KiB": lambda: raw(
        "/readings", gzip.compress(b"a," * (150 * _MIB) + b"a\n1\n"), media_type=CSV
    ),
    "readings-csv-gzip-malformed-rows": lambda: raw(
        "/readings", gzip.compress(_csv(50_000_000, "1,2")), media_type=CSV
    ),
    "readings-parquet-20-cells-of-50MB": lambda: raw(
        "/readings", parquet_table(rows_of_table(machine_id=["x" * 50_000_000] * 20)), media_type=PARQUET
    ),
    "readings-parquet-65000-ids-of-20kB": lambda: raw(
        "/readings", parquet_table(rows_of_table(machine_id=["x" * 20_000] * 65_000)), media_type=PARQUET
    ),
    "readings-arrow-dictionary-of-long-ids": lambda: raw(
        "/readings",
        arrow_table(
            rows_of_table(timestamp=["2024-01-01"] * 65_000) | {"machine_id": dictionary_of_long_texts(65_000, 20_000)}
        ),
        media_type=ARROW,
    ),
    "readings-single-of-many-machines": lambda: raw(
        "/readings", json.dumps(pump("machine {number}", 1)).encode(), times=300, clients=16
    ),
    "readings-single-contradicting": lambda: raw(
        "/readings", json.dumps(pump("machine 1", flow_m3_h=7.0)).encode(), times=300, clients=16
    ),
    "events-1000-of-1000-machines": lambda: raw("/events", json.dumps(events(1_000)).encode(), times=5, clients=4),
    "events-1000-failures-of-1000-machines": lambda: raw(
        "/events", json.dumps(events(1_000, "failures", "seal")).encode(), times=5, clients=4
    ),
    "events-1000-invalid": lambda: raw("/events", json.dumps(events(1_000, kind="x")).encode(), times=20, clients=4),
    "events-256KiB-long-ids": lambda: raw(
        "/events",
        json.dumps({"errors": [{"machine_id": "x" * 255_000, "timestamp": "", "type": ""}]}).encode(),
        times=20,
    ),
    "events-4900-unknown-tables": lambda: raw(
        "/events", json.dumps({f"unknown table {number}": 1 for number in range(4_900)}).encode(), times=20
    ),
    "events-4900-unknown-fields": lambda: raw(
        "/events", json.dumps({"errors": [{f"unknown {number}": 1 for number in range(4_900)}]}).encode(), times=20
    ),
    "events-256KiB-nested": lambda: raw("/events", b'{"errors":' + b"[" * (255 * _KIB), times=20),
    "events-24MiB": lambda: raw("/events", json.dumps(events(250_000)).encode()),
    "history-63KiB": lambda: raw("/predict", fill("history", earlier()), times=100),
    "history-63KiB-explained": lambda: raw("/predict?explain=true", fill("history", earlier()), times=20, clients=4),
    "history-63KiB-what-if": lambda: raw("/predict/what-if", fill("history", earlier()), times=10, clients=4),
    "history-63KiB-empty": lambda: raw("/predict", fill("history", _empty()), times=100),
    "history-63KiB-outside-of-limits": lambda: raw(
        "/predict", fill("history", earlier(flow_m3_h=-1, discharge_pressure_bar=-1, age_years=-1)), times=100
    ),
    "history-63KiB-repeated": lambda: raw("/predict", fill("history", iter([next(earlier())] * 1_000)), times=100),
    "history-63KiB-nested": lambda: raw("/predict", b'{"history":' + b"[" * (62 * _KIB), times=100),
    "history-63KiB-events": lambda: raw("/predict", fill("events", past_events()), times=100),
    "history-63KiB-unknown-keys": lambda: raw("/predict", b'{"history":[' + unknown_keys(0.06) + b"]}", times=100),
    "batch-100-readings-250000-events": lambda: _batch_with_events(100, 250_000),
    "batch-250000-invalid-events": lambda: _batch_with_events(100, 250_000, kind="x"),
    "batch-60000-readings-60000-events": lambda: _batch_with_events(60_000, 60_000),
    "batch-10-readings-of-one-machine-and-250000-events": lambda: raw(
        "/predict/batch",
        json.dumps(
            {
                "readings": [pump(minute=10**6 + row) for row in range(10)],
                "events": {"errors": [{"machine_id": "P1", **one} for one in islice(past_events(), 250_000)]},
            }
        ).encode(),
    ),
    "get-machines": lambda: get("/machines?limit=1000", times=20, clients=4),
    "get-machine-5000-readings": lambda: get(_LARGE, times=10, clients=4),
    "get-alarms": lambda: get("/alarms?limit=1000&state=all", times=20, clients=4),
    "get-machine-5000-readings-unread": lambda: get(_LARGE, times=8, clients=900, is_read=False),
    "get-machines-unread": lambda: get("/machines?limit=1000", times=8, clients=900, is_read=False),
    "get-openapi-unread": lambda: get("/openapi.json", times=16, clients=900, is_read=False),
    "get-machines-long-limit": lambda: get(f"/machines?limit={'9' * 30_000}", times=100),
    "get-machines-long-after": lambda: get(f"/machines?after={'%F0%9F%98%80' * 2_500}", times=100),
    "get-machines-many-parameters": lambda: get(f"/machines?{'after=1&' * 3_700}", times=100),
    "get-machine-of-a-long-id": lambda: get(f"/machines/{'x%2F' * 7_500}", times=100),
    "get-alarms-long-after": lambda: get(f"/alarms?after={'1' * 290}%7C{'x' * 5}", times=100),
}
