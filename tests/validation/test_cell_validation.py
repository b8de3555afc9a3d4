"""Each cell is parsed or reported with its reason; a column of an unsupported type is an error that names its header."""

import datetime
import decimal
import re
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.validation.cell_validation import parse_column
from predictive_maintenance.validation.value_validation import invalid_values


def parsed(cells, header="Torque [Nm]", mark="."):
    """(values, {position: reason}) of one column."""
    match = MILLING.match_headers([header])
    (name,) = match.columns
    values, faults = parse_column(pa.chunked_array([cells]), match, name, MILLING, mark)
    reasons = {int(position): fault.reason for fault in faults for position in fault.positions}
    return (values.tolist() if isinstance(values, np.ndarray) else values.to_pylist()), reasons


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(["42.5", "4"]), pa.array(["42.5", "4"], pa.large_string()), pa.array([b"42.5", b"4"]), pa.array([42.5, 4]),
        pa.array([42.5, 4], pa.float16()), pa.array([decimal.Decimal("42.5"), decimal.Decimal("4.0")]),
        pa.array([42.5, 4]).dictionary_encode(), pa.array([b"42.5", b"4"]).dictionary_encode(),
    ],
    ids=lambda cells: str(cells.type),
)  # fmt: skip
def test_numbers_are_parsed_from_every_supported_column_type(cells):
    assert parsed(cells) == ([42.5, 4.0], {})


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([[42.5]]), pa.array([{"value": 42.5}]), pa.array([datetime.timedelta(minutes=3)]),
        pa.array([datetime.time(3)]), pa.array([b"\xff\xfe"]),
    ],
    ids=lambda cells: str(cells.type),
)  # fmt: skip
@pytest.mark.parametrize("header", ["Tool wear [min]", "UDI"])
def test_a_column_of_an_unsupported_type_is_an_error_that_names_its_header(cells, header):
    with pytest.raises(SourceError) as refused:
        parsed(cells, header)
    assert re.match(f"column {re.escape(repr(header))} (has type|contains bytes)", str(refused.value))
    assert "save it as" in str(refused.value)


def test_a_date_in_a_numeric_column_is_a_fault():
    values, reasons = parsed(pa.array([datetime.date(2024, 1, 31)]))
    assert np.isnan(values).tolist() == [True]
    assert reasons == {0: "not a number"}


@pytest.mark.parametrize("cell", ["1.551", " 1.551 ", "-1.551", "12.000", "1.551,5", "1.551.000"])
def test_a_point_that_may_separate_thousands_is_a_fault_in_a_file_with_decimal_commas(cell):
    values, reasons = parsed(pa.array(["298,1", cell]), mark=",")
    assert np.isnan(values).tolist() == [False, True]
    assert reasons[1].startswith("ambiguous: a point before three digits")


@pytest.mark.parametrize(
    ("cell", "value"), [("1551", 1551.0), ("1551,5", 1551.5), ("42.8", 42.8), ("0.125", 0.125), ("1551.125", 1551.125)]
)
def test_unambiguous_numbers_in_a_file_with_decimal_commas_are_parsed(cell, value):
    assert parsed(pa.array(["298,1", cell]), mark=",") == ([298.1, value], {})


def test_a_point_before_three_digits_is_a_decimal_point_in_a_file_with_decimal_points():
    assert parsed(pa.array(["1.551"])) == ([1.551], {})


def test_one_long_cell_does_not_increase_the_memory_of_other_bad_cells():
    cells = ["x"] * 500 + ["long" * 10_000]
    tracemalloc.start()
    _, reasons = parsed(pa.array(cells))
    (fault,) = invalid_values({"product_type": np.array(cells, dtype=object)}, ["product_type"], MILLING)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reasons) == len(fault.positions) == 501
    assert peak_bytes < 2**20


def test_a_missing_product_type_is_not_reported_as_unknown():
    kinds = np.array(["L", None, "X"], dtype=object)
    (fault,) = invalid_values({"product_type": kinds}, ["product_type"], MILLING)
    assert (fault.positions.tolist(), fault.values) == ([2], ["X"])
