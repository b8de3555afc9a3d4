"""Parse a column of times. One format applies to the whole column, chosen from all of its cells."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import SourceError
from .epochs import EPOCHS_US, PLAUSIBLE_US

NOT_A_TIME = "not a time"

_ISO, _DAY_FIRST, _MONTH_FIRST = "ISO 8601", "day first", "month first"
_YEAR_FIRST = r"^(\d{4}[-/.]\d|\d{8}T\d)"
_TIME_OF_DAY = r"(?:(?:,? |T)(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)"
_DAY_MONTH_YEAR = rf"^(\d{{1,2}})[./-](\d{{1,2}})[./-](\d{{4}}){_TIME_OF_DAY})?$"
_MONTH_DAY_YEAR = rf"^(\d{{1,2}})[/-](\d{{1,2}})[/-](\d{{4}}){_TIME_OF_DAY}(?: ?[AaPp][Mm])?)?$"
_NUMBER = r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$"
_HOUR = np.timedelta64(1, "h")
_SINCE_1970 = "{} since 1970"
_FORMATS = (_ISO, _DAY_FIRST, _MONTH_FIRST, *map(_SINCE_1970.format, EPOCHS_US))
"""All formats. Earlier ones win a tie."""

Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class TimeFormats:
    """How many cells of a column each format parses. Those of the parts of a column add up to those of the column.

    `ambiguous` is a cell that is another date if the day is first than if the month is; None if there is none.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    ambiguous: str | None = None

    @classmethod
    def of(cls, cells: pa.Array) -> Self:
        return cls() if _has_times(cells) else cls._of_parsed(cells, dict(_parsed_by_format(cells)))

    @classmethod
    def _of_parsed(cls, cells: pa.Array, parsed: Mapping[str, Times]) -> Self:
        counts = {name: int(np.count_nonzero(~np.isnat(times))) for name, times in parsed.items()}
        ambiguous = None
        if _DAY_FIRST in parsed:
            first, second = parsed[_DAY_FIRST], parsed[_MONTH_FIRST]
            differing = np.flatnonzero((first != second) & ~(np.isnat(first) & np.isnat(second)))
            ambiguous = str(cells[int(differing[0])]) if len(differing) else None
        return cls(counts, ambiguous)

    def __add__(self, other: "TimeFormats") -> "TimeFormats":
        names = dict.fromkeys(name for name in _FORMATS if name in self.counts or name in other.counts)
        counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names}
        return TimeFormats(counts, self.ambiguous or other.ambiguous)

    def best(self, header: str) -> str:
        """The format that parses the most cells. Raises SourceError if the order of day and month is ambiguous."""
        best = max(self.counts, key=lambda name: self.counts[name])
        tie = best == _DAY_FIRST and self.counts[best] == self.counts[_MONTH_FIRST]
        if tie and self.ambiguous is not None:
            raise SourceError(
                f"column {header!r} may be day first or month first (such as {self.ambiguous!r}): "
                "write its dates as 2024-01-31, or day first with dots"
            )
        return best


def parse_times(cells: pa.Array, header: str, formats: TimeFormats | None = None) -> tuple[pd.Series, str]:
    """Parse cells into (n,) UTC times in microseconds, with NaT for bad cells, and the reason for bad cells.

    Text formats are ISO 8601, day first (31.1.2024, also with / or -) and month first (1/31/2024, also with -), each with an
    optional time of day. Numbers count from 1970; their magnitude determines the unit. The format that parses the most
    cells applies. A time without a zone is UTC. `formats` are those of the column that the cells are a part of.
    Raises SourceError if the order of day and month is ambiguous.
    """
    if _has_times(cells):
        plain = pc.cast(cells, pa.timestamp("us", "UTC"), safe=False)
        return _in_utc(plain.to_numpy(zero_copy_only=False)), NOT_A_TIME
    parsed = dict(_parsed_by_format(cells))
    formats = formats or TimeFormats._of_parsed(cells, parsed)
    best = formats.best(header)
    times = parsed.get(best)
    # Cells that are all in another format are not parsed in this one.
    times = np.full(len(cells), "NaT", dtype="datetime64[us]") if times is None else times
    return _in_utc(times), f"{NOT_A_TIME} like the others ({best})" if formats.counts[best] else NOT_A_TIME


def _has_times(cells: pa.Array) -> bool:
    return bool(pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type))


def _parsed_by_format(cells: pa.Array) -> Iterator[tuple[str, Times]]:
    """The cells parsed in each format that some may have, with NaT for cells of other formats."""
    if _is_number(cells.type):
        yield from _epochs(pc.cast(cells, pa.float64(), safe=False))
        return
    # A fraction may have a decimal comma.
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(pc.cast(cells, pa.string())), r"(\d),(\d)", r"\1.\2")
    yield _ISO, (iso := _iso_times(_only(text, _YEAR_FIRST)))
    if np.isnat(iso).any():
        yield _DAY_FIRST, _iso_times(_rewritten(text, _DAY_MONTH_YEAR, r"\3-\2-\1 \4"))
        american = _iso_times(_rewritten(text, _MONTH_DAY_YEAR, r"\3-\1-\2 \4"))
        yield _MONTH_FIRST, _on_24_hours(american, text)
        yield from _epochs(pc.cast(_only(text, _NUMBER), pa.float64()))


def _only(text: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(text, pattern), text, None)


def _rewritten(text: pa.Array, pattern: str, iso: str) -> pa.Array:
    return pc.utf8_rtrim_whitespace(pc.replace_substring_regex(_only(text, pattern), pattern, iso))


def _iso_times(text: pa.Array) -> Times:
    times = pd.to_datetime(text.to_pandas(), format="ISO8601", errors="coerce", utc=True)
    return times.to_numpy(dtype="datetime64[us]")


def _on_24_hours(times: Times, text: pa.Array) -> Times:
    """Convert times with AM or PM in their text to 24 hours, with NaT for an hour outside 1 to 12."""
    morning, afternoon = (
        pc.fill_null(pc.match_substring_regex(text, rf"(?i){half}$"), False).to_numpy(zero_copy_only=False)
        for half in ("am", "pm")
    )
    if not (morning | afternoon).any():
        return times
    since_midnight = times - times.astype("datetime64[D]")
    late = since_midnight >= _HOUR * 12
    half_days = (afternoon & ~late).astype(int) - (morning & late)
    wrong = (morning | afternoon) & ((since_midnight < _HOUR) | (since_midnight >= _HOUR * 13))
    return np.where(wrong, np.datetime64("NaT"), times + half_days * _HOUR * 12)


def _epochs(numbers: pa.Array) -> Iterator[tuple[str, Times]]:
    """The numbers as times in each unit. Float64 is exact to a microsecond for times of this century."""
    values = numbers.to_numpy(zero_copy_only=False)
    first, last = PLAUSIBLE_US
    for unit, scale in EPOCHS_US.items():
        plausible = (values >= first / scale) & (values < last / scale)
        times = np.full(len(values), "NaT", dtype="datetime64[us]")
        times[plausible] = np.rint(values[plausible] * scale).astype("int64").view("datetime64[us]")
        yield _SINCE_1970.format(unit), times


def _in_utc(times: Times) -> pd.Series:
    return pd.Series(times).dt.tz_localize("UTC")


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
