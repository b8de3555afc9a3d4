"""Batches in JSON, as records or as columns.

Valid records are decoded at once. An invalid body is validated in parts: the errors of all its rows at once would take a
hundred times the memory of the body.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from pydantic_core import from_json

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.events import check_events
from predictive_maintenance.machine.names import COUNTER, READING_ID

from ..problems import Problem, field_problem
from ..schemas.events import EVENTS, as_events
from ..schemas.reading import ReadingSchema
from .batch import Batch
from .duplicate_keys import REASON as DUPLICATE_KEY
from .duplicate_keys import find_duplicate_keys, may_have_duplicate_keys, refuse_duplicate_keys
from .json_array import split_array
from .json_validation import (
    drop_unknown_keys,
    error_details,
    invalid_json,
    json_problem,
    reason_of,
    reasons_of,
)
from .msgspec_decoder import records_decoder
from .tables import check_rows

_SPARE_VALUES_PER_ROW = 3
_SMALL_BODY_VALUES = 100_000
_MAX_UNKNOWN_COLUMNS = 100
_PART_ROWS = 1_000
_MAX_EVENT_ERRORS = 100
_ROWS_WITH_SUGGESTIONS = 10


def read_json_batch(body: bytes, schema: ReadingSchema, max_rows: int, max_record_bytes: int) -> Batch:
    """Return the batch in `body`. Raises Problem if the whole body is invalid or has more than `max_rows` rows."""
    _check_values(body, len(schema.names) + _SPARE_VALUES_PER_ROW, max_rows)
    match _first_character(body):
        case b"{" if schema.machine.event_tables and (parts := _parts(body)):
            return _read_with_events(body, parts, schema, max_rows, max_record_bytes)
        case b"{":
            return _read_columns(body, schema, max_rows)
        case b"[":
            return _read_records(body, schema, max_rows, max_record_bytes)
    try:
        from_json(body)
    except ValueError as error:
        raise invalid_json(error) from None
    raise field_problem([(None, "", "should be a list of readings, or an object with columns")])


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    """A batch of records with the events of their machines."""

    readings: msgspec.Raw
    events: msgspec.Raw


_PARTS = msgspec.json.Decoder(_Parts)


def _parts(body: bytes) -> _Parts | None:
    """The readings and the events in `body`; None if it is something else, such as columns."""
    try:
        return _PARTS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _read_with_events(body: bytes, parts: _Parts, schema: ReadingSchema, max_rows: int, max_record_bytes: int) -> Batch:
    """Return the batch of the readings, with the events. Raises Problem for an invalid event: it has no row to be an error of."""
    readings, events = bytes(parts.readings), bytes(parts.events)
    if body.count(b":") > 2 + readings.count(b":") + events.count(b":"):  # a colon for each key
        raise field_problem([(None, "", f"readings or {EVENTS} {DUPLICATE_KEY}")])
    if _first_character(readings) != b"[":
        raise field_problem([(None, "readings", "should be a list of readings")])
    try:
        given = schema.events.validate_json(events)
    except ValidationError as error:
        details = error_details(error)[:_MAX_EVENT_ERRORS]
        raise field_problem(
            [(None, ".".join(map(str, (EVENTS, *detail["loc"]))), reason_of(detail)) for detail in details]
        ) from None
    if duplicates := find_duplicate_keys(events):
        raise field_problem([(None, f"{EVENTS}.{key}", DUPLICATE_KEY) for _, key in duplicates])
    batch = _read_records(readings, schema, max_rows, max_record_bytes)
    batch.events = as_events(given, schema.machine)
    try:
        check_events(schema.machine, batch.events)
    except DataError as error:
        raise field_problem([(None, EVENTS, str(error).removeprefix(f"{EVENTS}: "))]) from None
    return batch


def _check_values(body: bytes, values_per_row: int, max_rows: int) -> None:
    """Raise Problem 413 if `body` has far more values than `max_rows` readings: each takes 50 bytes or more when parsed.

    A comma stands between two values.
    """
    most = max(values_per_row * max_rows, _SMALL_BODY_VALUES)
    if len(body) > 2 * most and body.count(b",") > most:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the batch has more than {most:,} values ({values_per_row} for each of the {max_rows:,} rows of "
            "PDM_MAX_ROWS): send it in parts",
        )


def _first_character(body: bytes) -> bytes:
    found = re.search(rb"[^ \t\n\r]", body)
    return found[0] if found else b""


def _read_records(body: bytes, schema: ReadingSchema, max_rows: int, max_record_bytes: int) -> Batch:
    batch = Batch(rows=0, columns={})
    cells: dict[str, list[Any]] = {}
    records = records_decoder(schema.type)(body)
    if records is not None:
        check_rows(len(records), max_rows)
        cells = {name: list(map(attrgetter(name), records)) for name in schema.names}
    if records is None or _may_have_duplicate_keys(body, cells, schema):
        records = _validate_records(body, schema, batch, max_rows, max_record_bytes)
        cells = {name: list(map(itemgetter(name), records)) for name in schema.names}
    batch.rows = len(records)
    batch.reading_ids = _ids(cells.pop(READING_ID))
    batch.columns = _columns(schema, cells)
    return batch


def _may_have_duplicate_keys(body: bytes, cells: Mapping[str, list[Any]], schema: ReadingSchema) -> bool:
    """Whether the records in `body`, which were decoded to the columns `cells`, can have a duplicate key."""
    machine = schema.machine
    optional = (READING_ID, *machine.optional_sensor_names)
    given = {name: len(cells[name]) - cells[name].count(msgspec.UNSET) for name in optional}
    keys = sum(given.get(name, len(values)) for name, values in cells.items())
    texts = [
        *((READING_ID,) if given[READING_ID] else ()),
        *machine.history_names,
        *(name for name, values in machine.description.categories.items() if values.unseen == "other"),
    ]
    return may_have_duplicate_keys(
        body, keys, (text for name in texts for text in cells[name] if isinstance(text, str))
    )


def _validate_records(
    body: bytes, schema: ReadingSchema, batch: Batch, max_rows: int, max_record_bytes: int
) -> list[dict[str, Any]]:
    """Return the records of a body that may be invalid, with None in invalid cells. Add their errors to `batch`."""
    records: list[dict[str, Any]] = []
    try:
        for row, (value, text) in enumerate(split_array(body.decode())):
            check_rows(row + 1, max_rows)
            records.append(_validate_record(value, text.encode(), row, schema, batch, max_record_bytes))
    except (ValueError, RecursionError) as error:
        raise invalid_json(error) from None
    return records


def _validate_record(
    value: Any, text: bytes, row: int, schema: ReadingSchema, batch: Batch, max_bytes: int
) -> dict[str, Any]:
    """Return one record. Add its errors to `batch`. Raises ValueError for JSON that only this validation rejects."""
    missing: dict[str, Any] = dict.fromkeys(schema.names)
    if len(text) > max_bytes:
        batch.add_error(row, "", f"is larger than {max_bytes:,} bytes (PDM_MAX_READING_BYTES)")
        return missing
    try:
        record = schema.record.validate_json(drop_unknown_keys(text, schema.names)[0])
    except ValidationError as error:
        invalid = _add_record_errors(error, row, schema, batch)
        given = value if isinstance(value, dict) else {}
        record = {name: given[name] for name in schema.names if name in given and name not in invalid}
    if isinstance(value, dict):
        texts = (cell for cell in value.values() if isinstance(cell, str))
        if may_have_duplicate_keys(text, len(value), texts):
            for _, key in find_duplicate_keys(text):
                batch.add_error(row, key, DUPLICATE_KEY)
    return missing | record


def _add_record_errors(error: ValidationError, row: int, schema: ReadingSchema, batch: Batch) -> set[str]:
    """Add the errors of one record to `batch`. Return its invalid inputs; all inputs if the errors are not described."""
    if batch.is_full and error.error_count() > 1:  # invalid JSON is always a single error
        batch.add_error(row, "", "")  # without a description: building one takes most of the time
        return {*schema.names} - {READING_ID}
    details = error_details(error)
    if details[0]["type"] == "json_invalid":  # always a single error
        raise ValueError(f"row {row + 1}: {details[0]['msg']}") from None
    # Suggestions take time, so only the first invalid rows get them.
    reasons = (
        reasons_of(details, schema.names) if len(batch.errors) < _ROWS_WITH_SUGGESTIONS else map(reason_of, details)
    )
    for detail, reason in zip(details, reasons, strict=True):
        batch.add_error(row, ".".join(map(str, detail["loc"])), reason)
    # An invalid id is returned as it is.
    return {str(detail["loc"][0]) for detail in details if detail["loc"]} - {READING_ID}


def _read_columns(body: bytes, schema: ReadingSchema, max_rows: int) -> Batch:
    try:
        given: dict[str, list[Any]] = from_json(body)
    except ValueError as error:
        raise invalid_json(error) from None
    _check_columns(given, schema)
    ids = given.get(READING_ID, [])
    refuse_duplicate_keys(body, len(given), (one for one in ids if isinstance(one, str)))
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the columns have different lengths: {shown}")
    batch = Batch(rows=next(iter(lengths.values()), 0), columns={}, columnar=True)
    check_rows(batch.rows, max_rows)
    _check_cells(given, schema, batch)
    batch.columns = _columns(schema, given)
    batch.reading_ids = _ids(ids)
    return batch


def _check_columns(given: dict[str, Any], schema: ReadingSchema) -> None:
    """Raise Problem if a column is missing, unknown (at most 100 are reported) or not a list."""
    unknown = [name for name in given if name not in schema.names]
    omitted = set(unknown[_MAX_UNKNOWN_COLUMNS:])
    shape: dict[str, list[Any] | None] = {
        name: [] if isinstance(cells, list) else None for name, cells in given.items() if name not in omitted
    }
    try:
        schema.columns.validate_python(shape)
    except ValidationError as error:
        raise json_problem(error, schema.names, len(omitted)) from None


def _check_cells(given: dict[str, list[Any]], schema: ReadingSchema, batch: Batch) -> None:
    """Add the errors of all cells to `batch`, and replace each invalid cell of an input by None."""
    for start in range(0, batch.rows, _PART_ROWS):
        part = {name: cells[start : start + _PART_ROWS] for name, cells in given.items()}
        try:
            schema.columns.validate_python(part)
        except ValidationError as error:
            if batch.is_full:
                _mark_invalid_rows(given, start, part, schema, batch)
                continue
            for detail in error_details(error):
                name, row = detail["loc"][:2]
                batch.add_error(start + row, name, reason_of(detail))
                if name != READING_ID:
                    given[name][start + row] = None


def _mark_invalid_rows(
    given: dict[str, list[Any]], start: int, part: dict[str, list[Any]], schema: ReadingSchema, batch: Batch
) -> None:
    """Add an error without a description for each invalid row of `part`: describing all cells takes ten times as long."""
    for row, cells in enumerate(zip(*part.values(), strict=True), start):
        try:
            schema.record.validate_python(dict(zip(part, cells, strict=True)))
        except ValidationError:
            batch.add_error(row, "", "")
            for name in given.keys() - {READING_ID}:
                given[name][row] = None


def _columns(schema: ReadingSchema, given: Mapping[str, Sequence[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The inputs as arrays: objects for categories, float64 with NaN for missing values for sensors.

    Also the machine (objects) and the time (counters as float64, timestamps as text) of a machine with history.
    """
    machine = schema.machine
    columns: dict[str, npt.NDArray[Any]] = {
        name: np.array(given[name], dtype=np.float64 if name == COUNTER else object)
        for name in schema.machine.history_names
    }
    columns |= {name: np.array(given[name], dtype=object) for name in machine.category_names}
    rows = len(next(iter(given.values())))
    for name in machine.sensor_names:
        values = given.get(name)
        if values is None:
            columns[name] = np.full(rows, np.nan)
            continue
        if name in machine.optional_sensor_names and msgspec.UNSET in values:
            values = [np.nan if value is msgspec.UNSET else value for value in values]
        columns[name] = np.array(values, dtype=np.float64)
    return columns


def _ids(ids: Sequence[Any]) -> Sequence[str | None] | None:
    if ids.count(msgspec.UNSET) == len(ids):
        return None
    texts = [reading_id if isinstance(reading_id, str) else None for reading_id in ids]
    return texts if any(text is not None for text in texts) else None
