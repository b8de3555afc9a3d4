"""A cell is a number, a text or a fault with its reason; a column that holds no cells at all is refused by its header."""

import datetime
import decimal
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.machine.sensors import match_headers
from predictive_maintenance.validation.cell_validation import impossible, parse_column


def parsed(cells, header="Torque [Nm]", mark="."):
    """(values, {position: reason}) of one column."""
    match = match_headers([header])
    (name,) = match.columns
    values, faults = parse_column(pa.chunked_array([cells]), match, name, mark)
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
def test_numbers_are_read_from_every_kind_of_column_that_can_hold_them(cells):
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
def test_a_column_that_holds_no_single_values_is_refused_by_its_header(cells, header):
    with pytest.raises(SourceError) as refused:
        parsed(cells, header)
    assert str(refused.value).startswith(f"column {header!r} holds ")
    assert "write it as" in str(refused.value)


def test_a_date_where_a_number_is_expected_is_a_fault_of_its_cell():
    values, reasons = parsed(pa.array([datetime.date(2024, 1, 31)]))
    assert np.isnan(values).tolist() == [True]
    assert reasons == {0: "not a number"}


@pytest.mark.parametrize("cell", ["1.551", " 1.551 ", "-1.551", "12.000", "1.551,5", "1.551.000"])
def test_a_point_that_may_part_thousands_is_a_fault_where_decimals_have_a_comma(cell):
    values, reasons = parsed(pa.array(["298,1", cell]), mark=",")
    assert np.isnan(values).tolist() == [False, True]
    assert reasons[1].startswith("ambiguous: a point before three digits")


@pytest.mark.parametrize(
    ("cell", "value"), [("1551", 1551.0), ("1551,5", 1551.5), ("42.8", 42.8), ("0.125", 0.125), ("1551.125", 1551.125)]
)
def test_other_cells_of_a_file_with_decimal_commas_have_one_reading(cell, value):
    assert parsed(pa.array(["298,1", cell]), mark=",") == ([298.1, value], {})


def test_a_point_before_three_digits_is_a_decimal_where_decimals_have_one():
    assert parsed(pa.array(["1.551"])) == ([1.551], {})


def test_one_long_cell_does_not_take_its_room_for_every_bad_cell():
    cells = ["x"] * 500 + ["long" * 10_000]
    tracemalloc.start()
    _, reasons = parsed(pa.array(cells))
    (fault,) = impossible({"product_type": np.array(cells, dtype=object)}, ["product_type"], {})
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reasons) == len(fault.positions) == 501
    assert peak_bytes < 2**20


def test_a_missing_product_type_is_not_called_unknown_as_well():
    kinds = np.array(["L", None, "X"], dtype=object)
    (fault,) = impossible({"product_type": kinds}, ["product_type"], {})
    assert (fault.positions.tolist(), fault.values) == ([2], ["X"])
