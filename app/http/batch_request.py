"""Batch requests: readings as JSON records, JSON columns or a table, with the errors of each invalid row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from predictive_maintenance.errors import SourceError, TableLimitError
from predictive_maintenance.ingestion.table_limits import TableLimits
from predictive_maintenance.machine.sensors import (
    INPUT_NAMES,
    MACHINE_ID,
    PRODUCT_TYPE,
    READING_ID,
    SENSOR_NAMES,
    TIMESTAMP,
    describe_missing,
    match_headers,
)
from predictive_maintenance.validation.cell_validation import Faults, Limits, invalid_values, parse_column

from ..problems import Problem, field_problem
from ..schemas.prediction import Reading, Readings
from .duplicate_keys import REASON as DUPLICATE_KEY
from .duplicate_keys import find_duplicate_keys, may_have_duplicate_keys, refuse_duplicate_keys
from .media_types import TABLES
from .msgspec_decoder import records_decoder
from .request_body import json_problem, reason_of
from .tables import BodyTable, body_limits, check_rows, limit_problem, open_table

IDENTITY_COLUMNS = (MACHINE_ID.name, TIMESTAMP.name)

_RECORDS: TypeAdapter[list[Reading]] = TypeAdapter(list[Reading])
_COLUMNS: TypeAdapter[Readings] = TypeAdapter(Readings)
_decode_records = records_decoder(Reading)
_EMPTY_RECORD: dict[str, Any] = dict.fromkeys(INPUT_NAMES)


@dataclass(kw_only=True)
class Batch:
    """`rows` readings: a column for each of INPUT_NAMES, with NaN or None in invalid cells.

    `errors` are (field, reason) by row, from 0. `identity` holds the IDENTITY_COLUMNS of a table, as text. `columnar`: the
    readings came as JSON columns, and the answer has columns, too.
    """

    rows: int
    columns: dict[str, npt.NDArray[Any]]
    reading_ids: Sequence[str | None] | None = None
    identity: dict[str, list[str | None]] = field(default_factory=dict)
    columnar: bool = False
    errors: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def add_error(self, row: int, column: str, reason: str) -> None:
        self.errors.setdefault(row, []).append((column, reason))

    def add_faults(self, faults: Iterable[Faults], rows: npt.NDArray[np.integer] | None = None) -> None:
        """Add an error for each fault. `rows` maps the positions of the faults to rows of the batch."""
        for fault in faults:
            for row in fault.positions if rows is None else rows[fault.positions]:
                self.add_error(int(row), fault.column, fault.reason)

    def valid_rows(self) -> npt.NDArray[np.bool_]:
        """Return a mask of shape (rows,): the rows without an error."""
        valid = np.ones(self.rows, dtype=bool)
        valid[list(self.errors)] = False
        return valid


def read_batch(
    body: bytes,
    media_type: str,
    max_rows: int,
    max_table_bytes: int,
    limits: Limits,
    aliases: Mapping[str, Sequence[str]],
    identity_columns: Sequence[str] = (),
) -> Batch:
    """Read the readings in `body`, of one of MEDIA_TYPES, and check them against the sensors' physical `limits`.

    `aliases` are further headers of a table's columns; `identity_columns` are read from a table, too. Raises Problem if the
    whole body is invalid, has more than `max_rows` rows or, if it is a table, unpacks to more than `max_table_bytes`.
    """
    if media_type in TABLES:
        batch = _read_table(body, media_type, body_limits(max_rows, max_table_bytes), aliases, identity_columns)
    else:
        batch = _read_columns(body) if body.lstrip()[:1] == b"{" else _read_records(body)
        check_rows(batch.rows, max_rows)
    if batch.rows == 0:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the batch is empty: send at least one reading")
    batch.add_faults(invalid_values(batch.columns, INPUT_NAMES, limits))
    return batch


def _read_records(body: bytes) -> Batch:
    batch = Batch(rows=0, columns={})
    getter: Callable[..., Callable[[Any], Any]] = attrgetter
    records = _decode_records(body)
    if records is None or _may_have_duplicate_keys(body, records):
        getter, records = itemgetter, _validate_records(body, batch)
    batch.rows = len(records)
    cells = zip(*map(getter(*INPUT_NAMES), records), strict=True)
    batch.columns = {name: _column(name, values) for name, values in zip(INPUT_NAMES, cells, strict=False)}
    batch.reading_ids = _ids(list(map(getter(READING_ID.name), records)))
    return batch


def _may_have_duplicate_keys(body: bytes, records: list[Any]) -> bool:
    given = [record.reading_id for record in records if record.reading_id is not msgspec.UNSET]
    return may_have_duplicate_keys(body, len(INPUT_NAMES) * len(records) + len(given), filter(None, given))


def _validate_records(body: bytes, batch: Batch) -> list[dict[str, Any]]:
    """Return the records of a body that may be invalid. Add their errors to `batch`; an invalid record has no values."""
    try:
        records: list[Any] = list(_RECORDS.validate_json(body))
    except ValidationError as error:
        for detail in _details(error, least_depth=1):
            row, *path = detail["loc"]
            batch.add_error(row, ".".join(map(str, path)), reason_of(detail))
        records = [record if isinstance(record, dict) else {} for record in from_json(body)]
    for row, key in find_duplicate_keys(body):
        batch.add_error(row, key, DUPLICATE_KEY)
    for row, record in enumerate(records):
        reading_id = record.get(READING_ID.name)
        records[row] = {**(_EMPTY_RECORD if row in batch.errors else record), READING_ID.name: reading_id}
    return records


def _read_columns(body: bytes) -> Batch:
    batch = Batch(rows=0, columns={}, columnar=True)
    given = _validate_columns(body, batch)
    ids = given.get(READING_ID.name, [])
    refuse_duplicate_keys(body, len(given), (one for one in ids if isinstance(one, str)))
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the columns have different lengths: {shown}")
    batch.rows = lengths[PRODUCT_TYPE.name]
    for row in batch.errors:
        for name in INPUT_NAMES:
            given[name][row] = None
    batch.columns = {name: _column(name, given[name]) for name in INPUT_NAMES}
    batch.reading_ids = _ids(ids)
    return batch


def _validate_columns(body: bytes, batch: Batch) -> dict[str, list[Any]]:
    """Return the columns of a body. Add the errors of invalid cells to `batch`."""
    try:
        return dict(_COLUMNS.validate_json(body))  # type: ignore[arg-type]
    except ValidationError as error:
        for detail in _details(error, least_depth=2):
            name, row = detail["loc"][:2]
            batch.add_error(row, name, reason_of(detail))
        columns: dict[str, list[Any]] = from_json(body)
        return columns


def _column(name: str, values: Sequence[Any]) -> npt.NDArray[Any]:
    return np.array(values, dtype=np.float64 if name in SENSOR_NAMES else object)


def _read_table(
    body: bytes,
    media_type: str,
    limits: TableLimits,
    aliases: Mapping[str, Sequence[str]],
    identity_columns: Sequence[str],
) -> Batch:
    try:
        with open_table(body, media_type, limits) as table:
            return _parse_table(table, aliases, identity_columns)
    except TableLimitError as error:
        raise limit_problem(error) from None
    except (SourceError, pa.ArrowException, UnicodeDecodeError, OSError) as error:
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


def _details(error: ValidationError, least_depth: int) -> list[Any]:
    """Return the errors of single rows or cells. Raises Problem if the whole body is invalid."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    if any(len(detail["loc"]) < least_depth for detail in details):
        raise json_problem(error) from None
    return details


def _ids(ids: list[Any]) -> Sequence[str | None] | None:
    texts = [reading_id if isinstance(reading_id, str) else None for reading_id in ids]
    return texts if any(text is not None for text in texts) else None
