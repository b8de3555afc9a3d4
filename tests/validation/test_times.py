"""One format applies to a column of times; a cell in another format is a fault and is never misread."""

import datetime

import pandas as pd
import pyarrow as pa
import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.validation.times import NOT_A_TIME, parse_times

AFTERNOON = "2024-01-31T14:30:05"
IN_SECONDS = 1_706_711_405


def times(*cells, kind=None):
    """The times of a column in ISO 8601 without zone, None for a bad cell, and the reason for bad cells."""
    parsed, reason = parse_times(pa.array(cells, kind), "Date")
    assert str(parsed.dtype) == "datetime64[us, UTC]"
    return [None if pd.isna(time) else time.tz_localize(None).isoformat() for time in parsed], reason


def refusal(*cells):
    with pytest.raises(SourceError) as refused:
        parse_times(pa.array(cells), "Date")
    return str(refused.value)


@pytest.mark.parametrize(
    "cell",
    [
        "2024-01-31 14:30:05", "2024-01-31T14:30:05", "2024-01-31T14:30:05Z", " 2024-01-31 14:30:05 ", "2024/1/31 14:30:05",
        "2024-01-31T16:30:05+02:00", "2024-01-31 09:30:05-05", "20240131T143005", "2024-01-31T14:30:05.000",
        "2024-01-31T14:30:05,0",
        "31.01.2024 14:30:05", "31.1.2024 14:30:05", "31/01/2024 14:30:05", "31-01-2024T14:30:05", "31.01.2024, 14:30:05",
        "01/31/2024 14:30:05", "1/31/2024 2:30:05 PM", "1-31-2024 02:30:05pm", "1/31/2024, 2:30:05 PM",
        str(IN_SECONDS), f"{IN_SECONDS}000", f"{IN_SECONDS}000000", f"{IN_SECONDS}000000000", f"{IN_SECONDS}.0",
        f"{IN_SECONDS},0", "1.706711405e9",
    ],
)  # fmt: skip
def test_all_supported_formats_are_parsed(cell):
    assert times(cell)[0] == [AFTERNOON]


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("2024-01-31", "2024-01-31T00:00:00"),
        ("31.01.2024", "2024-01-31T00:00:00"),
        ("1/31/2024", "2024-01-31T00:00:00"),
        ("31.01.2024 9:05", "2024-01-31T09:05:00"),
        ("31.01.2024 09:05:07.25", "2024-01-31T09:05:07.250000"),
        ("31.01.2024 09:05:07,25", "2024-01-31T09:05:07.250000"),
        ("1/31/2024 12:05 AM", "2024-01-31T00:05:00"),
        ("1/31/2024 12:05 PM", "2024-01-31T12:05:00"),
        (f"{IN_SECONDS}.25", "2024-01-31T14:30:05.250000"),
    ],
)
def test_the_time_of_day_is_optional_and_may_have_fractions(cell, time):
    assert times(cell)[0] == [time]


def test_an_ambiguous_date_is_parsed_like_the_rest_of_its_column():
    assert times("01/02/2024", "13/02/2024")[0] == ["2024-02-01T00:00:00", "2024-02-13T00:00:00"]
    assert times("01/02/2024", "02/13/2024")[0] == ["2024-01-02T00:00:00", "2024-02-13T00:00:00"]


def test_dates_with_dots_are_day_first():
    assert times("01.02.2024", "03.02.2024")[0] == ["2024-02-01T00:00:00", "2024-02-03T00:00:00"]


def test_an_ambiguous_column_is_an_error_with_an_example_and_the_fix():
    message = refusal("01/01/2024", "01/02/2024 10:00", "05/06/2024")
    assert "column 'Date' may be day first or month first (such as '01/02/2024 10:00')" in message
    assert "write its dates as 2024-01-31" in message


def test_a_bad_cell_does_not_hide_an_ambiguous_column():
    assert "'01/02/2024'" in refusal("01/02/2024", "yesterday", None)


def test_a_column_with_both_formats_in_equal_numbers_is_an_error():
    assert "'13/02/2024'" in refusal("13/02/2024", "02/13/2024")


def test_a_column_with_the_same_times_in_both_formats_is_accepted():
    assert times("01/01/2024", "02/02/2024")[0] == ["2024-01-01T00:00:00", "2024-02-02T00:00:00"]


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ("2024-01-31", "ISO 8601"), ("31.01.2024", "day first"), ("1/31/2024", "month first"),
        (str(IN_SECONDS), "seconds since 1970"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "cell", ["2024-02-30", "32.01.2024", "1/31/2024 13:00 PM", "12:30", "now", "today", "0", "2024"]
)
def test_a_cell_in_another_format_is_a_fault(others, name, cell):
    parsed, reason = times(others, others, cell)
    assert parsed[2] is None
    assert None not in parsed[:2]
    assert reason == f"not a time like the others ({name})"


def test_the_format_that_parses_the_most_cells_applies():
    parsed, reason = times("31.01.2024", "2024-01-31", "30.01.2024", None, "")
    assert [time is None for time in parsed] == [False, True, False, True, True]
    assert reason == "not a time like the others (day first)"


@pytest.mark.parametrize(
    "cells", [("1", "2", "3"), ("45321", "45322.5"), ("20240131", "20240201"), ("soon",), ("1e300", "-1e300", "inf")]
)
def test_row_counters_day_numbers_and_words_are_not_times(cells):
    assert times(*cells) == ([None] * len(cells), NOT_A_TIME)


@pytest.mark.parametrize("digits", [1, 10**3, 10**6, 10**9])
def test_the_magnitude_of_a_number_determines_its_unit(digits):
    assert times(IN_SECONDS * digits, None, 7)[0] == [AFTERNOON, None, None]
    assert times(float(IN_SECONDS * digits))[0] == [AFTERNOON]


def test_arrow_timestamps_and_dates_are_converted_to_utc():
    time = datetime.datetime(2024, 1, 31, 14, 30, 5)  # noqa: DTZ001  without a zone on purpose
    for unit in ("s", "ms", "us", "ns"):
        assert times(time, None, kind=pa.timestamp(unit)) == ([AFTERNOON, None], NOT_A_TIME)
    assert times(time, kind=pa.timestamp("us", "Europe/Berlin"))[0] == [AFTERNOON]
    assert times(time.date())[0] == ["2024-01-31T00:00:00"]


def test_a_column_without_times_has_none():
    assert times(None, None) == ([None, None], NOT_A_TIME)
    assert times(kind=pa.string()) == ([], NOT_A_TIME)
