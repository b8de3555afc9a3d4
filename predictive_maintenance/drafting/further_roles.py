"""What the tables beside the readings have, together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .observed_times import ObservedTimes, UsualSpan, observed_times
from .readings_table import ReadingsTable
from .table_roles import AttributeRoles, EventRoles, ReadingPlaces, table_roles


@dataclass(frozen=True, kw_only=True)
class FurtherRoles:
    """Tables of events and of attributes. `failures` is the table of events that the label is computed from, if any."""

    events: tuple[EventRoles, ...]
    attributes: tuple[AttributeRoles, ...]
    failures: EventRoles | None
    times: ObservedTimes

    @cached_property
    def horizon(self) -> UsualSpan | None:
        """The proposed horizon of a label from failures."""
        return self.times.horizon() if self.failures else None

    @cached_property
    def failed(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a failure follows each reading within the horizon."""
        assert self.horizon is not None
        return self.times.fails_within(self.horizon.length)

    @property
    def from_table(self) -> dict[str, str]:
        """The table of each attribute, by header."""
        return {
            column.header: table.name for table in self.attributes for column in (*table.sensors, *table.categories)
        }

    @property
    def left_out(self) -> dict[str, str]:
        """The columns that are not used, with the reason."""
        tables: tuple[EventRoles | AttributeRoles, ...] = (*self.events, *self.attributes)
        return {f"{table.name}: {header}": reason for table in tables for header, reason in table.left_out.items()}


def further_roles(tables: Mapping[str, ReadingsTable], places: ReadingPlaces, failures: str | None) -> FurtherRoles:
    """The roles of the columns of `tables`. Raises DataError that names the table and what is missing."""
    found = [table_roles(name, table, places) for name, table in tables.items()]
    events = tuple(table for table in found if isinstance(table, EventRoles))
    attributes = _without_repeated(tuple(table for table in found if isinstance(table, AttributeRoles)))
    label = next((table for table in events if table.name == failures), None)
    if failures and label is None:
        raise DataError(f"--tables: {failures}: no column has times, which failures need")
    times = observed_times(
        places.machine, places.time, (label.machine, label.time) if label else None, places.is_counter
    )
    if label and not times.known_failures:
        raise DataError(
            f"--tables: {failures}: none of its rows is a failure of a machine with readings, at a valid time"
        )
    return FurtherRoles(events=events, attributes=attributes, failures=label, times=times)


def _without_repeated(tables: tuple[AttributeRoles, ...]) -> tuple[AttributeRoles, ...]:
    """The tables, without a column that an earlier one has."""
    owners: dict[str, str] = {}
    for table in tables:
        for columns in (table.sensors, table.categories):
            for column in [column for column in columns if column.header in owners]:
                columns.remove(column)
                table.left_out[column.header] = f"the table {owners[column.header]} has this column, too"
        owners |= {column.header: table.name for column in (*table.sensors, *table.categories)}
    return tables
