"""Rows without time are not evaluated forward in time, and the reason is given."""

import pandas as pd
import pytest

from predictive_maintenance.config.machine_file import load_machine, parse_machine
from predictive_maintenance.evaluation.row_sets import forward_scores
from predictive_maintenance.evaluation.time_order import why_order_is_unknown
from predictive_maintenance.machine.milling import MILLING
from tests.paths import REPOSITORY

PUMP = """
name: pump
model_name: pump
time: {kind: counter, unit: h}
sensors: {flow_l_min: {label: Flow, unit: l/min, range: [0, 500]}}
label: {column: leaked}
"""
ROWS = pd.DataFrame({"reading_id": ["1", "2", "3"], "position": [0, 1, 2]})


@pytest.fixture
def compressor():
    return load_machine(REPOSITORY / "tests" / "machines" / "compressor" / "machine.yaml")


def test_a_machine_without_time_has_no_order(compressor):
    assert why_order_is_unknown(ROWS, compressor) == "the description of the screw compressor has no time"


def test_rows_without_the_column_of_times_have_no_order():
    assert why_order_is_unknown(ROWS, parse_machine(PUMP)) == "the rows have no column counter"


def test_rows_with_a_counter_have_an_order():
    assert why_order_is_unknown(ROWS.assign(counter=[5.0, 6.0, 7.0]), parse_machine(PUMP)) is None


def test_rows_with_times_have_an_order():
    assert why_order_is_unknown(ROWS.assign(timestamp=pd.Timestamp("2024-01-01", tz="UTC")), MILLING) is None


def test_rows_of_which_some_have_no_time_have_no_order():
    """As after merging a source with times and one without."""
    times = pd.to_datetime(["2024-01-01", None, None], utc=True)
    assert why_order_is_unknown(ROWS.assign(timestamp=times), MILLING) == "2 of 3 rows have no timestamp"


def test_rows_without_times_have_an_order_if_groups_end_where_a_sensor_falls():
    """As AI4I 2020, whose rows are in the order of time and have no time stamps."""
    assert why_order_is_unknown(ROWS, MILLING) is None


def test_forward_scores_are_none_without_time_with_the_reason(small, compressor):
    scores, note = forward_scores(small.trained, small.rows, small.params.model_copy(update={"machine": compressor}))
    assert scores is None
    assert note == "not available, because the description of the screw compressor has no time"
