"""Decide what a table beside the readings has: events with machine, time and type, or attributes of machines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ..errors import DataError, SourceError
from ..machine.events import EVENT_TYPE
from ..machine.header_matching import header_key
from ..machine.history import name_part
from ..machine.names import COUNTER, MACHINE_ID, TIMESTAMP
from ..printable import printable
from .column_kinds import (
    MACHINE_WORDS,
    constant_reason,
    is_called_time,
    is_code,
    is_id,
    is_machine,
    is_spent_time,
    no_category,
)
from .column_names import has_word, words_of
from .column_profile import ColumnProfile
from .readings_table import ReadingsTable

_ATTRIBUTE_WORDS = (*MACHINE_WORDS, "attribute", "master", "fleet", "inventory", "spec", "data", "list", "stammdaten")
_VALID_FROM_WORDS = ("valid", "effective", "gueltig")
_TYPE_WORDS = (
    "type", "code", "component", "comp", "part", "kind", "error", "fault", "failure", "mode", "reason", "cause", "action",
    "event", "alarm", "category", "class", "message", "bauteil", "art",
)  # fmt: skip
_MAX_TYPES, _FEW_TYPES = 100, 12
_MIN_KNOWN = 0.5


@dataclass(frozen=True, kw_only=True)
class EventRoles:
    """A table of events: its columns of the machine, the time and, if there are several kinds, the type."""

    name: str
    table: ReadingsTable
    machine: ColumnProfile
    time: ColumnProfile
    type: ColumnProfile | None
    left_out: dict[str, str]

    @property
    def types(self) -> list[str]:
        """The types of events, sorted."""
        return sorted(self.type.counts) if self.type else []


@dataclass(kw_only=True)
class AttributeRoles:
    """A table of machine attributes. `sensors` and `categories` have the value of each reading's machine, (n,).

    `time` is the column of the time from which a row holds, if there is one.
    """

    name: str
    table: ReadingsTable
    machine: ColumnProfile
    time: ColumnProfile | None
    sensors: list[ColumnProfile] = field(default_factory=list)
    categories: list[ColumnProfile] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ReadingPlaces:
    """The columns of the machine and the time of readings, and the headers of all their columns."""

    machine: ColumnProfile
    time: ColumnProfile
    is_counter: bool
    headers: Sequence[str]


def table_roles(name: str, table: ReadingsTable, places: ReadingPlaces) -> EventRoles | AttributeRoles:
    """The roles of the columns of the table `name`.

    Raises DataError if no column has machines of the readings, or if a machine has several rows without a time.
    """
    machine = _machine(name, table, places)
    rest = [column for column in table.columns if column is not machine]
    left_out = dict(table.unusable)
    times = [column for column in rest if _is_time(column, places, left_out)]
    if _is_called_attributes(name) or not times:
        valid_from = next((column for column in times if _is_valid_from(column, places)), None)
        if valid_from is None and len(machine.counts) < machine.present:
            reasons = "".join(f"; {header}: {reason}" for header, reason in left_out.items())
            raise DataError(
                f"--tables: {name}: no column has times, which events need, and {printable(machine.header)!r} has a machine in "
                f"several rows, so that these are no attributes of machines{reasons}"
            )
        return _attributes(name, table, machine, valid_from, places, left_out)
    time = min(times, key=lambda column: (not _is_header(column, *_time_headers(places)), not is_called_time(column)))
    for column in times:
        if column is not time:
            left_out[column.header] = f"a second column of times; the time of the event is {time.header!r}"
    rest = [column for column in rest if column not in times and column.header not in left_out]
    kind = _type(rest, left_out)
    return EventRoles(name=name, table=table, machine=machine, time=time, type=kind, left_out=left_out)


def _machine(name: str, table: ReadingsTable, places: ReadingPlaces) -> ColumnProfile:
    """The column with the machines of the readings: by its header, or by its values."""
    known = set(places.machine.counts)
    shares = {
        column.header: len(known & set(column.counts)) / len(column.counts) for column in table.columns if column.counts
    }

    def order(column: ColumnProfile) -> tuple[bool, bool, float, int]:
        same = _is_header(column, MACHINE_ID, places.machine.header)
        named = has_word(column.header, MACHINE_WORDS) or is_machine(column)
        return not same, not named, -shares[column.header], -len(column.counts)

    found = [
        column
        for column in table.columns
        if shares.get(column.header, 0)
        >= (1e-9 if _is_header(column, MACHINE_ID, places.machine.header) else _MIN_KNOWN)
    ]
    if not found:
        raise DataError(
            f"--tables: {name}: no column has the machines of the readings, such as {min(known)!r} in "
            f"{printable(places.machine.header)!r}; it has {', '.join(printable(c.header) for c in table.columns)}"
        )
    return min(found, key=order)


def _is_time(column: ColumnProfile, places: ReadingPlaces, left_out: dict[str, str]) -> bool:
    if places.is_counter:
        return column.is_number and (_is_header(column, *_time_headers(places)) or is_spent_time(column))
    if column.is_number and not is_called_time(column):
        return False  # a number can look like seconds since 1970
    try:
        return column.times is not None
    except SourceError as error:
        left_out[column.header] = str(error)
        return False


def _is_called_attributes(name: str) -> bool:
    words = {word.removesuffix("s") for word in words_of(name)}
    return words <= {word.removesuffix("s") for word in _ATTRIBUTE_WORDS}


def _is_valid_from(column: ColumnProfile, places: ReadingPlaces) -> bool:
    return _is_header(column, *_time_headers(places)) or has_word(column.header, _VALID_FROM_WORDS)


def _time_headers(places: ReadingPlaces) -> tuple[str, str]:
    return (COUNTER if places.is_counter else TIMESTAMP), places.time.header


def _is_header(column: ColumnProfile, *names: str) -> bool:
    return header_key(column.header) in map(header_key, names)


def _type(columns: Sequence[ColumnProfile], left_out: dict[str, str]) -> ColumnProfile | None:
    """The column with the kinds of events. Other columns are left out."""
    usable = []
    for column in columns:
        if reason := constant_reason(column) or _no_type(column):
            left_out[column.header] = reason
        else:
            usable.append(column)
    usable.sort(key=lambda column: (not _is_header(column, EVENT_TYPE), not has_word(column.header, _TYPE_WORDS)))
    for column in usable[1:]:
        left_out[column.header] = f"a second column with few values; the type of the event is {usable[0].header!r}"
    return usable[0] if usable else None


def _no_type(column: ColumnProfile) -> str | None:
    """Why a column has no types of events; None if it has."""
    if column.missing:
        return f"{column.missing:,} of {column.rows:,} cells are missing, and each event needs its type"
    if column.is_number and not is_code(column) and not has_word(column.header, _TYPE_WORDS):
        return "it has numbers"
    named = len(column.counts) <= _FEW_TYPES and has_word(column.header, _TYPE_WORDS)
    if len(column.counts) > _MAX_TYPES or (len(column.counts) * 2 > column.present and not named):
        return f"it has {len(column.counts):,} different values in {column.present:,} rows"
    parts = [name_part(value) for value in column.counts]
    if not all(parts) or len(set(parts)) < len(parts):
        return "two of its values differ in punctuation only, or one has no letter and no digit"
    return None if all(value.isprintable() and len(value) <= 300 for value in column.counts) else "it has long texts"


def _attributes(
    name: str,
    table: ReadingsTable,
    machine: ColumnProfile,
    valid_from: ColumnProfile | None,
    places: ReadingPlaces,
    left_out: dict[str, str],
) -> AttributeRoles:
    roles = AttributeRoles(name=name, table=table, machine=machine, time=valid_from, left_out=left_out)
    own = {header_key(header) for header in places.headers}
    spread = _spread(machine, places.machine)
    for column in table.columns:
        if column in (machine, valid_from) or column.header in left_out:
            continue
        if header_key(column.header) in own:
            left_out[column.header] = "the readings have this column, too"
        elif reason := constant_reason(column):
            left_out[column.header] = reason
        elif is_id(column):
            left_out[column.header] = "it differs in each row, as an id does"
        elif not column.is_number and _has_times(column):
            left_out[column.header] = "it has times; write a number, such as the age"
        elif column.is_number and not is_code(column):
            roles.sensors.append(spread(column))
        elif reason := no_category(column):
            left_out[column.header] = reason
        else:
            roles.categories.append(spread(column))
    return roles


def _has_times(column: ColumnProfile) -> bool:
    try:
        return column.times is not None
    except SourceError:  # Day and month are ambiguous, so these are times, too.
        return True


def _spread(machine: ColumnProfile, of_readings: ColumnProfile) -> Callable[[ColumnProfile], ColumnProfile]:
    """A function that takes a column of attributes to the readings: the last value of each reading's machine."""
    rows = {text: place for place, text in enumerate(machine.texts.to_pylist())}
    places = np.array([rows.get(text, -1) for text in of_readings.texts.to_pylist()])
    taken = pa.array(places, mask=places < 0)

    def spread(column: ColumnProfile) -> ColumnProfile:
        numbers = np.where(places < 0, np.nan, column.numbers[places])
        return ColumnProfile(header=column.header, texts=column.texts.take(taken), numbers=numbers)

    return spread
