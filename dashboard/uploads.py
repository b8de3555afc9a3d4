"""Files of failures and of feedback: rows are checked, the valid ones are sent to the API, the others come back with reasons."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pandas as pd
from pydantic import ValidationError

from app.schemas.feedback import Feedback
from dashboard.api_client import ApiClient, ApiError, ApiStatusError
from predictive_maintenance.errors import DataError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.events import EVENT_TYPE
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import MACHINE_ID
from predictive_maintenance.reporting.spreadsheet import without_apostrophe

MAX_ROWS = 5_000
REASON = "reason"
"""The column that refused rows have in addition. A file with it can be corrected and sent again."""

_ROWS_TOGETHER = 500
_AT_FAULT = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)

Row = dict[str, Any]


class UploadError(Exception):
    """A file that cannot be used at all. The message is shown to the user."""


@dataclass(frozen=True)
class Uploaded:
    """The number of rows that the API has kept, and the others as they were, with REASON in addition."""

    kept: int
    refused: pd.DataFrame


@dataclass(frozen=True)
class Kind:
    """What a file may have: its columns, those that each row needs, and how valid rows are sent."""

    columns: tuple[str, ...]
    required: tuple[str, ...]
    numbers: tuple[str, ...]
    check: Callable[[Row], str | None]
    send: Callable[[Sequence[Row]], object]


def event_tables(machine: Machine) -> dict[str, str]:
    """The tables of events that a file may be for, by label; that of the failures first. Empty if the store keeps none."""
    failures = machine.description.label.failures
    tables = machine.description.events if machine.can_be_kept else {}
    first = sorted(tables, key=lambda name: failures is None or name != failures.table)
    return {tables[name].label: name for name in first}


def failures_kind(api: ApiClient, machine: Machine, table: str, person: str | None) -> Kind:
    """A file of events of a table of the description, such as failures."""
    types = machine.description.events[table].types
    columns = (MACHINE_ID, machine.time_name, *((EVENT_TYPE,) if types else ()))

    def check(row: Row) -> str | None:
        try:
            as_times([row[machine.time_name]], machine)
        except DataError:
            return f"{machine.time_name}: {row[machine.time_name]!r} is not a time in ISO 8601"
        known = not types or row[EVENT_TYPE] in types
        return None if known else f"{EVENT_TYPE}: {row[EVENT_TYPE]!r} is none of {', '.join(types)}"

    return Kind(
        columns=columns,
        required=columns,
        numbers=(machine.time_name,) if machine.time_is_counter else (),
        check=check,
        send=lambda rows: api.keep_events(table, rows, person),
    )


def feedback_kind(api: ApiClient, machine: Machine, person: str | None) -> Kind:
    """A file of reports on alarms and predictions. Without a column `by`, they are reported by the person who is signed in."""
    times = ("alarm", "failed") if machine.time_is_counter else ()
    return Kind(
        columns=tuple(Feedback.model_fields),
        required=("verdict",) if person else ("verdict", "by"),
        numbers=("row", *times),
        check=_report_fault,
        send=lambda rows: api.report([{"by": person, **row} for row in rows], person),
    )


def read_rows(content: bytes, kind: Kind) -> pd.DataFrame:
    """The cells of a CSV file as texts. Raises UploadError for a file that is not one of this kind."""
    try:
        frame = pd.read_csv(
            io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig", nrows=MAX_ROWS + 1
        )
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UploadError(f"The file is not CSV in UTF-8 with a header: {str(error).splitlines()[0]}") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first cells for names of rows
        raise UploadError(
            "The rows have more cells than the header: add the missing column, or remove commas at the end."
        )
    frame.columns = [str(name).strip() for name in frame.columns]
    if missing := [name for name in kind.required if name not in frame]:
        raise UploadError(f"The column {missing[0]} is missing. Possible columns: {', '.join(kind.columns)}.")
    if unknown := [name for name in frame if name not in (*kind.columns, REASON)]:
        raise UploadError(f"The column {unknown[0]} is unknown. Possible columns: {', '.join(kind.columns)}.")
    if len(frame) > MAX_ROWS:
        raise UploadError(f"The file has more than {MAX_ROWS:,} rows: send it in parts.")
    if REASON not in frame:
        return frame
    return frame.drop(columns=REASON).map(without_apostrophe)  # the dashboard wrote it for a spreadsheet


def upload(frame: pd.DataFrame, kind: Kind) -> Uploaded:
    """Send the valid rows of a file. A row that the API refuses is found, and does not prevent the others."""
    reasons: dict[int, str] = {}
    rows: dict[int, Row] = {}
    for place, cells in enumerate(frame.to_dict("records")):
        row, fault = _typed({str(name): text.strip() for name, text in cells.items()}, kind)
        if fault := fault or kind.check(row):
            reasons[place] = fault
        else:
            rows[place] = row
    places = list(rows)
    for start in range(0, len(places), _ROWS_TOGETHER):
        part = places[start : start + _ROWS_TOGETHER]
        try:
            _send(part, rows, kind, reasons)
        except ApiError as error:  # the API itself is at fault: what was not answered can be sent again
            reasons |= {place: f"not sent: {error}" for place in places[start:] if place not in reasons}
            break
    refused = frame.iloc[sorted(reasons)].assign(**{REASON: [reasons[place] for place in sorted(reasons)]})
    return Uploaded(len(frame) - len(reasons), refused)


def _typed(cells: Mapping[str, str], kind: Kind) -> tuple[Row, str | None]:
    """The values of a row without its empty cells, and the first fault."""
    if missing := [name for name in kind.required if not cells[name]]:
        return {}, f"{missing[0]}: is missing"
    row: Row = {name: text for name, text in cells.items() if text}
    for name in kind.numbers:
        if name in row:
            try:
                row[name] = int(row[name]) if name == "row" else _finite(row[name])
            except ValueError:
                return {}, f"{name}: {row[name]!r} is not a number"
    return row, None


def _finite(text: str) -> float:
    """The number in a text. Raises ValueError for another text, also for NaN and infinity, which JSON does not have."""
    if not math.isfinite(number := float(text)):
        raise ValueError
    return number


def _report_fault(row: Row) -> str | None:
    """Why a report is not valid, without asking the API. It needs `by`, which a signed-in person fills in later."""
    try:
        Feedback.model_validate({"by": "-", **row})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        return f"{field}: {reason}" if field else reason
    return None


def _send(places: Sequence[int], rows: Mapping[int, Row], kind: Kind, reasons: dict[int, str]) -> None:
    """Send rows together, and halve them as long as the API refuses them. Raises ApiError if it cannot answer."""
    try:
        kind.send([rows[place] for place in places])
    except ApiStatusError as error:
        if error.status not in _AT_FAULT:
            raise
        if len(places) == 1:
            reasons[places[0]] = _reason(error)
            return
        half = len(places) // 2
        for part in (places[:half], places[half:]):
            _send(part, rows, kind, reasons)


def _reason(error: ApiStatusError) -> str:
    """The first reason with its column: the API names `failures.0.timestamp` for a column of one event."""
    if not error.errors:
        return str(error)
    field, reason = error.errors[0]
    column = field.rpartition(".")[2]
    return f"{column}: {reason}" if column else reason
