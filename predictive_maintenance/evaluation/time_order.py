"""Whether the order of rows in time is known, which an evaluation forward in time needs."""

import pandas as pd

from ..machine.machine import Machine
from ..machine.names import COUNTER, TIMESTAMP
from ..machine.sections import GroupColumn


def why_order_is_unknown(rows: pd.DataFrame, machine: Machine) -> str | None:
    """Why the order of `rows` in time is unknown; None if it is known.

    It is known by a column of times. Without one, it is known if groups end where a sensor falls: such a description
    states that a file has its rows in the order of time, because its groups are made from that order.
    """
    time = next((name for name in (TIMESTAMP, COUNTER) if name in machine.columns), None)
    if time and time in rows:
        missing = int(rows[time].isna().sum())
        return f"{missing:,} of {len(rows):,} rows have no {time}" if missing else None
    group = machine.description.group
    if isinstance(group, GroupColumn) and group.falls:
        return None
    if time is None:
        return f"the description of the {machine.description.name} has no time"
    return f"the rows have no column {time}"
