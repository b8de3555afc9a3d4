"""Tables in a body: CSV, Parquet and Arrow, read batch by batch up to a number of rows, and written."""

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from predictive_maintenance.ingestion.table_reader import PARQUET_MAGIC, MalformedRow, TableFile

from ..problems import Problem
from .media_types import ARROW_FILE, ARROW_STREAM, CSV, PARQUET


@dataclass(frozen=True)
class BodyTable:
    """A table as it arrives. `malformed` fills with the rows of a CSV that have no cell for each header, as it is read."""

    headers: list[str]
    batches: Iterator[pa.RecordBatch]
    malformed: list[MalformedRow]
    decimal: str = "."

    def read(self, headers: Sequence[str], max_rows: int) -> pa.Table:
        """The columns under `headers`. Raises Problem 413 as soon as there are more than `max_rows` rows."""
        found, rows = [], 0
        for batch in self.batches:
            rows += batch.num_rows
            check_rows(rows + len(self.malformed), max_rows)
            picked = batch.select(headers)
            picked.validate(full=True)  # a buffer that lies about its lengths would crash the process later
            found.append(picked)
        return pa.Table.from_batches(found) if found else pa.table({header: [] for header in headers})


@contextmanager
def open_table(body: bytes, kind: str) -> Iterator[BodyTable]:
    """The table in `body`. Raises SourceError or Arrow's own errors where it is not of that `kind`."""
    if kind in (ARROW_STREAM, ARROW_FILE):
        if kind == ARROW_STREAM:
            with pa.ipc.open_stream(body) as stream:
                yield BodyTable(stream.schema.names, iter(stream), [])
        else:
            with pa.ipc.open_file(body) as file:
                batches = (file.get_batch(number) for number in range(file.num_record_batches))
                yield BodyTable(file.schema.names, batches, [])
        return
    if (kind == PARQUET) != body.startswith(PARQUET_MAGIC):
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body is not {kind}, which its content type says")
    with tempfile.NamedTemporaryFile(prefix="pdm-batch-") as file:
        file.write(body)
        file.flush()
        table, malformed = TableFile.open(Path(file.name), "the body"), list[MalformedRow]()
        decimal = table.dialect.decimal if table.dialect else "."
        yield BodyTable(table.headers, table.batches(malformed), malformed, decimal)


def write_table(table: pa.Table, kind: str) -> bytes:
    """`table` as one of TABLES."""
    buffer = io.BytesIO()
    if kind == CSV:
        pa.csv.write_csv(table, buffer)
    elif kind == PARQUET:
        pa.parquet.write_table(table, buffer)
    else:
        make = pa.ipc.new_stream if kind == ARROW_STREAM else pa.ipc.new_file
        with make(buffer, table.schema) as writer:
            writer.write_table(table)
    return buffer.getvalue()


def check_rows(rows: int, max_rows: int) -> None:
    """Raises Problem 413 for more rows than a request may have."""
    if rows > max_rows:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the batch has more than {max_rows:,} rows (PDM_MAX_ROWS): send it in parts, or use "
            "`python -m predictive_maintenance score FILE`",
        )
