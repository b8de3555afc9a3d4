"""What is in one column of a table: texts, numbers, missing cells, distinct values, times."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import SourceError
from ..validation.cell_validation import BINARY_WORDS, MISSING_WORDS, plain_array
from ..validation.times import parse_times

MIN_SHARE = 0.95
"""The least share of a column's cells that must be numbers, or times, for it to be a column of them."""

_BINARY = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
_MAX_SPELLINGS = 12
_THOUSANDS = r"^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?$"

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """One column: (n,) texts with null for a missing cell, and (n,) numbers with NaN for a cell that is not a finite number."""

    header: str
    texts: pa.Array
    numbers: Numbers

    @property
    def rows(self) -> int:
        return len(self.texts)

    @property
    def missing(self) -> int:
        return self.texts.null_count

    @property
    def present(self) -> int:
        return self.rows - self.missing

    @cached_property
    def finite(self) -> Numbers:
        """The numbers without NaN."""
        return self.numbers[~np.isnan(self.numbers)]

    @cached_property
    def counts(self) -> dict[str, int]:
        """The distinct texts, the most frequent first, with their numbers of cells."""
        counted = pc.value_counts(self.texts.drop_null())
        pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
        return dict(sorted(pairs, key=lambda pair: -pair[1]))

    @property
    def is_number(self) -> bool:
        return self.present > 0 and len(self.finite) >= MIN_SHARE * self.present

    @cached_property
    def not_numbers(self) -> tuple[str, ...]:
        """The distinct texts that are not numbers."""
        bad = pa.array(np.isnan(self.numbers)).cast(pa.bool_())
        return tuple(pc.unique(self.texts.filter(bad).drop_null()).to_pylist())

    @cached_property
    def binary_values(self) -> dict[str, float]:
        """The distinct texts with 0 or 1, if each is 0 or 1, true or false, yes or no, and both occur; else empty."""
        if len(self.counts) > _MAX_SPELLINGS:
            return {}
        values = {text: _BINARY.get(BINARY_WORDS.get(text.lower(), text)) for text in self.counts}
        return (
            {text: value for text, value in values.items() if value is not None}
            if set(values.values()) == {0, 1}
            else {}
        )

    @cached_property
    def binary(self) -> Numbers | None:
        """(n,) 0, 1 and NaN if the column has `binary_values`, else None."""
        if not self.binary_values:
            return None
        return np.array([self.binary_values.get(text, np.nan) for text in self.texts.to_pylist()])

    @cached_property
    def times(self) -> npt.NDArray[np.datetime64] | None:
        """(n,) times with NaT, or None if the cells are not times. Raises SourceError if day and month are ambiguous."""
        times, _ = parse_times(self.texts, self.header)
        parsed = times.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        return parsed if self.present and np.count_nonzero(~np.isnat(parsed)) >= MIN_SHARE * self.present else None


def profile(header: str, parts: list[tuple[pa.ChunkedArray, str]]) -> ColumnProfile:
    """The profile of a column from its cells in each file, with the decimal mark of that file.

    Raises SourceError if the cells are not text, numbers, booleans or times.
    """
    texts = [_texts(cells, header) for cells, _ in parts]
    numbers = [_numbers(cells, decimal) for cells, (_, decimal) in zip(texts, parts, strict=True)]
    return ColumnProfile(header=header, texts=pa.concat_arrays(texts), numbers=np.concatenate(numbers))


def _texts(cells: pa.ChunkedArray, header: str) -> pa.Array:
    if not len(cells):
        return pa.array([], pa.string())
    try:
        text = pc.utf8_trim_whitespace(pc.cast(plain_array(cells, header), pa.string()))
    except pa.ArrowInvalid as error:
        raise SourceError(f"column {header!r}: {error}") from None
    missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(MISSING_WORDS, pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), text)


def _numbers(texts: pa.Array, decimal: str) -> Numbers:
    if decimal == ",":
        # As training does: a point before three digits may separate thousands, so such a cell is not a number.
        ambiguous = pc.match_substring_regex(texts, _THOUSANDS)
        texts = pc.replace_substring(pc.if_else(ambiguous, pa.scalar(None, pa.string()), texts), ",", ".")
    try:
        numbers = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(texts.to_pandas(), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)
