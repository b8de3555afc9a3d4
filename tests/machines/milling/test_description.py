"""The milling machine's description gives what was once written in code, bit for bit.

The functions of this file repeat that code: features, limits, margins, texts and unit conversions.
"""

import math

import numpy as np
import pytest

from app.schemas.reading import ReadingSchema
from machines.milling.simulator import simulate
from predictive_maintenance.machine.limits import ExceededLimit, LimitMargin
from predictive_maintenance.machine.machine_json import to_json
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.machines import random_readings

MILLING_READING = ReadingSchema(MILLING)

STRAIN_LIMITS = {"L": 11_000.0, "M": 12_000.0, "H": 13_000.0}


def former_features(rows):
    """(n, 9) float32, with numpy's arithmetic."""
    air, process, speed, torque, wear = (rows[name].to_numpy() for name in MILLING.sensor_names)
    columns = [
        rows["product_type"].map({"L": 0, "M": 1, "H": 2}), air, process, speed, torque, wear,
        np.round(torque * speed * (2 * math.pi / 60), 1), np.round(process - air, 1), np.round(wear * torque, 1),
    ]  # fmt: skip
    return np.column_stack(columns).astype(np.float32) + np.float32(0)


def former_margins(reading):
    """(margin, action, allowed) of each limit."""

    def rounded(value):
        return round(value * 10) / 10

    power = rounded(reading["torque_nm"] * reading["rotational_speed_rpm"] * (2 * math.pi / 60))
    difference = rounded(reading["process_temperature_k"] - reading["air_temperature_k"])
    strain = rounded(reading["tool_wear_min"] * reading["torque_nm"])
    wear, speed, most_strain = (
        reading["tool_wear_min"],
        reading["rotational_speed_rpm"],
        STRAIN_LIMITS[reading["product_type"]],
    )
    rules = [
        ("heat_dissipation", "Heat dissipation", "minimum", difference, 8.6, "K", speed < 1380, difference < 8.6 and speed < 1380,
         "8.6 K or more between process and air, or 1380 rpm or more", "improve the cooling or run at 1380 rpm or more"),
        ("power", "Power", "minimum", power, 3500.0, "W", True, power < 3500, "3500 W or more", "raise torque or speed"),
        ("power", "Power", "maximum", power, 9000.0, "W", True, power > 9000, "9000 W or less", "lower torque or speed"),
        ("strain", "Strain", "maximum", strain, most_strain, "min Nm", True, strain > most_strain,
         "11000 min Nm for L, 12000 min Nm for M, 13000 min Nm for H or less", "replace the tool or lower the torque"),
        ("tool_wear", "Tool wear", "maximum", wear, 200.0, "min", True, wear >= 200,
         "less than 200 min: from then on a tool can fail at any time", "replace the tool"),
    ]  # fmt: skip
    for name, label, side, measured, bound, unit, applies, broken, allowed, action in rules:
        margin = rounded(measured - bound if side == "minimum" else bound - measured)
        yield (
            LimitMargin(
                name=name, label=label, side=side, measured=measured, bound=bound, margin=margin, unit=unit,
                applies=applies, broken=broken,
            ),
            ExceededLimit(name=name, label=label, measured=measured, unit=unit, allowed=allowed, action=action),
        )  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """Simulated readings and readings over the whole ranges of the sensors."""
    simulated = simulate(4000, seed=11)[list(MILLING.input_names)]
    anywhere = random_readings(MILLING, 4000)
    return {"simulated": simulated, "anywhere": anywhere[list(MILLING.input_names)]}


@pytest.mark.parametrize("kind", ["simulated", "anywhere"])
def test_the_feature_matrix_is_the_same(rows, kind):
    assert MILLING.feature_names == (
        "product_type_code", "air_temperature_k", "process_temperature_k", "rotational_speed_rpm", "torque_nm", "tool_wear_min",
        "power_w", "temperature_difference_k", "strain_min_nm",
    )  # fmt: skip
    matrix = MILLING.feature_matrix(rows[kind])
    np.testing.assert_array_equal(matrix.view(np.uint32), former_features(rows[kind]).view(np.uint32))


@pytest.mark.parametrize("kind", ["simulated", "anywhere"])
def test_limits_margins_and_texts_are_the_same(rows, kind):
    seen = set()
    codes = MILLING.exceeded_limit_codes(rows[kind])
    assert codes.dtype == np.uint8
    for code, reading in zip(codes, rows[kind].to_dict("records"), strict=True):
        margins, limits = zip(*former_margins(reading), strict=True)
        exceeded = [limit for margin, limit in zip(margins, limits, strict=True) if margin.broken]
        # repr compares types and every digit.
        assert repr(MILLING.limit_margins(reading)) == repr(list(margins))
        assert repr(MILLING.exceeded_limits(reading)) == repr(exceeded)
        assert code == sum(margin.broken << bit for bit, margin in enumerate(margins))
        seen |= {limit.action for limit in exceeded}
    assert len(seen) == 5


def test_the_units_of_headers_are_converted_by_the_same_numbers():
    fahrenheit = (5 / 9, 273.15 - 32 * 5 / 9)
    temperature = {
        "k": (1.0, 0.0), "kelvin": (1.0, 0.0), "c": (1.0, 273.15), "degc": (1.0, 273.15), "celsius": (1.0, 273.15),
        "f": fahrenheit, "degf": fahrenheit, "fahrenheit": fahrenheit,
    }  # fmt: skip
    expected = {
        "air_temperature_k": temperature,
        "process_temperature_k": temperature,
        "rotational_speed_rpm": {"rpm": (1.0, 0.0), "1min": (1.0, 0.0), "umin": (1.0, 0.0), "1s": (60.0, 0.0), "hz": (60.0, 0.0)},
        "torque_nm": {"nm": (1.0, 0.0), "knm": (1000.0, 0.0), "ncm": (0.01, 0.0)},
        "tool_wear_min": {"min": (1.0, 0.0), "minutes": (1.0, 0.0), "s": (1 / 60, 0.0), "h": (60.0, 0.0), "hours": (60.0, 0.0)},
    }  # fmt: skip
    # repr compares the order, too: a message lists the known units.
    assert repr({column.name: dict(column.units) for column in map(MILLING.columns.get, MILLING.sensor_names)}) == repr(
        expected
    )


def test_the_columns_are_the_same():
    assert list(MILLING.columns) == [
        "reading_id", "machine_id", "timestamp", "product_type", *MILLING.sensor_names, "machine_failure", "tool_wear_failure",
        "heat_dissipation_failure", "power_failure", "overstrain_failure", "random_failure",
    ]  # fmt: skip
    assert MILLING.description.categories["product_type"].values == ("L", "M", "H")


def test_params_yaml_trains_the_milling_machine_and_names_its_model(params):
    assert params.machine.description == MILLING.description
    assert params.registry.model_name == params.registry.experiment == "predictive_maintenance"


def test_the_examples_are_those_of_the_api():
    readings = {name: reading for name, (_, reading) in MILLING_READING.examples.items()}
    assert readings == {
        "healthy": {
            "reading_id": "M14860", "product_type": "M", "air_temperature_k": 298.1, "process_temperature_k": 308.6,
            "rotational_speed_rpm": 1551.0, "torque_nm": 42.8, "tool_wear_min": 0.0,
        },
        "overstrained": {
            "reading_id": "L47257", "product_type": "L", "air_temperature_k": 298.8, "process_temperature_k": 308.9,
            "rotational_speed_rpm": 1455.0, "torque_nm": 61.3, "tool_wear_min": 208.0,
        },
    }  # fmt: skip


def test_the_copy_in_the_package_is_that_of_the_description(machines):
    assert to_json(MILLING) == to_json(machines["milling"])
