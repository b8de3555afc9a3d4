"""Tables as request and response bodies: CSV, Parquet and Arrow."""

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
    """A table in a request body, read batch by batch.

    `malformed` is filled while the table is read: the CSV rows whose number of cells differs from the header's.
    """

    headers: list[str]
    batches: Iterator[pa.RecordBatch]
    malformed: list[MalformedRow]
    decimal: str = "."

    def read(self, headers: Sequence[str], max_rows: int) -> pa.Table:
        """Return the columns under `headers`. Raises Problem 413 as soon as there are more than `max_rows` rows."""
        batches, rows = [], 0
        for batch in self.batches:
            rows += batch.num_rows
            check_rows(rows + len(self.malformed), max_rows)
            selected = batch.select(headers)
            selected.validate(full=True)  # a buffer with wrong lengths would crash the process later
            batches.append(selected)
        return pa.Table.from_batches(batches) if batches else pa.table({header: [] for header in headers})


@contextmanager
def open_table(body: bytes, media_type: str) -> Iterator[BodyTable]:
    """Open the table in `body`. Raises SourceError or an Arrow error if `body` is not of that media type."""
    if media_type in (ARROW_STREAM, ARROW_FILE):
        if media_type == ARROW_STREAM:
            with pa.ipc.open_stream(body) as stream:
                yield BodyTable(stream.schema.names, iter(stream), [])
        else:
            with pa.ipc.open_file(body) as file:
                batches = (file.get_batch(number) for number in range(file.num_record_batches))
                yield BodyTable(file.schema.names, batches, [])
        return
    if (media_type == PARQUET) != body.startswith(PARQUET_MAGIC):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body is not {media_type}: send the content type that it has"
        )
    with tempfile.NamedTemporaryFile(prefix="pdm-batch-") as file:
        file.write(body)
        file.flush()
        table, malformed = TableFile.open(Path(file.name), "the body"), list[MalformedRow]()
        decimal = table.dialect.decimal if table.dialect else "."
        yield BodyTable(table.headers, table.batches(malformed), malformed, decimal)


def write_table(table: pa.Table, media_type: str) -> bytes:
    """Return `table` as bytes of one of TABLES."""
    buffer = io.BytesIO()
    if media_type == CSV:
        pa.csv.write_csv(table, buffer)
    elif media_type == PARQUET:
        pa.parquet.write_table(table, buffer)
    else:
        new_writer = pa.ipc.new_stream if media_type == ARROW_STREAM else pa.ipc.new_file
        with new_writer(buffer, table.schema) as writer:
            writer.write_table(table)
    return buffer.getvalue()


def check_rows(rows: int, max_rows: int) -> None:
    """Raise Problem 413 if a request has more than `max_rows` rows."""
    if rows > max_rows:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the batch has more than {max_rows:,} rows (PDM_MAX_ROWS): send it in parts, or use "
            "`predictive-maintenance score FILE`",
        )
