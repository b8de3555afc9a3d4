"""The quarantine: bad rows with the bad cell, the reason and the raw row."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import pandas as pd

from ..machine.names import READING_ID

QUARANTINE_COLUMNS = ("source", "row", "reading_id", "column", "value", "reason", "record")
"""The columns of the quarantine, one line per bad cell. `record` is the whole raw row as JSON."""

CONTRADICTION = "the same reading with other values"


@dataclass(frozen=True, kw_only=True)
class BadRows:
    """How many rows of a table are bad, and why. Those of the parts of a table add up to those of the table.

    `cells` has column, reason and number of bad cells; a malformed row has the column ''. `first` describes the first bad
    cell: source, row and value. `unlabelled` is whether the label is missing.
    """

    rows: int = 0
    bad: int = 0
    cells: tuple[tuple[str, str, int], ...] = ()
    first: str = ""
    unlabelled: bool = False

    def __add__(self, other: "BadRows") -> "BadRows":
        return BadRows(
            rows=self.rows + other.rows,
            bad=self.bad + other.bad,
            cells=added(self.cells, other.cells),
            first=self.first or other.first,
            unlabelled=self.unlabelled or other.unlabelled,
        )

    @property
    def share(self) -> float:
        return self.bad / max(self.rows, 1)

    def most_frequent(self, count: int) -> list[tuple[str, str, int]]:
        """Column, reason and cells of the most frequent reasons."""
        return sorted(self.cells, key=lambda reason: (-reason[2], reason))[:count]


def added(*cells: Sequence[tuple[str, str, int]]) -> tuple[tuple[str, str, int], ...]:
    """The sums of numbers of cells by column and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for column, reason, number in chain(*cells):
        counts[column, reason] += number
    return tuple((column, reason, number) for (column, reason), number in counts.items())


def reasons_of(cells: pd.DataFrame) -> tuple[tuple[str, str, int], ...]:
    """Column, reason and number of bad cells, of faults or of lines of the quarantine."""
    if cells.empty:
        return ()
    counts = cells.groupby(["column", "reason"]).size()
    return tuple((str(column), str(reason), int(number)) for (column, reason), number in counts.items())


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
