"""Headers of published and local files match the same canonical columns."""

import pytest

from predictive_maintenance.errors import SourceError
from predictive_maintenance.machine.milling import MILLING


@pytest.mark.parametrize(
    ("header", "name", "conversion"),
    [
        ("Air temperature [K]", "air_temperature_k", (1.0, 0.0)),
        ("Air temperature", "air_temperature_k", (1.0, 0.0)),
        ("air_temperature_c", "air_temperature_k", (1.0, 273.15)),
        ("Process temperature [°C]", "process_temperature_k", (1.0, 273.15)),
        ("Process temperature (C)", "process_temperature_k", (1.0, 273.15)),
        ("Rotational speed [rpm]", "rotational_speed_rpm", (1.0, 0.0)),
        ("Rotational speed [1/min]", "rotational_speed_rpm", (1.0, 0.0)),
        ("TORQUE [Nm]", "torque_nm", (1.0, 0.0)),
        ("Tool wear [h]", "tool_wear_min", (60.0, 0.0)),
        ("Machine_failure", "machine_failure", (1.0, 0.0)),
        ("HDF", "heat_dissipation_failure", (1.0, 0.0)),
        ("UDI", "reading_id", (1.0, 0.0)),
        ("Type", "product_type", (1.0, 0.0)),
    ],
)
def test_a_header_is_recognised_with_and_without_unit(header, name, conversion):
    assert MILLING.match_headers([header]).columns[name] == (header, *conversion)


def test_every_canonical_name_is_a_valid_header():
    assert set(MILLING.match_headers(MILLING.columns).columns) == set(MILLING.columns)


def test_fahrenheit_is_converted():
    _, scale, offset = MILLING.match_headers(["Air temperature [°F]"]).columns["air_temperature_k"]
    assert 32 * scale + offset == pytest.approx(273.15)


def test_unknown_headers_are_listed_as_ignored():
    assert MILLING.match_headers(["Product ID", "Torque [Nm]"]).ignored == ("Product ID",)


def test_aliases_are_recognised():
    assert "torque_nm" in MILLING.match_headers(["Drehmoment"], {"torque_nm": ["Drehmoment"]}).columns


def test_two_headers_for_one_column_are_an_error():
    with pytest.raises(SourceError, match=r"'Torque' and 'torque_nm' both match torque_nm"):
        MILLING.match_headers(["Torque", "torque_nm"])


def test_an_unknown_unit_is_an_error():
    with pytest.raises(SourceError, match=r"unknown unit 'rankine' for air_temperature_k; known units: k, kelvin"):
        MILLING.match_headers(["Air temperature [Rankine]"])


def test_a_missing_column_is_described_with_the_closest_header():
    text = MILLING.describe_missing(["torque_nm"], ["Torqe", "other"])
    assert text == "no column for torque_nm (a header such as 'Torque [Nm]'; the closest header is 'Torqe')"
