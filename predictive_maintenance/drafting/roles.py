"""Decide what each column of a table is: id, machine, time, label, failure mode, group, category, sensor, or left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError, SourceError
from ..machine.header_matching import header_key
from ..machine.names import MACHINE_ID, READING_ID, TIMESTAMP
from .column_kinds import (
    constant_reason,
    is_called_time,
    is_code,
    is_counter,
    is_group,
    is_id,
    is_machine,
    is_reading_id,
    is_repeated_name,
    is_wear,
    no_category,
)
from .column_profile import ColumnProfile
from .further_roles import FurtherRoles, further_roles
from .labels import Leak, find_leaks, sounds_like_label
from .readings_table import ReadingsTable
from .table_roles import ReadingPlaces


@dataclass(kw_only=True)
class Roles:
    """The columns by what they are. `falls` is a sensor, too.

    `suspects` maps the headers of inputs that may contain the label, `left_out` those of unused columns, to the reason;
    `leaks` are those of `left_out` because they contain the label. `further` are the other tables; their attributes are among
    the categories and sensors.
    """

    label: ColumnProfile | None
    id: ColumnProfile | None = None
    machine: ColumnProfile | None = None
    timestamp: ColumnProfile | None = None
    counter: ColumnProfile | None = None
    group: ColumnProfile | None = None
    falls: ColumnProfile | None = None
    modes: list[Leak] = field(default_factory=list)
    categories: list[ColumnProfile] = field(default_factory=list)
    sensors: list[ColumnProfile] = field(default_factory=list)
    suspects: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    leaks: set[str] = field(default_factory=set)
    further: FurtherRoles | None = None

    @property
    def time(self) -> ColumnProfile | None:
        return self.timestamp or self.counter

    @property
    def failures(self) -> int:
        """The number of rows with failure."""
        return int(np.count_nonzero(self.failed))

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each row is one with failure."""
        if self.further and self.further.failures:
            return self.further.failed
        return np.zeros(self.sensors[0].rows, bool) if self.label is None else np.asarray(self.label.binary == 1)


def roles_of(
    table: ReadingsTable, label: ColumnProfile | None, tables: Mapping[str, ReadingsTable], failures: str | None
) -> Roles:
    """The roles of the columns. A column that has two roles by its looks gets the first of: time, machine, id, input.

    `tables` are the tables beside the readings, and `failures` is the one that the label is computed from. Raises DataError if
    they cannot be brought together with the readings.
    """
    roles = Roles(label=label, left_out=dict(table.unusable))
    rest = [column for column in table.columns if column is not label and not _is_constant(column, roles)]
    rest = _take_machine(_take_timestamp(rest, roles), roles)
    if tables and roles.machine is None:
        rest = _take_shared_machine(rest, roles, tables)
    for take in (_take_counter, _take_id, _take_outcomes if failures else _take_leaks):
        rest = take(rest, roles)
    for column in rest:
        _add_input(column, roles)
    if tables:
        _add_tables(roles, table, tables, failures)
    if roles.machine is None and roles.group is None:
        roles.falls = next(filter(is_wear, roles.sensors), None)
    return roles


def _is_constant(column: ColumnProfile, roles: Roles) -> bool:
    if reason := constant_reason(column):
        roles.left_out[column.header] = reason
    return reason is not None


def _take_timestamp(columns: list[ColumnProfile], roles: Roles) -> list[ColumnProfile]:
    """Take the first column of times whose header says so. Other columns of times are left out."""
    times = []
    for column in columns:
        if column.is_number and not is_called_time(column):
            continue  # a sensor's numbers can look like seconds since 1970
        try:
            if column.times is not None:
                times.append(column)
        except SourceError as error:
            roles.left_out[column.header] = str(error)
    times.sort(key=lambda column: (not _has_name(column, TIMESTAMP), not is_called_time(column)))
    roles.timestamp = times[0] if times else None
    for column in times[1:]:
        roles.left_out[column.header] = f"a second column of times; the time of the reading is {times[0].header!r}"
    return [column for column in columns if column is not roles.timestamp and column.header not in roles.left_out]


def _take_machine(columns: list[ColumnProfile], roles: Roles) -> list[ColumnProfile]:
    roles.machine = min(filter(is_machine, columns), key=lambda column: not _has_name(column, MACHINE_ID), default=None)
    return [column for column in columns if column is not roles.machine]


def _take_shared_machine(
    columns: list[ColumnProfile], roles: Roles, tables: Mapping[str, ReadingsTable]
) -> list[ColumnProfile]:
    """Take the column whose values repeat and whose header each table has."""
    keys = [{header_key(column.header) for column in table.columns} for table in tables.values()]
    shared = set.intersection(*keys)
    roles.machine = next(
        (column for column in columns if header_key(column.header) in shared and is_repeated_name(column)), None
    )
    return [column for column in columns if column is not roles.machine]


def _take_counter(columns: list[ColumnProfile], roles: Roles) -> list[ColumnProfile]:
    if roles.timestamp is None:
        roles.counter = next((column for column in columns if is_counter(column, roles.machine)), None)
    return [column for column in columns if column is not roles.counter]


def _take_id(columns: list[ColumnProfile], roles: Roles) -> list[ColumnProfile]:
    ids = sorted(
        filter(is_id, columns), key=lambda column: (not _has_name(column, READING_ID), not is_reading_id(column))
    )
    roles.id = ids[0] if ids else None
    for column in ids[1:]:
        roles.left_out[column.header] = f"it differs in each row, as the id {ids[0].header!r} does"
    return [column for column in columns if not is_id(column)]


def _take_leaks(columns: list[ColumnProfile], roles: Roles) -> list[ColumnProfile]:
    taken = set()
    for leak in find_leaks(columns, roles.label) if roles.label else ():
        header = leak.column.header
        if leak.is_mode:
            roles.modes.append(leak)
        elif leak.is_certain:
            roles.left_out[header] = (
                f"it contains the label: {leak.reason}. Add it only if it is known before the failure"
            )
            roles.leaks.add(header)
        else:
            roles.suspects[header] = f"it may contain the label: {leak.reason}"
            continue
        taken.add(header)
    return [column for column in columns if column.header not in taken]


def _take_outcomes(columns: list[ColumnProfile], roles: Roles) -> list[ColumnProfile]:
    """Leave out the columns that sound like a label. The label is computed, so that no column can be compared with it."""
    for column in columns:
        if sounds_like_label(column):
            roles.left_out[column.header] = (
                "its name says that it is the label, which is computed. Add it only if it is known before the failure"
            )
            roles.leaks.add(column.header)
    return [column for column in columns if column.header not in roles.leaks]


def _add_tables(roles: Roles, table: ReadingsTable, tables: Mapping[str, ReadingsTable], failures: str | None) -> None:
    if roles.machine is None or roles.time is None:
        missing = "machine" if roles.machine is None else "time"
        names = ", ".join(Path(name).name for name in table.names)
        example = MACHINE_ID if roles.machine is None else TIMESTAMP
        raise DataError(
            f"--tables needs the {missing} of each reading: no column of {names} looks like one; give it a header such as "
            f"{example}"
        )
    places = ReadingPlaces(
        machine=roles.machine,
        time=roles.time,
        is_counter=roles.timestamp is None,
        headers=[column.header for column in table.columns],
    )
    further = roles.further = further_roles(tables, places, failures)
    for attributes in further.attributes:
        roles.sensors += attributes.sensors
        roles.categories += attributes.categories
    roles.left_out |= further.left_out


def _has_name(column: ColumnProfile, name: str) -> bool:
    """Whether a header matches a canonical name, so that no other column can have it."""
    return header_key(column.header) == header_key(name)


def _add_input(column: ColumnProfile, roles: Roles) -> None:
    if roles.group is None and roles.machine is None and is_group(column):
        roles.group = column
    elif column.is_number and not is_code(column):
        roles.sensors.append(column)
    elif reason := no_category(column):
        roles.left_out[column.header] = reason
    else:
        roles.categories.append(column)
