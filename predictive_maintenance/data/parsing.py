"""Raw columns of any spelling to canonical columns in canonical units, and a fault for each cell that does not parse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..sensors import BINARY_NAMES, NUMERIC_NAMES, PRODUCT_TYPE, TIMESTAMP, HeaderMatch

MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "-", "?")
MISSING = "missing"

FAULT_COLUMNS = ("position", "column", "value", "reason")
"""A fault: the row's position in its frame, the canonical column, the cell as it was read, and what is wrong with it."""


def parse(
    raw: pa.Table, match: HeaderMatch, names: Sequence[str], decimal: str = "."
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The canonical columns `names` of a raw table, and the faults found while parsing them.

    Numeric columns become float64 in canonical units, NaN where a cell does not parse; the others become text, None
    where missing; timestamps become datetimes in UTC.
    """
    columns: dict[str, pd.Series] = {}
    faults = []
    for name in names:
        header, scale, offset = match.columns[name]
        cells = _plain(raw.column(header))
        if name in NUMERIC_NAMES:
            numbers = _numbers(cells, decimal, binary=name in BINARY_NAMES)
            bad = np.isnan(numbers)
            columns[name] = pd.Series(numbers * scale + offset if (scale, offset) != (1.0, 0.0) else numbers)
            faults += _faults(name, cells, bad, "not a number")
        elif name == TIMESTAMP.name:
            columns[name] = pd.to_datetime(cells.to_pandas(), errors="coerce", utc=True, format="mixed")
            faults += _faults(name, cells, columns[name].isna().to_numpy(), "not a time")
        else:
            text = pc.utf8_trim_whitespace(pc.cast(cells, pa.string()))
            text = pc.utf8_upper(text) if name == PRODUCT_TYPE.name else text
            text = pc.if_else(_is_missing(text), pa.scalar(None, pa.string()), text)
            columns[name] = text.to_pandas()
            faults += _faults(name, cells, np.asarray(text.is_null()), MISSING)
    return pd.DataFrame(columns), fault_table(faults)


def fault_table(faults: Iterable[Mapping[str, object]] = ()) -> pd.DataFrame:
    """Faults as a frame with FAULT_COLUMNS."""
    table = pd.DataFrame(list(faults), columns=list(FAULT_COLUMNS))
    return table.astype({"position": "int64", "column": "str", "value": "str", "reason": "str"})


def _plain(cells: pa.ChunkedArray) -> pa.Array:
    cells = cells.combine_chunks()
    return cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells


def _is_text(cells: pa.Array) -> bool:
    return pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)


def _is_missing(text: pa.Array) -> pa.Array:
    return pc.is_in(pc.utf8_lower(text), value_set=pa.array([*MISSING_WORDS, None], text.type))


def _numbers(cells: pa.Array, decimal: str, binary: bool) -> npt.NDArray[np.float64]:
    """(n,) float64, NaN for a cell that is missing or not a number."""
    if not _is_text(cells):
        cells = cells if _casts_to_number(cells.type) else pc.cast(cells, pa.string())
    if not _is_text(cells):
        return pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    text = pc.replace_substring(cells, ",", ".") if decimal == "," else cells
    try:
        return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        # At least one cell is not a number: the slower way, cell by cell, finds which.
        series = text.to_pandas().str.strip()
        if binary:
            series = series.str.lower().replace({"true": "1", "false": "0"})
        return pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _casts_to_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(test(kind) for test in tests)


def _faults(name: str, cells: pa.Array, bad: npt.NDArray[np.bool_], reason: str) -> list[dict[str, object]]:
    positions = np.flatnonzero(bad)
    values = ["" if value is None else str(value) for value in cells.take(pa.array(positions)).to_pylist()]
    return [
        {
            "position": int(position),
            "column": name,
            "value": value,
            "reason": MISSING if value.strip().lower() in MISSING_WORDS else reason,
        }
        for position, value in zip(positions, values, strict=True)
    ]
