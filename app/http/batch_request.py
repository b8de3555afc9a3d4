"""Batch requests: readings as JSON records, JSON columns or a table, with the errors of each invalid row."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import numpy as np

from predictive_maintenance.ingestion.table_limits import TableLimits
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP
from predictive_maintenance.validation.cell_validation import parse_column
from predictive_maintenance.validation.value_validation import invalid_values

from ..problems import Problem, field_problem
from ..schemas.reading import ReadingSchema
from .batch import Batch
from .batch_places import add_place_errors
from .json_batch import read_json_batch
from .media_types import TABLES
from .tables import BodyTable, body_limits, request_table

IDENTITY_COLUMNS = (MACHINE_ID, TIMESTAMP, COUNTER)


def read_batch(
    body: bytes,
    media_type: str,
    max_rows: int,
    max_record_bytes: int,
    max_table_bytes: int,
    schema: ReadingSchema,
    aliases: Mapping[str, Sequence[str]],
    identity_columns: Sequence[str] = (),
    *,
    repeats: bool = False,
) -> Batch:
    """Read the readings in `body`, of one of MEDIA_TYPES, and check them against the description of its machine.

    `aliases` are further headers of a table's columns; `identity_columns` are read from a table, too. A larger JSON record
    than `max_record_bytes` is invalid. With `repeats`, equal rows of a machine with history are valid. Raises Problem if the
    whole body is invalid, has more than `max_rows` rows or, if it is a table, unpacks to more than `max_table_bytes`.
    """
    machine = schema.machine
    if media_type in TABLES:
        batch = _read_table(
            body, media_type, body_limits(max_rows, max_table_bytes), machine, aliases, identity_columns
        )
    else:
        batch = read_json_batch(body, schema, max_rows, max_record_bytes)
    if batch.rows == 0:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the batch is empty: send at least one reading")
    batch.add_faults(invalid_values(batch.columns, machine.input_names, machine))
    if machine.needs_history:
        add_place_errors(batch, machine, repeats)
    return batch


def _read_table(
    body: bytes,
    media_type: str,
    limits: TableLimits,
    machine: Machine,
    aliases: Mapping[str, Sequence[str]],
    identity_columns: Sequence[str],
) -> Batch:
    with request_table(body, media_type, limits) as table:
        return _parse_table(table, machine, aliases, identity_columns)


def _parse_table(
    table: BodyTable, machine: Machine, aliases: Mapping[str, Sequence[str]], identity_columns: Sequence[str]
) -> Batch:
    match = machine.match_headers(table.schema.names, aliases)
    places = machine.history_names
    if missing := match.missing((*places, *machine.required_input_names)):
        lines = machine.describe_missing(missing, match.ignored).splitlines()
        raise field_problem([(None, name, line) for name, line in zip(missing, lines, strict=True)])
    wanted = dict.fromkeys((READING_ID, *places, *identity_columns, *machine.input_names))
    names = [name for name in wanted if name in match.columns]
    cells = table.read([match.columns[name][0] for name in names])
    batch = Batch(rows=cells.num_rows + len(table.malformed), columns={})
    rows = np.delete(np.arange(batch.rows), [malformed.row - 1 for malformed in table.malformed])
    for name in names:
        values, faults = parse_column(cells.column(match.columns[name][0]), match, name, machine, table.decimal)
        numeric = name in machine.sensor_names or (name == COUNTER and name in places)
        column = np.full(batch.rows, np.nan if numeric else None, dtype=np.float64 if numeric else object)
        column[rows] = values if isinstance(values, np.ndarray) else values.to_numpy(zero_copy_only=False)
        if name == READING_ID:
            batch.reading_ids = column.tolist()
            continue
        if name in identity_columns:
            batch.identity[name] = column.tolist()
        if name in (*places, *machine.input_names):
            batch.columns[name] = column
            batch.add_faults(faults, rows)
    for malformed in table.malformed:
        batch.add_error(malformed.row - 1, "", malformed.reason)
    for name in machine.optional_sensor_names:
        batch.columns.setdefault(name, np.full(batch.rows, np.nan))
    return batch
