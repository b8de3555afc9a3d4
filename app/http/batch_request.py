"""Many readings in one body: JSON records, JSON columns or a table, each bad row with what is wrong with it."""

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

from predictive_maintenance.errors import SourceError
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
from predictive_maintenance.validation.cell_validation import Faults, Limits, impossible, parse_column

from ..problems import Problem, field_problem
from ..schemas.prediction import Reading, Readings
from .media_types import TABLES
from .msgspec_decoder import msgspec_decoder
from .request_body import json_problem, reason_of
from .tables import BodyTable, check_rows, open_table

NAMING = (MACHINE_ID.name, TIMESTAMP.name)

_RECORDS: TypeAdapter[list[Reading]] = TypeAdapter(list[Reading])
_COLUMNS: TypeAdapter[Readings] = TypeAdapter(Readings)
_QUICK_RECORDS, _QUICK_COLUMNS = msgspec_decoder(Reading, many=True), msgspec_decoder(Readings)
_NOTHING: dict[str, Any] = dict.fromkeys(INPUT_NAMES)


@dataclass(kw_only=True)
class Batch:
    """`rows` readings. `columns` has INPUT_NAMES, NaN or None in bad cells; `errors` are (field, reason) by position.

    `about` says whose readings they are: NAMING columns as text, where a table has them.
    """

    rows: int
    columns: dict[str, npt.NDArray[Any]]
    reading_ids: Sequence[str | None] | None = None
    about: dict[str, list[str | None]] = field(default_factory=dict)
    columnar: bool = False
    errors: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def note(self, position: int, column: str, reason: str) -> None:
        self.errors.setdefault(position, []).append((column, reason))

    def note_all(self, faults: Iterable[Faults], places: npt.NDArray[np.integer] | None = None) -> None:
        """Note `faults`; `places` says where the rows that were judged stand among all."""
        for found in faults:
            for position in found.positions if places is None else places[found.positions]:
                self.note(int(position), found.column, found.reason)

    def good(self) -> npt.NDArray[np.bool_]:
        """(rows,) which of them can be scored."""
        good = np.ones(self.rows, dtype=bool)
        good[list(self.errors)] = False
        return good


def read_batch(
    body: bytes,
    kind: str,
    max_rows: int,
    limits: Limits,
    aliases: Mapping[str, Sequence[str]],
    naming: Sequence[str] = (),
) -> Batch:
    """The readings of `body`, of one of kinds.KINDS, checked against the sensors' `limits`; a table's `naming` columns, too.

    Raises Problem where nothing of it can be used, or where it has more than `max_rows` rows.
    """
    if kind in TABLES:
        batch = _read_table(body, kind, max_rows, aliases, naming)
    else:
        batch = _read_columns(body) if body.lstrip()[:1] == b"{" else _read_records(body)
        check_rows(batch.rows, max_rows)
    if batch.rows == 0:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the batch is empty: send at least one reading")
    batch.note_all(impossible(batch.columns, INPUT_NAMES, limits))
    return batch


def _read_records(body: bytes) -> Batch:
    batch = Batch(rows=0, columns={})
    pick: Callable[..., Callable[[Any], Any]] = attrgetter
    if (records := _QUICK_RECORDS(body)) is None:
        pick, records = itemgetter, _judged_records(body, batch)
    batch.rows = len(records)
    cells = zip(*map(pick(*INPUT_NAMES), records), strict=True)
    batch.columns = {name: _column(name, values) for name, values in zip(INPUT_NAMES, cells, strict=False)}
    batch.reading_ids = _ids(list(map(pick(READING_ID.name), records)))
    return batch


def _judged_records(body: bytes, batch: Batch) -> list[dict[str, Any]]:
    """The records of a body in which something is wrong, with nothing in those that are: their errors go to `batch`."""
    try:
        records: list[Any] = list(_RECORDS.validate_json(body))
    except ValidationError as error:
        for detail in _details(error, least_depth=1):
            row, *place = detail["loc"]
            batch.note(row, ".".join(map(str, place)), reason_of(detail))
        records = [record if isinstance(record, dict) else {} for record in from_json(body)]
    for row, record in enumerate(records):
        reading_id = record.get(READING_ID.name)
        records[row] = {**(_NOTHING if row in batch.errors else record), READING_ID.name: reading_id}
    return records


def _read_columns(body: bytes) -> Batch:
    batch = Batch(rows=0, columns={}, columnar=True)
    if quick := _QUICK_COLUMNS(body):
        given = {name: values for name, values in msgspec.structs.asdict(quick).items() if values is not None}
    else:
        given = _judged_columns(body, batch)
    lengths = {name: len(values) for name, values in given.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the columns are not equally long: {shown}")
    batch.rows = lengths[PRODUCT_TYPE.name]
    for row in batch.errors:
        for name in INPUT_NAMES:
            given[name][row] = None
    batch.columns = {name: _column(name, given[name]) for name in INPUT_NAMES}
    batch.reading_ids = _ids(given.get(READING_ID.name, []))
    return batch


def _judged_columns(body: bytes, batch: Batch) -> dict[str, list[Any]]:
    """The columns of a body in which something is wrong: its errors go to `batch`."""
    try:
        return dict(_COLUMNS.validate_json(body))  # type: ignore[arg-type]
    except ValidationError as error:
        for detail in _details(error, least_depth=2):
            name, row = detail["loc"][:2]
            batch.note(row, name, reason_of(detail))
        found: dict[str, list[Any]] = from_json(body)
        return found


def _column(name: str, values: Sequence[Any]) -> npt.NDArray[Any]:
    return np.array(values, dtype=np.float64 if name in SENSOR_NAMES else object)


def _read_table(
    body: bytes, kind: str, max_rows: int, aliases: Mapping[str, Sequence[str]], naming: Sequence[str]
) -> Batch:
    try:
        with open_table(body, kind) as table:
            return _parsed(table, max_rows, aliases, naming)
    except (SourceError, pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"the body cannot be read as {kind}: {error}") from None


def _parsed(table: BodyTable, max_rows: int, aliases: Mapping[str, Sequence[str]], naming: Sequence[str]) -> Batch:
    match = match_headers(table.headers, aliases)
    if missing := match.missing(INPUT_NAMES):
        lines = describe_missing(missing, match.ignored).splitlines()
        raise field_problem([(None, name, line) for name, line in zip(missing, lines, strict=True)])
    names = [name for name in (READING_ID.name, *naming, *INPUT_NAMES) if name in match.columns]
    cells = table.read([match.columns[name][0] for name in names], max_rows)
    batch = Batch(rows=cells.num_rows + len(table.malformed), columns={})
    places = np.delete(np.arange(batch.rows), [bad.row - 1 for bad in table.malformed])
    for name in names:
        values, faults = parse_column(cells.column(match.columns[name][0]), match, name, table.decimal)
        numeric = name in SENSOR_NAMES
        column = np.full(batch.rows, np.nan if numeric else None, dtype=np.float64 if numeric else object)
        column[places] = values if numeric else values.to_numpy(zero_copy_only=False)
        if name == READING_ID.name:
            batch.reading_ids = column.tolist()
        elif name in naming:
            batch.about[name] = column.tolist()
        else:
            batch.columns[name] = column
            batch.note_all(faults, places)
    for bad in table.malformed:
        batch.note(bad.row - 1, "", bad.reason)
    return batch


def _details(error: ValidationError, least_depth: int) -> list[Any]:
    """The errors of single cells. Raises Problem where the body as a whole is wrong."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    if any(len(detail["loc"]) < least_depth for detail in details):
        raise json_problem(error) from None
    return details


def _ids(ids: list[Any]) -> Sequence[str | None] | None:
    texts = [one if isinstance(one, str) else None for one in ids]
    return texts if any(text is not None for text in texts) else None
