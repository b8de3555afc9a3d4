"""Batch requests: readings as JSON records, JSON columns or a table, with the errors of each invalid row."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import numpy as np
import pyarrow as pa

from predictive_maintenance.errors import SourceError, TableLimitError, is_disk_full
from predictive_maintenance.ingestion.table_limits import TableLimits
from predictive_maintenance.machine.sensors import (
    INPUT_NAMES,
    MACHINE_ID,
    READING_ID,
    SENSOR_NAMES,
    TIMESTAMP,
    describe_missing,
    match_headers,
)
from predictive_maintenance.validation.cell_validation import Limits, invalid_values, parse_column

from ..problems import Problem, field_problem
from .batch import Batch
from .json_batch import read_json_batch
from .media_types import CSV, TABLES
from .tables import BodyTable, body_limits, limit_problem, open_table

IDENTITY_COLUMNS = (MACHINE_ID.name, TIMESTAMP.name)

_GZIP = b"\x1f\x8b"
_SECOND_LINE = re.compile(rb"[\r\n][^\r\n]")


def read_batch(
    body: bytes,
    media_type: str,
    max_rows: int,
    max_record_bytes: int,
    max_table_bytes: int,
    limits: Limits,
    aliases: Mapping[str, Sequence[str]],
    identity_columns: Sequence[str] = (),
) -> Batch:
    """Read the readings in `body`, of one of MEDIA_TYPES, and check them against the sensors' physical `limits`.

    `aliases` are further headers of a table's columns; `identity_columns` are read from a table, too. A larger JSON record
    than `max_record_bytes` is invalid. Raises Problem if the whole body is invalid, has more than `max_rows` rows or, if it
    is a table, unpacks to more than `max_table_bytes`.
    """
    if media_type in TABLES:
        batch = _read_table(body, media_type, body_limits(max_rows, max_table_bytes), aliases, identity_columns)
    else:
        batch = read_json_batch(body, max_rows, max_record_bytes)
    if batch.rows == 0:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the batch is empty: send at least one reading")
    batch.add_faults(invalid_values(batch.columns, INPUT_NAMES, limits))
    return batch


def _read_table(
    body: bytes,
    media_type: str,
    limits: TableLimits,
    aliases: Mapping[str, Sequence[str]],
    identity_columns: Sequence[str],
) -> Batch:
    try:
        with open_table(body, media_type, limits) as table:
            if media_type == CSV and not body.startswith(_GZIP) and not _SECOND_LINE.search(body):
                raise Problem(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "the body has one line, a header without rows: with curl, send files with --data-binary",
                )
            return _parse_table(table, aliases, identity_columns)
    except TableLimitError as error:
        raise limit_problem(error) from None
    except MemoryError:  # Arrow's is an ArrowException, too
        raise
    except (SourceError, pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if is_disk_full(error):
            raise
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body cannot be read as {media_type}: {error}") from None


def _parse_table(table: BodyTable, aliases: Mapping[str, Sequence[str]], identity_columns: Sequence[str]) -> Batch:
    match = match_headers(table.schema.names, aliases)
    if missing := match.missing(INPUT_NAMES):
        lines = describe_missing(missing, match.ignored).splitlines()
        raise field_problem([(None, name, line) for name, line in zip(missing, lines, strict=True)])
    names = [name for name in (READING_ID.name, *identity_columns, *INPUT_NAMES) if name in match.columns]
    cells = table.read([match.columns[name][0] for name in names])
    batch = Batch(rows=cells.num_rows + len(table.malformed), columns={})
    rows = np.delete(np.arange(batch.rows), [malformed.row - 1 for malformed in table.malformed])
    for name in names:
        values, faults = parse_column(cells.column(match.columns[name][0]), match, name, table.decimal)
        numeric = name in SENSOR_NAMES
        column = np.full(batch.rows, np.nan if numeric else None, dtype=np.float64 if numeric else object)
        column[rows] = values if numeric else values.to_numpy(zero_copy_only=False)
        if name == READING_ID.name:
            batch.reading_ids = column.tolist()
        elif name in identity_columns:
            batch.identity[name] = column.tolist()
        else:
            batch.columns[name] = column
            batch.add_faults(faults, rows)
    for malformed in table.malformed:
        batch.add_error(malformed.row - 1, "", malformed.reason)
    return batch
