"""Parse raw cells into canonical units and find every cell that cannot be parsed, with its reason.

Training, the commands `check` and `score`, and the API share these rules. This module uses numpy and Arrow only,
because the API has no pandas. What parsed values have to fulfil is in value_validation.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import SourceError
from ..machine.header_matching import HeaderMatch
from ..machine.machine import Machine
from .value_validation import Faults

MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "-", "?")
BINARY_WORDS = {"true": "1", "false": "0", "yes": "1", "no": "0"}
"""What a 0/1 column may have in place of 1 and 0."""
MISSING = "missing"
NOT_A_NUMBER = "not a number"
AMBIGUOUS = "ambiguous: a point before three digits in a file with decimal commas"

# Type checks of pyarrow for the columns that a Parquet file or a database may contain.
_TEXT = (pa.types.is_string, pa.types.is_large_string)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
_NUMBER = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null,
)  # fmt: skip
_DATE = (pa.types.is_timestamp, pa.types.is_date)


def parse_column(
    cells: pa.ChunkedArray, match: HeaderMatch, name: str, machine: Machine, decimal: str = "."
) -> tuple[Any, list[Faults]]:
    """Convert one column to canonical form, and find the cells that cannot be parsed.

    A numeric column becomes (n,) float64 in canonical units, with NaN for bad cells and for missing ones, which are no
    fault in an optional sensor. Any other column becomes an Arrow array of text, with null for missing cells; the values of
    a category are spelled as in the description.
    """
    header, scale, offset = match.columns[name]
    plain = plain_array(cells, header)
    if name in machine.numeric_names:
        ambiguous = _is_ambiguous(plain, decimal)
        numbers = np.where(ambiguous, np.nan, _numbers(plain, decimal, binary=name in machine.binary_names))
        faults = [
            *unparsed(name, plain, np.isnan(numbers) & ~ambiguous, NOT_A_NUMBER),
            *unparsed(name, plain, ambiguous, AMBIGUOUS),
        ]
        if name in machine.optional_sensor_names:
            faults = [fault for fault in faults if fault.reason != MISSING]
        return numbers * scale + offset if (scale, offset) != (1.0, 0.0) else numbers, faults
    text = pc.utf8_trim_whitespace(pc.cast(plain, pa.string()))
    if name in machine.categories:
        text = _as_described(text, machine.description.categories[name].known_values)
    text = pc.if_else(_is_missing(text), pa.scalar(None, pa.string()), text)
    return text, list(unparsed(name, plain, np.asarray(text.is_null()), MISSING))


def plain_array(cells: pa.ChunkedArray, header: str) -> pa.Array:
    """The cells as one array, without dictionary encoding, and with bytes decoded as text.

    Raises SourceError that names the header if their type is not text, number, boolean, date or timestamp.
    """
    check_type(cells.type, header)
    plain = cells.combine_chunks()
    plain = plain.dictionary_decode() if pa.types.is_dictionary(plain.type) else plain
    if any(test(plain.type) for test in _BYTES):
        try:
            return pc.cast(plain, pa.string())
        except pa.ArrowInvalid:
            raise SourceError(f"column {header!r} contains bytes that are not UTF-8 text: save it as text") from None
    return plain


def check_type(cell_type: pa.DataType, header: str) -> None:
    """Raise SourceError that names the header if cells of this type cannot be read."""
    plain = cell_type.value_type if pa.types.is_dictionary(cell_type) else cell_type
    if not any(test(plain) for test in (*_TEXT, *_BYTES, *_NUMBER, *_DATE)):
        raise SourceError(f"column {header!r} has type {plain}: save it as numbers or text, one value per cell")


def unparsed(name: str, cells: pa.Array, bad: npt.NDArray[np.bool_], reason: str) -> Iterator[Faults]:
    """The faults of the cells marked in `bad` (n,): missing cells, and the others with `reason`."""
    positions = np.flatnonzero(bad)
    if not len(positions):
        return
    # An object array: a numpy text array would allocate the size of the longest cell for every cell.
    found = cells.take(pa.array(positions))
    if any(test(found.type) for test in _DATE):  # Python's dates end with the year 9999
        found = pc.cast(found, pa.string())
    raw = ["" if value is None else str(value) for value in found.to_pylist()]
    values = np.array(raw, dtype=object)
    missing = np.array([value.strip().lower() in MISSING_WORDS for value in raw])
    for which, why in ((missing, MISSING), (~missing, reason)):
        if which.any():
            yield Faults(name, why, positions[which], values[which].tolist())


def _as_described(text: pa.Array, values: Sequence[str]) -> pa.Array:
    """The texts, each spelled as the described value that it differs from in case only."""
    spellings = {value.upper(): value for value in values}
    if len(spellings) < len(values):
        return text
    found = pc.index_in(pc.utf8_upper(text), value_set=pa.array(list(spellings), text.type))
    return pc.coalesce(pa.array(list(spellings.values()), text.type).take(found), text)


def _is_text(cells: pa.Array) -> bool:
    return any(test(cells.type) for test in _TEXT)


def _is_missing(text: pa.Array) -> pa.Array:
    return pc.is_in(pc.utf8_lower(text), value_set=pa.array([*MISSING_WORDS, None], text.type))


def _is_ambiguous(cells: pa.Array, decimal: str) -> npt.NDArray[np.bool_]:
    """Whether the point in each of (n,) cells may separate thousands: "1.551" among numbers such as "298,1"."""
    if decimal != "," or not _is_text(cells):
        return np.zeros(len(cells), dtype=bool)
    found = pc.match_substring_regex(cells, r"^\s*[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?\s*$")
    return pc.fill_null(found, False).to_numpy(zero_copy_only=False)


def _numbers(cells: pa.Array, decimal: str, binary: bool) -> npt.NDArray[np.float64]:
    """The cells as (n,) float64, with NaN for a cell that is missing or not a number."""
    if not _is_text(cells):
        cells = cells if any(test(cells.type) for test in _NUMBER) else pc.cast(cells, pa.string())
    if not _is_text(cells):
        return pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    text = pc.replace_substring(cells, ",", ".") if decimal == "," else cells
    try:
        return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        # At least one cell is not a number: parse cell by cell, which is slower, to find it.
        words = BINARY_WORDS if binary else {}
        return np.array([_number(cell, words) for cell in text.to_pylist()])


def _number(cell: str | None, words: Mapping[str, str]) -> float:
    text = (cell or "").strip().lower()
    try:
        return np.nan if "_" in text else float(words.get(text, text))
    except ValueError:
        return np.nan
