"""Clean tables of events: quarantine bad rows with the reason, drop exact duplicates and events of unknown machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from ..errors import DataError
from ..machine.events import EVENT_TYPE
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, TIMESTAMP
from .parsing import ParsedRows, fault_table
from .quarantine import BadRows, quarantine, reasons_of
from .value_validation import Faults

IN_THE_FUTURE = "in the future"
_CLOCK_TOLERANCE = timedelta(days=1)
_SHOWN_REASONS = 5


@dataclass(frozen=True, kw_only=True)
class CleanedEvents:
    """The good events of one table: machine, time and, if they have types, type. The other fields are counts of rows.

    `without_readings` are the events of machines that have no reading. They are not in `frame`.
    """

    frame: pd.DataFrame
    ingested_rows: int
    quarantined_rows: int
    collapsed_duplicates: int
    without_readings: int

    @property
    def counts(self) -> "EventCounts":
        """The numbers of rows."""
        return EventCounts(
            rows=len(self.frame),
            ingested_rows=self.ingested_rows,
            quarantined_rows=self.quarantined_rows,
            collapsed_duplicates=self.collapsed_duplicates,
            without_readings=self.without_readings,
        )


@dataclass(frozen=True, kw_only=True)
class EventCounts:
    """The counts of CleanedEvents; `rows` are the good events. Those of the parts of a table add up to those of the table."""

    rows: int = 0
    ingested_rows: int = 0
    quarantined_rows: int = 0
    collapsed_duplicates: int = 0
    without_readings: int = 0

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(
            rows=self.rows + other.rows,
            ingested_rows=self.ingested_rows + other.ingested_rows,
            quarantined_rows=self.quarantined_rows + other.quarantined_rows,
            collapsed_duplicates=self.collapsed_duplicates + other.collapsed_duplicates,
            without_readings=self.without_readings + other.without_readings,
        )

    def summary(self) -> str:
        """The counts as text."""
        parts = [f"{self.rows:,} of {self.ingested_rows:,} events"]
        parts += [f"{self.quarantined_rows:,} in quarantine"] if self.quarantined_rows else []
        parts += [f"{self.collapsed_duplicates:,} exact duplicates collapsed"] if self.collapsed_duplicates else []
        parts += [f"{self.without_readings:,} of machines without readings"] if self.without_readings else []
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class CleanedTables:
    """The cleaned events of each table, the quarantine of all of them, and how many rows of each table were bad."""

    cleaned: Mapping[str, CleanedEvents]
    quarantine: pd.DataFrame
    bad: Mapping[str, BadRows]


def clean_events(tables: Mapping[str, ParsedRows], readings: pd.DataFrame | None, machine: Machine) -> CleanedTables:
    """Clean tables of events by name.

    An event is bad if it has no machine, an invalid time, a type that the description does not have, or a time more than a day
    in the future. Events of machines that are not in `readings` are left out.
    """
    cleaned: dict[str, CleanedEvents] = {}
    bad_rows: dict[str, BadRows] = {}
    quarantined: list[pd.DataFrame] = []
    for name, parsed in tables.items():
        columns = list(machine.event_columns(name))
        frame, faults = parsed.frame, _faults(parsed, name, machine)
        bad = np.zeros(len(frame), dtype=bool)
        bad[faults["position"]] = True
        lines = pd.concat([quarantine(frame, faults, columns), parsed.quarantined], ignore_index=True)
        count, rows = int(bad.sum()) + len(parsed.quarantined), len(frame) + len(parsed.quarantined)
        bad_rows[name] = BadRows(rows=rows, bad=count, cells=reasons_of(lines), first=_first(lines))
        distinct = frame.loc[~bad, columns].drop_duplicates()
        owned = distinct if readings is None else distinct[distinct[MACHINE_ID].isin(readings[MACHINE_ID].unique())]
        cleaned[name] = CleanedEvents(
            frame=owned.sort_values([MACHINE_ID, machine.time_name], kind="stable", ignore_index=True),
            ingested_rows=rows,
            quarantined_rows=count,
            collapsed_duplicates=int((~bad).sum()) - len(distinct),
            without_readings=len(distinct) - len(owned),
        )
        quarantined.append(lines)
    every = pd.concat(quarantined, ignore_index=True) if quarantined else pd.DataFrame()
    return CleanedTables(cleaned=cleaned, quarantine=every, bad=bad_rows)


def check_bad_events(bad: Mapping[str, BadRows], max_quarantined_share: float) -> None:
    """Raise DataError if the share of bad events of a table is above `max_quarantined_share`."""
    for name, rows in bad.items():
        if rows.share > max_quarantined_share:
            raise DataError(_refusal(name, rows, max_quarantined_share))


def future_faults(frame: pd.DataFrame) -> pd.DataFrame:
    """Faults for timestamps more than a day in the future: of a clock that was wrong, or of a typing error."""
    if TIMESTAMP not in frame:
        return fault_table()
    future = np.flatnonzero(frame[TIMESTAMP] > datetime.now(UTC) + _CLOCK_TOLERANCE)
    values = frame[TIMESTAMP].iloc[future].astype("str").tolist()
    return fault_table([Faults(TIMESTAMP, IN_THE_FUTURE, future, values)])


def _faults(parsed: ParsedRows, table: str, machine: Machine) -> pd.DataFrame:
    frame, found = parsed.frame, [parsed.faults]
    if types := machine.description.events[table].types:
        unknown = np.flatnonzero(frame[EVENT_TYPE].notna() & ~frame[EVENT_TYPE].isin(types))
        values = frame[EVENT_TYPE].iloc[unknown].tolist()
        found.append(fault_table([Faults(EVENT_TYPE, f"not one of {', '.join(types)}", unknown, values)]))
    found.append(future_faults(frame))
    faults = pd.concat(found, ignore_index=True)
    return faults.drop_duplicates(["position", "column"]).sort_values("position", kind="stable", ignore_index=True)


def _first(lines: pd.DataFrame) -> str:
    if lines.empty:
        return ""
    first = lines.iloc[0]
    return f"{first['source']}, row {first['row']}, {first['column']} = {first['value']!r}"


def _refusal(table: str, bad: BadRows, allowed: float) -> str:
    reasons = "\n".join(
        f"  {cells} rows: {column} is {reason}" for column, reason, cells in bad.most_frequent(_SHOWN_REASONS)
    )
    return (
        f"{bad.bad} of {bad.rows} rows ({bad.share:.1%}) of the table {table} are bad, more than "
        f"cleaning.max_quarantined_share = {allowed:.1%} allows:\n{reasons}\n"
        f"first bad cell: {bad.first}\n"
        "fix the source, correct the table in machine.yaml, or increase the share in params.yaml"
    )
