"""A raw table as a frame in canonical columns and units, and its faults as a frame."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from ..machine.sensors import NUMERIC_NAMES, TIMESTAMP, HeaderMatch
from .cell_validation import Faults, parse_column, plain_array, unreadable
from .times import parse_times

FAULT_COLUMNS = ("position", "column", "value", "reason")
"""A fault: the row's position in its frame, the canonical column, the cell as it was read, and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class ParsedRows:
    """Rows in canonical columns and units, before cleaning.

    `frame`: the rows that split into cells. `faults`: cells that did not parse, by position in `frame`. `quarantined`: rows
    that are not in `frame`, one line each with QUARANTINE_COLUMNS (malformed CSV rows, join rows that match no single reading).
    """

    frame: pd.DataFrame
    faults: pd.DataFrame
    quarantined: pd.DataFrame


def parse(
    raw: pa.Table, match: HeaderMatch, names: Sequence[str], decimal: str = "."
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The canonical columns `names` of a raw table, and the faults found while parsing them.

    Numeric columns become float64 in canonical units, NaN where a cell does not parse; the others become text, None
    where missing; timestamps become datetimes in UTC. Raises SourceError where a column as a whole cannot be read.
    """
    columns: dict[str, pd.Series] = {}
    faults: list[Faults] = []
    for name in names:
        header = match.columns[name][0]
        cells = raw.column(header)
        if name == TIMESTAMP.name:
            plain = plain_array(cells, header)
            columns[name], reason = parse_times(plain, header)
            faults += unreadable(name, plain, columns[name].isna().to_numpy(), reason)
        else:
            values, found = parse_column(cells, match, name, decimal)
            columns[name] = pd.Series(values) if name in NUMERIC_NAMES else values.to_pandas()
            faults += found
    return pd.DataFrame(columns), fault_table(faults)


def fault_table(faults: Iterable[Faults] = ()) -> pd.DataFrame:
    """Faults as a frame with FAULT_COLUMNS, a line each."""
    kinds = {"position": "int64", "column": "str", "value": "str", "reason": "str"}
    tables = [
        pd.DataFrame(
            {"position": found.positions, "column": found.column, "value": found.values, "reason": found.reason}
        )
        for found in faults
    ]
    return pd.concat(tables or [pd.DataFrame(columns=list(FAULT_COLUMNS))], ignore_index=True).astype(kinds)
