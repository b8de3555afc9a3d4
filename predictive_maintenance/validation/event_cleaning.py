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
from .quarantine import quarantine
from .value_validation import Faults

IN_THE_FUTURE = "in the future"
_CLOCK_TOLERANCE = timedelta(days=1)


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

    def summary(self) -> str:
        """The counts as text."""
        parts = [f"{len(self.frame):,} of {self.ingested_rows:,} events"]
        parts += [f"{self.quarantined_rows:,} in quarantine"] if self.quarantined_rows else []
        parts += [f"{self.collapsed_duplicates:,} exact duplicates collapsed"] if self.collapsed_duplicates else []
        parts += [f"{self.without_readings:,} of machines without readings"] if self.without_readings else []
        return ", ".join(parts)


def clean_events(
    tables: Mapping[str, ParsedRows], readings: pd.DataFrame | None, machine: Machine, max_quarantined_share: float
) -> tuple[dict[str, CleanedEvents], pd.DataFrame]:
    """The cleaned events of each table, and the quarantine of all of them.

    An event is bad if it has no machine, an invalid time, a type that the description does not have, or a time more than a day
    in the future. Events of machines that are not in `readings` are left out. Raises DataError if the share of bad events in a
    table is above `max_quarantined_share`.
    """
    cleaned: dict[str, CleanedEvents] = {}
    quarantined: list[pd.DataFrame] = []
    for name, parsed in tables.items():
        columns = list(machine.event_columns(name))
        frame, faults = parsed.frame, _faults(parsed, name, machine)
        bad = np.zeros(len(frame), dtype=bool)
        bad[faults["position"]] = True
        lines = pd.concat([quarantine(frame, faults, columns), parsed.quarantined], ignore_index=True)
        count, rows = int(bad.sum()) + len(parsed.quarantined), len(frame) + len(parsed.quarantined)
        if count / max(rows, 1) > max_quarantined_share:
            raise DataError(_refusal(name, count, rows, max_quarantined_share, lines))
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
    return cleaned, pd.concat(quarantined, ignore_index=True) if quarantined else pd.DataFrame()


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


def _refusal(table: str, bad: int, rows: int, allowed: float, lines: pd.DataFrame) -> str:
    counts = lines.groupby(["column", "reason"]).size().sort_values(ascending=False).head(5)
    reasons = "\n".join(f"  {count} rows: {column} is {reason}" for (column, reason), count in counts.items())
    first = lines.iloc[0]
    return (
        f"{bad} of {rows} rows ({bad / rows:.1%}) of the table {table} are bad, more than cleaning.max_quarantined_share = "
        f"{allowed:.1%} allows:\n{reasons}\n"
        f"first bad cell: {first['source']}, row {first['row']}, {first['column']} = {first['value']!r}\n"
        "fix the source, correct the table in machine.yaml, or increase the share in params.yaml"
    )
