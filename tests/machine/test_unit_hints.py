"""The likely unit of values that are outside of a sensor's range."""

import pytest

from predictive_maintenance.machine.header_matching import header_key, header_without_unit
from predictive_maintenance.machine.unit_hints import _SPELLINGS, conversion_hint, likely_units


@pytest.mark.parametrize(
    ("name", "limits", "values", "units"),
    [
        ("air_temperature_k", (230, 350), (21.0, 29.0), ("°C", "°F")),
        ("air_temperature_k", (230, 350), (80.0, 100.0), ("°F",)),
        ("air_temperature_k", (295, 305), (25.0, 25.0), ("°C",)),
        ("air_temperature_k", (230, 350), (-500.0, 29.0), ()),
        ("torque_nm", (0, 500), (4000.0, 7000.0), ("Ncm",)),
        ("torque_nm", (0, 500), (-3.0, -1.0), ()),
        ("tool_wear_min", (0, 2000), (5000.0, 9000.0), ("s",)),
    ],
)
def test_a_likely_unit_has_all_values_within_the_range(machines, name, limits, values, units):
    assert likely_units(machines["milling"].columns[name], limits, *values) == units


@pytest.mark.parametrize(
    ("name", "values", "units"),
    [
        ("inlet_pa", (1.0, 7.0), ("bar",)),
        ("inlet_pa", (900.0, 1100.0), ("hPa", "kPa")),
        ("clearance_m", (100.0, 300.0), ("µm",)),
        ("strokes", (-5.0, -1.0), ()),
        ("humidity", (40.0, 60.0), ()),
    ],
)
def test_units_are_those_of_the_described_sensor(compressor, name, values, units):
    limits = compressor.description.sensors[name].range
    assert likely_units(compressor.columns[name], limits, *values) == units


def test_the_canonical_unit_is_suggested_for_values_that_are_in_it(machines):
    column = machines["milling"].columns["air_temperature_k"]
    assert likely_units(column, (230, 350), 290.0, 300.0) == ("K",)


def test_one_value_gets_a_hint_only_if_it_is_usual_in_another_unit(compressor):
    column = compressor.columns["inlet_pa"]
    assert conversion_hint(column, (90_000, 120_000), 1.1) == "; it looks like bar: convert it to Pa"
    assert conversion_hint(column, (90_000, 120_000), 3.0) == ""
    assert conversion_hint(column, None, 1.1) == ""
    assert conversion_hint(compressor.columns["humidity"], (0.2, 0.8), 40.0) == ""


def test_a_spelling_is_recognised_in_a_header(machine):
    keys = [header_key(unit) for unit in _SPELLINGS]
    assert len(set(keys)) == len(keys)
    for column in machine.columns.values():
        for unit in _SPELLINGS:
            if header_key(unit) in column.units:
                matched = machine.match_headers([f"{column.example_header} [{unit}]"])
                assert matched.columns[column.name][1:] == column.units[header_key(unit)]


@pytest.mark.parametrize(
    ("name", "header", "without"),
    [
        ("inlet_pa", "P1 [bar]", "P1"),
        ("inlet_pa", "p1", "p1"),
        ("inlet_pa", "inlet_pa", "p1"),
        ("humidity", "Humidity", "Humidity"),
    ],
)
def test_a_header_without_its_unit_is_valid(compressor, name, header, without):
    assert header_without_unit(compressor.columns[name], header) == without
    assert name in compressor.match_headers([without]).columns
