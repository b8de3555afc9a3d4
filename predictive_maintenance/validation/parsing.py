"""Parse a raw table into a data frame with canonical columns and units, and a data frame of its faults."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from ..machine.header_matching import HeaderMatch
from ..machine.machine import Machine
from ..machine.names import TIMESTAMP
from .cell_validation import parse_column, plain_array, unparsed
from .times import TimeFormats, parse_times
from .value_validation import Faults

FAULT_COLUMNS = ("position", "column", "value", "reason")
"""A fault: the position of the row in its frame, the canonical column, the raw value of the cell, and the reason."""


@dataclass(frozen=True, kw_only=True)
class ParsedRows:
    """Rows in canonical columns and units, before cleaning.

    `frame` has the well-formed rows; `faults` has the cells that cannot be parsed, by position in `frame`. `quarantined` has
    the rows that are not in `frame`, with QUARANTINE_COLUMNS: malformed CSV rows, and rows that match no single reading.
    """

    frame: pd.DataFrame
    faults: pd.DataFrame
    quarantined: pd.DataFrame


def parse(
    raw: pa.Table,
    match: HeaderMatch,
    names: Sequence[str],
    machine: Machine,
    decimal: str = ".",
    formats: TimeFormats | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parse the columns `names` of a raw table. Returns the canonical columns and the faults.

    Numeric columns become float64 in canonical units, with NaN for bad cells. Timestamps become datetimes in UTC, with
    NaT. Other columns become text, with None for missing cells. `formats` are those of the times of the whole file, if `raw` is a
    part of it. Raises SourceError if a whole column cannot be parsed.
    """
    columns: dict[str, pd.Series] = {}
    faults: list[Faults] = []
    for name in names:
        header = match.columns[name][0]
        cells = raw.column(header)
        if name == TIMESTAMP:
            plain = plain_array(cells, header)
            columns[name], reason = parse_times(plain, header, formats)
            faults += unparsed(name, plain, columns[name].isna().to_numpy(), reason)
        else:
            values, found = parse_column(cells, match, name, machine, decimal)
            columns[name] = pd.Series(values) if name in machine.numeric_names else values.to_pandas()
            faults += found
    return pd.DataFrame(columns), fault_table(faults)


def fault_table(faults: Iterable[Faults] = ()) -> pd.DataFrame:
    """A data frame with FAULT_COLUMNS and one row per bad cell."""
    types = {"position": "int64", "column": "str", "value": "str", "reason": "str"}
    tables = [
        pd.DataFrame(
            {"position": found.positions, "column": found.column, "value": found.values, "reason": found.reason}
        )
        for found in faults
    ]
    return pd.concat(tables or [pd.DataFrame(columns=list(FAULT_COLUMNS))], ignore_index=True).astype(types)
