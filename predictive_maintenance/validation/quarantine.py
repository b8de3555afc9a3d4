"""Rows that are set aside, as they are kept: what is wrong with which cell, and the whole row as it was read."""

import json
from collections.abc import Sequence

import pandas as pd

from ..machine.sensors import READING_ID

QUARANTINE_COLUMNS = ("source", "row", "reading_id", "column", "value", "reason", "record")
"""A quarantined cell: where it came from, what is wrong, and the whole row as JSON, so that nothing is lost."""

CONTRADICTION = "the same reading with other values"


def quarantine(frame: pd.DataFrame, faults: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Each fault of `frame` with its row: where it came from and, as JSON, its cells `names` as they were read."""
    positions = faults["position"].to_numpy()
    rows = frame.iloc[positions]
    records = rows[list(names)].to_dict("records")
    cells = {
        position: dict(zip(of_row["column"], of_row["value"], strict=True))
        for position, of_row in faults.groupby("position")
    }
    for record, position in zip(records, positions, strict=True):
        record |= cells[position]
    return pd.DataFrame(
        {
            "source": rows["source"].astype("str").to_numpy(),
            "row": rows["row"].to_numpy(),
            "reading_id": rows[READING_ID.name].fillna("").to_numpy(),
            "column": faults["column"].to_numpy(),
            "value": faults["value"].to_numpy(),
            "reason": faults["reason"].to_numpy(),
            "record": [json.dumps(record, default=str) for record in records],
        },
        columns=list(QUARANTINE_COLUMNS),
    )
