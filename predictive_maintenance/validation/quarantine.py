"""The quarantine: bad rows with the bad cell, the reason and the raw row."""

import json
from collections.abc import Sequence

import pandas as pd

from ..machine.names import READING_ID

QUARANTINE_COLUMNS = ("source", "row", "reading_id", "column", "value", "reason", "record")
"""The columns of the quarantine, one line per bad cell. `record` is the whole raw row as JSON."""

CONTRADICTION = "the same reading with other values"


def quarantine(frame: pd.DataFrame, faults: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The quarantine of the faults in `frame`. `record` contains the cells `names`, bad ones with their raw value."""
    positions = faults["position"].to_numpy()
    rows = frame.iloc[positions]
    records = rows[list(names)].to_dict("records")
    raw_cells = {
        position: dict(zip(bad_cells["column"], bad_cells["value"], strict=True))
        for position, bad_cells in faults.groupby("position")
    }
    for record, position in zip(records, positions, strict=True):
        record |= raw_cells[position]
    return pd.DataFrame(
        {
            "source": rows["source"].astype("str").to_numpy(),
            "row": rows["row"].to_numpy(),
            "reading_id": rows[READING_ID].fillna("").to_numpy(),
            "column": faults["column"].to_numpy(),
            "value": faults["value"].to_numpy(),
            "reason": faults["reason"].to_numpy(),
            "record": [json.dumps(record, default=str) for record in records],
        },
        columns=list(QUARANTINE_COLUMNS),
    )
