"""The hostile requests of hostile.py to a service whose readings are scored alone."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MILLING, FLEET = "milling", "fleet"
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
_MIB = 2**20

READING = {
    "product_type": "M", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
    "rotational_speed_rpm": 1538.0, "torque_nm": 38.1, "tool_wear_min": 120.0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request to the service of a kind of machine: a POST of `body`, or a GET.

    Each of `clients` sends it `times` times or more. With `is_read` false, they leave the answers in their connections. {number}
    in `body` is the number of the request.
    """

    path: str
    body: bytes | None = None
    media_type: str = JSON
    machine: str = MILLING
    times: int = 1
    clients: int = 1
    is_read: bool = True


def batch(body: bytes, media_type: str = JSON) -> Case:
    return Case(path="/predict/batch", body=body, media_type=media_type)


def single(body: bytes, path: str = "/predict") -> Case:
    return Case(path=path, body=body)


def unknown_keys(size_mib: float) -> bytes:
    """A JSON object of `size_mib` MiB whose keys are all unknown."""
    keys = int(size_mib * _MIB / 12)
    return b"{" + b",".join(b'"%07d":1' % number for number in range(keys)) + b"}"


def readings_table(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns of a table of readings, of which `columns` replace or add some."""
    rows = len(next(iter(columns.values())))
    return {name: [value] * rows for name, value in READING.items()} | columns


def parquet_table(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def arrow_table(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa

    made, buffer = pa.table(columns), io.BytesIO()
    with pa.ipc.new_stream(buffer, made.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(made)
    return buffer.getvalue()


def parquet(columns: dict[str, list[Any]]) -> bytes:
    return parquet_table(readings_table(columns))


def arrow(columns: dict[str, list[Any]]) -> bytes:
    return arrow_table(readings_table(columns))


def dictionary_of_long_texts(rows: int, characters: int) -> Any:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * characters]))


def csv_of_readings(rows: int, line: str) -> bytes:
    return (",".join(READING) + "\n" + (line + "\n") * rows).encode()


_GOOD_LINE = ",".join(map(str, READING.values()))

MILLING_CASES: dict[str, Callable[[], Case]] = {
    "nothing": lambda: Case(path="/health"),
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
    "json-lines-of-16MiB": lambda: Case(
        path="/invocations", body=b"1\n" * (16 * _MIB), media_type="application/jsonlines"
    ),
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
"""They are made one at a time, in a process of their own: some take gigabytes."""
