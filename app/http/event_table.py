"""A table of events in a request body: CSV, Parquet or Arrow."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predictive_maintenance.history.time_order import plain_time
from predictive_maintenance.ingestion.table_limits import TableLimits
from predictive_maintenance.machine.events import EVENT_TYPE
from predictive_maintenance.machine.header_matching import describe_missing, match_headers
from predictive_maintenance.machine.machine import MAX_FLOAT32, Machine
from predictive_maintenance.machine.names import COUNTER, MACHINE_ID
from predictive_maintenance.validation.cell_validation import parse_column

from ..problems import field_problem
from .tables import BodyTable, request_table

Errors = list[tuple[int | None, str, str]]


def read_events(
    body: bytes,
    media_type: str,
    limits: TableLimits,
    machine: Machine,
    table: str,
    aliases: Mapping[str, Sequence[str]],
) -> dict[str, list[Any]]:
    """Read the events in `body`, of one of TABLES, as columns of machine, time and, if they have types, type.

    Raises Problem if the body is invalid or exceeds a limit, and with each row that is no event.
    """
    with request_table(body, media_type, limits) as opened:
        columns, errors = _columns(opened, machine, table, aliases)
    errors += [(bad.row - 1, "", bad.reason) for bad in opened.malformed]
    if errors:
        raise field_problem(sorted(errors, key=lambda error: error[0] or 0))
    return columns


def _columns(
    opened: BodyTable, machine: Machine, table: str, aliases: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[Any]], Errors]:
    described = machine.event_columns(table)
    match = match_headers(described, opened.schema.names, aliases)
    if missing := match.missing(described):
        lines = describe_missing(described, missing, match.ignored).splitlines()
        raise field_problem([(None, name, line) for name, line in zip(missing, lines, strict=True)])
    cells = opened.read([match.columns[name][0] for name in described])
    rows = _rows(cells.num_rows, [bad.row - 1 for bad in opened.malformed])
    columns: dict[str, list[Any]] = {}
    errors: Errors = []
    for name in described:
        values, faults = parse_column(cells.column(match.columns[name][0]), match, name, machine, opened.decimal)
        columns[name] = values.tolist() if isinstance(values, np.ndarray) else values.to_pylist()
        errors += [(rows[place], name, f"is {fault.reason}") for fault in faults for place in fault.positions.tolist()]
    bad = {row for row, _, _ in errors}
    for place, row in enumerate(rows):
        if row not in bad:
            errors += [(row, name, reason) for name, reason in _faults(columns, place, machine, table)]
    return columns, errors


def _rows(count: int, malformed: Sequence[int]) -> list[int]:
    """The row of each event: `malformed` rows are between them."""
    return [int(row) for row in np.delete(np.arange(count + len(malformed)), malformed)]


def _faults(columns: dict[str, list[Any]], place: int, machine: Machine, table: str) -> list[tuple[str, str]]:
    """Why the event at a place is none: (field, reason). Its time becomes one."""
    faults, times = [], columns[machine.time_name]
    if not columns[MACHINE_ID][place]:
        faults.append((MACHINE_ID, "is empty"))
    if machine.time_name == COUNTER:
        if not abs(times[place]) <= MAX_FLOAT32:
            faults.append((COUNTER, "is not a finite number, or too large"))
    else:
        try:
            times[place] = plain_time(times[place])
        except ValueError:
            faults.append((machine.time_name, "is not a time in ISO 8601, such as 2024-01-31T12:00:00Z"))
    types = machine.description.events[table].types
    if types and (kind := columns[EVENT_TYPE][place]) not in types:
        faults.append((EVENT_TYPE, f"{kind[:100]!r} is not one of {', '.join(types)[:300]}"))
    return faults
