"""Parse a column of times. One format applies to the whole column, chosen from all of its cells."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import SourceError

NOT_A_TIME = "not a time"

_ISO, _DAY_FIRST, _MONTH_FIRST = "ISO 8601", "day first", "month first"
_YEAR_FIRST = r"^(\d{4}[-/.]\d|\d{8}T\d)"
_TIME_OF_DAY = r"(?:(?:,? |T)(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)"
_DAY_MONTH_YEAR = rf"^(\d{{1,2}})[./-](\d{{1,2}})[./-](\d{{4}}){_TIME_OF_DAY})?$"
_MONTH_DAY_YEAR = rf"^(\d{{1,2}})[/-](\d{{1,2}})[/-](\d{{4}}){_TIME_OF_DAY}(?: ?[AaPp][Mm])?)?$"
_NUMBER = r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$"
_HOUR = np.timedelta64(1, "h")
_EPOCHS_US = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}
_PLAUSIBLE_US = (6.31152e14, 4.1339808e15)  # 1990 to 2100, which excludes row counters and day numbers of spreadsheets

Times = npt.NDArray[np.datetime64]


def parse_times(cells: pa.Array, header: str) -> tuple[pd.Series, str]:
    """Parse cells into (n,) UTC times in microseconds, with NaT for bad cells, and the reason for bad cells.

    Text formats are ISO 8601, day first (31.1.2024, also with / or -) and month first (1/31/2024, also with -), each with an
    optional time of day. Numbers count from 1970; their magnitude determines the unit. The format that parses the most
    cells applies. A time without a zone is UTC. Raises SourceError if the order of day and month is ambiguous.
    """
    if pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type):
        plain = pc.cast(cells, pa.timestamp("us", "UTC"), safe=False)
        return _in_utc(plain.to_numpy(zero_copy_only=False)), NOT_A_TIME
    parsed = dict(_parsed_by_format(cells))
    counts = {name: np.count_nonzero(~np.isnat(times)) for name, times in parsed.items()}
    best = max(counts, key=lambda name: counts[name])
    if best == _DAY_FIRST and counts[best] == counts[_MONTH_FIRST]:
        _check_unambiguous(cells, header, parsed[_DAY_FIRST], parsed[_MONTH_FIRST])
    return _in_utc(parsed[best]), f"{NOT_A_TIME} like the others ({best})" if counts[best] else NOT_A_TIME


def _parsed_by_format(cells: pa.Array) -> Iterator[tuple[str, Times]]:
    """The cells parsed in each format, with NaT for cells of other formats. Earlier formats win a tie."""
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
    first, last = _PLAUSIBLE_US
    for unit, scale in _EPOCHS_US.items():
        plausible = (values >= first / scale) & (values < last / scale)
        times = np.full(len(values), "NaT", dtype="datetime64[us]")
        times[plausible] = np.rint(values[plausible] * scale).astype("int64").view("datetime64[us]")
        yield f"{unit} since 1970", times


def _check_unambiguous(cells: pa.Array, header: str, day_first: Times, month_first: Times) -> None:
    differing = np.flatnonzero((day_first != month_first) & ~(np.isnat(day_first) & np.isnat(month_first)))
    if len(differing):
        raise SourceError(
            f"column {header!r} may be day first or month first (such as {str(cells[int(differing[0])])!r}): "
            "write its dates as 2024-01-31, or day first with dots"
        )


def _in_utc(times: Times) -> pd.Series:
    return pd.Series(times).dt.tz_localize("UTC")


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
