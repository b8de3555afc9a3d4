"""The unit at the end of a header."""

import pytest

from predictive_maintenance.drafting.column_names import canonical_name
from predictive_maintenance.drafting.header_units import split_unit


@pytest.mark.parametrize(
    ("header", "text", "unit"),
    [
        ("Torque [Nm]", "Torque", "Nm"),
        ("pressure (bar)", "pressure", "bar"),
        ("oil_temp_c", "oil temp", "°C"),
        ("oilTempC", "oil Temp", "°C"),
        ("Temperatur [°C]", "Temperatur", "°C"),
        ("vibration_mm_s", "vibration", "mm/s"),
        ("load kN", "load", "kN"),
        ("Drehzahl [U/min]", "Drehzahl", "rpm"),
        ("tool_wear_min", "tool wear", "min"),
        ("response [ms]", "response", "ms"),
        ("humidity_pct", "humidity", "%"),
        ("flow (m³/h)", "flow", "m³/h"),
        ("current_a", "current", "A"),
        ("Vibration mm/s", "Vibration", "mm/s"),
        ("Humidity %", "Humidity", "%"),
        ("Oil temperature °C", "Oil temperature", "°C"),
    ],
)
def test_the_unit_is_split_from_the_text(header, text, unit):
    found = split_unit(header)
    assert (found.text, found.unit, found.doubt) == (text, unit, "")


@pytest.mark.parametrize("header", ["phase_a", "sensor_c", "group f", "torque_min", "sensor_m"])
def test_a_letter_that_may_be_a_unit_is_not_one_without_the_quantity(header):
    found = split_unit(header)
    assert found.unit == ""
    assert "No unit is set" in found.doubt


@pytest.mark.parametrize("header", ["Speed [raw]", "level (max)", "Torque [min]"])
def test_brackets_without_a_known_unit_are_doubtful(header):
    found = split_unit(header)
    assert found.unit == ""
    assert "no unit is set" in found.doubt


@pytest.mark.parametrize("header", ["pressure", "s", "Nm", "x (", "", "[bar]", "ratio (-)", "and/or", "on/off"])
def test_a_header_without_a_unit_has_none_and_no_doubt(header):
    found = split_unit(header)
    assert (found.unit, found.doubt) == ("", "")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Öldruck (bar)", "oeldruck_bar"),
        ("Température d'huile", "temperature_d_huile"),
        ("2nd stage", "column_2nd_stage"),
        ("class", "class_value"),
        ("timestamp", "timestamp_value"),
        ("pi", "pi_value"),
        ("\u6e29\u5ea6", "column"),
        ("oilTemp", "oil_temp"),
        ("x" * 200, "x" * 50),
    ],
)
def test_a_canonical_name_is_one_that_a_description_allows(header, name):
    assert canonical_name(header) == name


def test_a_taken_name_gets_a_number():
    assert canonical_name("load", ["load", "load_2"]) == "load_3"
