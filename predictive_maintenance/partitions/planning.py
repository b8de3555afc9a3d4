"""How many parts the readings of a run are divided into, by an estimate of their rows, and which part a row is in."""

import heapq
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..config.sources import READINGS
from ..config.uris import expand, scheme_of
from ..ingestion.csv_reader import open_bytes
from ..ingestion.locations import SourceFile
from ..ingestion.parquet_footers import remote_parquet_rows
from ..ingestion.parquet_reader import PARQUET_MAGIC
from ..ingestion.remote_stores import store_kind
from ..ingestion.service_store import stored_rows
from ..ingestion.simulation import simulated_rows
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID
from ..machine.sections import GroupColumn

_SAMPLE_BYTES = 2**16
_PARQUET_ROW_BYTES, _CSV_ROW_BYTES, _UNPACKED = 16, 50, 8  # of files that are not here yet
_COUNTS = {"store": stored_rows, "simulator": simulated_rows}

LARGEST_MACHINE = 4
"""A machine, and the rows of a query, may have so many times the rows that a part should have."""

MOST_PARTS = 512
"""While a file is divided, the files of all parts are open."""

BUCKETS_PER_PART = 256
"""By hashes alone, parts of few machines have very different sizes. Smaller buckets of hashes can be packed evenly."""

PartNumbers = npt.NDArray[np.int64]


def number_of_parts(files: Sequence[SourceFile], rows_per_part: int, machine: Machine) -> int:
    """The number of parts with about `rows_per_part` readings each, from 1 to MOST_PARTS.

    A query counts as no rows, since nothing says how many it has. Raises SourceError if the store of the service cannot be read,
    the storage of a file does not answer, or a simulator has too many rows.
    """
    readings = [file for file in files if file.source.table == READINGS and file.source.merge == "append"]
    footers = [file for file in readings if _has_remote_footer(file)]
    others = sum(_estimated_rows(file, machine) for file in readings if not _has_remote_footer(file))
    return min(MOST_PARTS, max(1, math.ceil((remote_parquet_rows(footers) + others) / rows_per_part)))


def part_column(columns: Sequence[str], machine: Machine) -> str | None:
    """The column by which readings with these columns are divided: rows with one value are in one part.

    It is the machine or, without one, what the description's groups are made from, which may be the reading itself. None if all
    rows must be in one part: a group ends where a sensor falls, and no column says whose sensor it is.
    """
    group = machine.description.group
    if MACHINE_ID in columns:
        return MACHINE_ID
    if isinstance(group, GroupColumn):
        return group.column or None
    return READING_ID


def part_numbers(values: pd.Series, parts: int) -> PartNumbers:
    """(n,) the part of each row by a stable hash of its value. It depends on nothing else."""
    hashes = pd.util.hash_array(values.astype(object).where(values.notna(), None).to_numpy(), categorize=True)
    return (hashes % np.uint64(parts)).astype(np.int64)


def bucket_numbers(values: pd.Series, parts: int) -> PartNumbers:
    """(n,) the bucket of each row, of BUCKETS_PER_PART for each part. The bucket modulo `parts` is the part by `part_numbers`."""
    return part_numbers(values, parts * BUCKETS_PER_PART)


def packed(rows: npt.NDArray[np.int64], parts: int) -> PartNumbers:
    """(B,) the part of each bucket: of those with so many `rows` (B,), the largest first, each to the part with the fewest rows.

    Parts are numbered in the order of the bucket that each got first. That is a hash, so the first parts are not the largest
    ones, but random machines. A bucket without rows stays where `part_numbers` has it.
    """
    part = np.arange(len(rows)) % parts
    loads, first = [(0, number) for number in range(parts)], np.full(parts, len(rows))
    for bucket in np.argsort(-rows, kind="stable")[: np.count_nonzero(rows)].tolist():
        load, number = heapq.heappop(loads)
        heapq.heappush(loads, (load + int(rows[bucket]), number))
        part[bucket] = number
        first[number] = bucket if load == 0 else first[number]
    names = np.empty(parts, dtype=np.int64)
    names[np.argsort(first, kind="stable")] = np.arange(parts)
    return np.where(rows > 0, names[part], part)


def _has_remote_footer(file: SourceFile) -> bool:
    """Whether a file is a Parquet file in storage that can read a part of a file. Not every web server can."""
    kind = store_kind(file.url or "")
    return bool(kind and not kind.is_web and file.bytes and not file.copy and str(file.url).endswith(".parquet"))


def _estimated_rows(file: SourceFile, machine: Machine) -> float:
    if file.url is None:
        uri = expand(file.source.uri)
        count = _COUNTS.get(scheme_of(uri))
        return float(count(uri, machine)) if count else 0.0
    if file.copy or store_kind(file.url):
        is_parquet = file.url.endswith(".parquet")
        unpacked = _UNPACKED if file.url.endswith(".gz") else 1
        return file.bytes * unpacked / (_PARQUET_ROW_BYTES if is_parquet else _CSV_ROW_BYTES)
    return _rows_of(Path(file.url), file.bytes)


def _rows_of(path: Path, size: int) -> float:
    """About the number of rows of a file, 0 for one that cannot be read, which is reported where it is read."""
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
        if is_parquet:
            return float(pq.read_metadata(path).num_rows)
        with open_bytes(path) as text:
            sample = text.read(_SAMPLE_BYTES)
    except (OSError, pa.ArrowException):
        return 0.0
    unpacked = size * (_UNPACKED if path.suffix == ".gz" else 1)
    return unpacked * sample.count(b"\n") / max(len(sample), 1)
