"""Tables as request and response bodies: CSV, Parquet and Arrow."""

import io
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from predictive_maintenance.errors import SourceError, TableLimitError, is_disk_full
from predictive_maintenance.ingestion.arrow_reader import ArrowStream
from predictive_maintenance.ingestion.csv_reader import MalformedRow
from predictive_maintenance.ingestion.parquet_reader import PARQUET_MAGIC
from predictive_maintenance.ingestion.table_limits import TableLimits
from predictive_maintenance.ingestion.table_reader import TableFile
from predictive_maintenance.validation.cell_validation import check_type

from ..problems import Problem
from .media_types import ARROW_FILE, ARROW_STREAM, CSV, PARQUET

_NAME = "the body"
_GZIP = b"\x1f\x8b"
_SECOND_LINE = re.compile(rb"[\r\n][^\r\n]")
_SETTINGS = {"rows": "PDM_MAX_ROWS", "table_bytes": "PDM_MAX_TABLE_BYTES"}


def body_limits(max_rows: int, max_table_bytes: int) -> TableLimits:
    """Return the limits of a table in a request body."""
    return TableLimits(
        header_bytes=256 * 1024,
        columns=1_000,
        cell_bytes=4 * 1024,
        malformed_rows=10_000,
        rows=max_rows,
        table_bytes=max_table_bytes,
    )


@dataclass(frozen=True, kw_only=True)
class BodyTable:
    """A table in a request body. `batches` reads the columns under the given headers.

    `malformed` is filled while the table is read: the CSV rows whose number of cells differs from the header's.
    """

    schema: pa.Schema
    batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    malformed: list[MalformedRow]
    decimal: str = "."

    def read(self, headers: Sequence[str]) -> pa.Table:
        """Return the columns under `headers`. Raises SourceError if their type is unknown or they exceed the limits."""
        for header in headers:
            check_type(self.schema.field(header).type, header)
        batches = []
        for batch in self.batches(headers):
            batch.validate(full=True)  # text that is not UTF-8 would crash the process later
            batches.append(batch)
        return pa.Table.from_batches(batches) if batches else pa.table({header: [] for header in headers})


@contextmanager
def open_table(body: bytes, media_type: str, limits: TableLimits) -> Iterator[BodyTable]:
    """Open the table in `body`. Raises SourceError or an Arrow error if `body` is not of that media type."""
    if media_type in (ARROW_STREAM, ARROW_FILE):
        stream = ArrowStream.open(body, _NAME, limits)
        yield BodyTable(schema=stream.schema, batches=stream.batches, malformed=[])
        return
    if (media_type == PARQUET) != body.startswith(PARQUET_MAGIC):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body is not {media_type}: send the content type that it has"
        )
    with tempfile.NamedTemporaryFile(prefix="pdm-batch-") as file:
        file.write(body)
        file.flush()
        table, malformed = TableFile.open(Path(file.name), _NAME, limits), list[MalformedRow]()
        yield BodyTable(
            schema=table.schema,
            batches=lambda headers: table.batches(malformed, headers),
            malformed=malformed,
            decimal=table.dialect.decimal if table.dialect else ".",
        )


@contextmanager
def request_table(body: bytes, media_type: str, limits: TableLimits) -> Iterator[BodyTable]:
    """As `open_table`; every error of the body within the block is a Problem."""
    try:
        with open_table(body, media_type, limits) as table:
            if media_type == CSV and not body.startswith(_GZIP) and not _SECOND_LINE.search(body):
                raise Problem(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "the body has one line, a header without rows: with curl, send files with --data-binary",
                )
            yield table
    except TableLimitError as error:
        raise limit_problem(error) from None
    except MemoryError:  # Arrow's is an ArrowException, too
        raise
    except (SourceError, pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if is_disk_full(error):
            raise
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body cannot be read as {media_type}: {error}") from None


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
    try:
        TableLimits(rows=max_rows).check_rows(rows, _NAME)
    except TableLimitError as error:
        raise limit_problem(error) from None


def limit_problem(error: TableLimitError) -> Problem:
    """Return the problem of a table that exceeds a limit."""
    setting = _SETTINGS.get(error.limit)
    hint = f" ({setting}): send it in parts, or use `predictive-maintenance score FILE`" if setting else ""
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{error}{hint}")
