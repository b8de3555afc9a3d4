"""What a machine answers from its description, for machines that have nothing in common."""

import math
import pickle

import numpy as np
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import DataError, SourceError
from predictive_maintenance.machine.limits import LimitMargin
from tests.fixtures.machines import random_readings, records


@pytest.fixture
def readings(machine):
    return random_readings(machine, 600)


def test_the_features_of_a_table_and_of_single_readings_have_the_same_bits(machine, readings):
    matrix = machine.feature_matrix(readings)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(readings), len(machine.feature_names))
    single = [[machine.values_of(reading)[name] for name in machine.feature_names] for reading in records(readings)]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(matrix, np.array(single).astype(np.float32))


def test_a_missing_value_stays_missing_and_reaches_the_features_that_use_it(machine, readings):
    matrix = machine.feature_matrix(readings, machine.sensor_names)
    np.testing.assert_array_equal(np.isnan(matrix), readings[list(machine.sensor_names)].isna().to_numpy())


def test_an_optional_sensor_may_be_missing_from_the_table(compressor):
    table = random_readings(compressor, 10).drop(columns=["oil_degc", "humidity"])
    matrix = compressor.feature_matrix(table, ["oil_degc", "warm", "humidity", "rise_pa"])
    assert np.isnan(matrix[:, :3]).all()
    assert np.isfinite(matrix[:, 3]).all()


def test_a_required_sensor_may_not_be_missing_from_the_table(compressor):
    with pytest.raises(KeyError, match="inlet_pa"):
        compressor.feature_matrix(random_readings(compressor, 3).drop(columns="inlet_pa"))


def test_columns_are_added_to_a_data_frame_for_computed_features_only(machine, readings):
    added = machine.with_features(readings)
    assert [name for name in added if name not in readings] == list(machine.computed_names)
    for name in machine.computed_names:
        np.testing.assert_array_equal(added[name].to_numpy(), machine.arrays(readings)[name])


def test_a_feature_may_use_features_that_are_described_after_it(compressor):
    reading = {"inlet_pa": 100_000.0, "outlet_pa": 700_000.0}
    assert compressor.feature(reading, "stress") == 600_000.0 * 49
    assert compressor.feature({name: np.array([value]) for name, value in reading.items()}, "stress") == [29_400_000.0]


def test_the_limits_of_a_table_and_of_single_readings_are_the_same(machine, readings):
    codes = machine.exceeded_limit_codes(readings)
    by_row = [[(limit.name, limit.side) for limit in machine.limits_of_code(code)] for code in codes]
    one_by_one = [
        [(margin.name, margin.side) for margin in machine.limit_margins(reading) if margin.broken]
        for reading in records(readings)
    ]
    assert by_row == one_by_one
    assert [[name for name, _ in row] for row in by_row] == [
        [limit.name for limit in machine.exceeded_limits(reading)] for reading in records(readings)
    ]
    assert {limit for row in by_row for limit in row} == {(limit.name, limit.side) for limit in machine.limits}


def test_more_than_eight_limits_have_a_bit_each(compressor):
    assert len(compressor.limits) == 10
    assert compressor.exceeded_limit_codes(random_readings(compressor, 5)).dtype == np.uint16


def test_a_margin_is_negative_if_the_limit_is_exceeded(machine, readings):
    for reading in records(readings):
        for margin in machine.limit_margins(reading):
            assert not margin.broken or margin.applies
            if margin.broken:
                assert margin.margin <= 0


def test_a_limit_of_a_missing_value_is_not_exceeded_and_has_no_margin(compressor):
    healthy = compressor.description.examples["healthy"].reading
    assert "vibration_mm_s" not in healthy
    assert "vibration" not in [margin.name for margin in compressor.limit_margins(healthy)]
    assert "vibration" not in [limit.name for limit in compressor.exceeded_limits(healthy)]


def test_a_condition_says_when_a_limit_applies(compressor):
    worn = compressor.description.examples["worn"].reading
    young = worn | {"strokes": 1e6}

    def rise(reading):
        return next(margin for margin in compressor.limit_margins(reading) if margin.name == "rise")

    assert rise(worn) == LimitMargin(
        name="rise", label="Pressure rise", side="maximum", measured=1.5e6, bound=1_234_567.0, margin=-265_433.0, unit="Pa",
        applies=True, broken=True,
    )  # fmt: skip
    assert (rise(young).applies, rise(young).broken, rise(young).margin) == (False, False, -265_433.0)


def test_the_allowed_values_are_described_from_the_bound(compressor):
    assert [limit.allowed for limit in compressor.limits] == [
        "4e-05 m or more",
        "0.00035 m or less",
        "1234567 Pa or less where strokes > 1e6 and ratio >= 2",
        "more than 5 °C",
        "1 or more",
        "45 mm/s or less",
        "28 mm/s or less",
        "2000000000 stroke or less",
        "0.9 or less",
        "10000000 Pa or less",
    ]


def test_decimals_and_form_steps_come_from_the_resolution(compressor):
    assert {name: (compressor.decimals(name), compressor.step(name)) for name in compressor.sensor_names} == {
        "clearance_m": (6, 1e-6),
        "inlet_pa": (0, 1000.0),  # without a resolution, a thousandth of the range or less
        "outlet_pa": (0, 100.0),
        "oil_degc": (1, 0.1),
        "vibration_mm_s": (2, 0.25),
        "strokes": (0, 1.0),
        "humidity": (3, 0.001),
    }


def test_rows_on_which_a_formula_fails_are_named_by_the_formula(compressor):
    table = random_readings(compressor, 4)
    table.loc[0, ["inlet_pa", "outlet_pa"]] = 50_000.0
    table.loc[1, "outlet_pa"] = 700_000.0
    table.loc[1, "inlet_pa"] = 0.0
    faults = compressor.formula_faults(table)
    assert {name: np.flatnonzero(rows).tolist() for name, rows in faults.items()} == {
        "inverse_rise": [0],
        "ratio": [1],
        # `stress` uses `ratio`, which is not finite: the fault is that of `ratio`.
    }


def test_a_missing_value_is_no_fault_of_a_formula(machine, readings):
    assert not set(machine.formula_faults(readings)) - {"inverse_rise"}


def test_examples_can_be_scored(machine):
    for example in machine.description.examples.values():
        values = machine.values_of(example.reading)
        assert all(math.isfinite(values[name]) for name in machine.required_sensor_names)
        assert machine.exceeded_limit_codes({name: [values[name]] for name in machine.input_names}).shape == (1,)


def test_every_name_and_label_is_a_header_of_its_column(machine):
    for name, column in machine.columns.items():
        for header in (name, name.upper(), *column.headers):
            assert machine.match_headers([header]).columns == {name: (header, 1.0, 0.0)}
    assert set(machine.match_headers(machine.columns).columns) == set(machine.columns)


@pytest.mark.parametrize(
    ("header", "name", "conversion"),
    [
        ("gap [µm]", "clearance_m", (1e-6, 0.0)),
        ("Gap (mm)", "clearance_m", (0.001, 0.0)),
        ("p1 [bar]", "inlet_pa", (100_000.0, 0.0)),
        ("P2_kPa", "outlet_pa", (1000.0, 0.0)),
        ("oil [K]", "oil_degc", (1.0, -273.15)),
        ("oil [°F]", "oil_degc", (5 / 9, -32 * 5 / 9)),
        ("vibration_mm_s [m/s]", "vibration_mm_s", (1000.0, 0.0)),
        ("strokes [stroke]", "strokes", (1.0, 0.0)),
    ],
)
def test_a_unit_in_a_header_is_converted_to_the_canonical_unit(compressor, header, name, conversion):
    assert compressor.match_headers([header]).columns == {name: (header, *conversion)}


def test_an_unknown_unit_in_a_header_is_an_error_that_lists_the_known_ones(compressor):
    with pytest.raises(SourceError) as refused:
        compressor.match_headers(["p1 [atm]"])
    assert str(refused.value) == (
        "column 'p1 [atm]': unknown unit 'atm' for inlet_pa; known units: pa, hpa, kpa, mpa, bar, mbar, psi"
    )


def test_a_missing_column_is_described_with_a_valid_header(compressor):
    text = compressor.describe_missing(["inlet_pa", "humidity"], ["Inlet presure", "x"])
    assert text == (
        "no column for inlet_pa (a header such as 'p1 [Pa]'; the closest header is 'Inlet presure')\n"
        "no column for humidity (a header such as 'Humidity')"
    )


def test_the_header_that_is_suggested_for_a_missing_column_is_valid(machine):
    for column in machine.columns.values():
        assert machine.match_headers([column.example_header]).missing([column.name]) == []


def test_a_range_reason_keeps_the_digits_of_large_numbers(compressor):
    narrower = compressor.adjusted(ranges={"inlet_pa": (20_000, 1_234_567)})
    assert narrower.range_reason("inlet_pa") == "outside of the physical limits 20000 to 1234567 Pa"
    assert compressor.range_reason("humidity") == "outside of the physical limits 0 to 1"


def test_a_machine_without_categories_id_machine_and_time_has_no_such_columns(compressor):
    assert list(compressor.columns) == [*compressor.sensor_names, "broken"]
    assert compressor.input_names == compressor.sensor_names
    assert compressor.mode_names == ()


def test_names_and_labels_cover_every_column_and_feature(machine):
    assert set(machine.labels) == set(machine.columns) | set(machine.feature_names)


CATEGORIES = """
name: press
model_name: press
categories:
  plant: {label: Plant, values: [north, south]}
  alloy: {label: Alloy, values: [A, B], unseen: other}
sensors:
  force_n: {label: Force, unit: N, range: [0, 5000]}
operating_limits:
  - {name: force, label: Force, measure: force_n, maximum: {A: 100, B: 200, other: 50}, by: alloy, action: stop}
label: {column: failed}
"""


@pytest.fixture(scope="module")
def press():
    """A machine with two categories, one of which accepts values that are not listed."""
    return parse_machine(CATEGORIES)


def test_a_category_is_encoded_by_position_and_an_unseen_value_as_the_description_says(press):
    table = {"plant": ["south", "west", "north"], "alloy": ["A", "Z", None], "force_n": [60.0, 60.0, 40.0]}
    matrix = press.feature_matrix(table)
    np.testing.assert_array_equal(matrix, np.float32([[1, 0, 60], [np.nan, 2, 60], [0, 2, 40]]))
    assert press.exceeded_limit_codes(table).tolist() == [0, 1, 0]


def test_an_unseen_value_in_one_reading_is_refused_or_counts_as_other(press):
    assert press.values_of({"plant": "north", "alloy": "Z", "force_n": 60.0})["alloy_code"] == 2
    assert [limit.name for limit in press.exceeded_limits({"plant": "north", "alloy": "Z", "force_n": 60.0})] == [
        "force"
    ]
    with pytest.raises(DataError) as refused:
        press.values_of({"plant": "west", "alloy": "A", "force_n": 60.0})
    assert str(refused.value) == "plant is 'west', not one of north, south"


def test_the_allowed_values_by_category_list_each_value(press):
    assert press.limits[0].allowed == "100 N for A, 200 N for B, 50 N for other or less"


def test_a_machine_can_be_an_artifact_of_a_step(machine, readings):
    copy = pickle.loads(pickle.dumps(machine))
    assert copy.description == machine.description
    assert copy.feature_matrix(readings).tobytes() == machine.feature_matrix(readings).tobytes()
