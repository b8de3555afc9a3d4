"""Hashes of rows depend on the measured values or the id alone, and do not change between releases."""

import numpy as np
import pandas as pd
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.validation.row_identity import content_ids, hash_position, row_hashes
from tests.fixtures.machines import random_readings

READINGS = pd.DataFrame(
    {
        "machine_id": ["saw", "saw", "lathe"],
        "timestamp": pd.to_datetime(["2024-01-01T10:00Z", "2024-01-01T10:01Z", "2024-01-01T10:00Z"]),
        "product_type": ["L", "L", "M"],
        "air_temperature_k": [298.1, 298.1, 298.2],
        "process_temperature_k": [308.6, 308.6, 308.7],
        "rotational_speed_rpm": [1551.0, 1551.0, 1408.0],
        "torque_nm": [42.8, 42.8, 46.3],
        "tool_wear_min": [0.0, 0.0, 3.0],
        "machine_failure": [0.0, 1.0, 0.0],
    }
)
WITHOUT_MACHINE = READINGS.drop(columns="machine_id")
RECORDED = ["content:9dae404c6a720c2b", "content:295f338a55b41c6d", "content:c2408d27c7f20cca"]


def test_content_ids_are_the_recorded_ones():
    assert content_ids(WITHOUT_MACHINE, MILLING).tolist() == RECORDED


@pytest.mark.parametrize("name", [name for name in WITHOUT_MACHINE if name != "machine_failure"])
def test_a_content_id_depends_on_every_identifying_value(name):
    other = WITHOUT_MACHINE.copy()
    other[name] = other[name].to_numpy()[[2, 0, 1]] if name != "timestamp" else other[name] + pd.Timedelta("1ms")
    changed = content_ids(other, MILLING) != content_ids(WITHOUT_MACHINE, MILLING)
    assert changed[0]


@pytest.mark.parametrize(("name", "source"), [("machine_id", 2), ("timestamp", 1)])
def test_machine_and_time_identify_a_reading(name, source):
    other = READINGS.assign(**{name: READINGS[name].iloc[source]})
    assert (content_ids(other, MILLING) != content_ids(READINGS, MILLING))[0]


def test_where_machine_and_time_identify_a_reading_a_sensor_does_not_change_its_id():
    fewer = READINGS.drop(columns=["torque_nm", "tool_wear_min"])
    assert content_ids(fewer, MILLING).tolist() == content_ids(READINGS, MILLING).tolist()


def test_a_sensor_that_is_not_in_the_stated_identity_does_not_change_an_id(compressor):
    rows = random_readings(compressor, 50)
    stated = compressor.description.model_copy(update={"identity": ("clearance_m", "strokes")})
    machine = Machine(stated, compressor.conversions)
    others = rows.drop(columns=["oil_degc"]).assign(humidity=0.5)
    assert content_ids(rows, machine).tolist() == content_ids(others, machine).tolist()
    assert (content_ids(rows, compressor) != content_ids(others, compressor)).all()


def test_values_much_smaller_than_a_millionth_give_different_ids(compressor):
    rows = random_readings(compressor, 2).assign(clearance_m=[1e-5, 1.1e-5])
    rows = rows.assign(**{name: rows[name].iloc[0] for name in rows if name != "clearance_m"})
    assert content_ids(rows, compressor).is_unique
    assert not content_ids(rows, compressor).str.endswith(":2").any()


def test_swapped_values_give_another_content_id():
    swapped = WITHOUT_MACHINE.rename(
        columns={"air_temperature_k": "process_temperature_k", "process_temperature_k": "air_temperature_k"}
    )
    assert not set(content_ids(swapped, MILLING)) & set(content_ids(WITHOUT_MACHINE, MILLING))


def test_a_content_id_does_not_depend_on_the_label_or_the_failure_modes():
    corrected = READINGS.assign(machine_failure=1 - READINGS["machine_failure"], power_failure=1.0)
    assert content_ids(corrected, MILLING).tolist() == content_ids(READINGS, MILLING).tolist()


def test_a_content_id_does_not_depend_on_the_order_of_columns_and_rows():
    shuffled = READINGS[READINGS.columns[::-1]].iloc[[2, 0, 1]].reset_index(drop=True)
    assert content_ids(shuffled, MILLING).tolist() == content_ids(READINGS, MILLING)[[2, 0, 1]].tolist()


def test_a_content_id_does_not_depend_on_rounding_errors_of_a_unit_conversion():
    converted = WITHOUT_MACHINE.assign(air_temperature_k=(READINGS["air_temperature_k"] - 273.15) + 273.15 + 1e-9)
    assert content_ids(converted, MILLING).tolist() == content_ids(WITHOUT_MACHINE, MILLING).tolist()


def test_a_content_id_does_not_depend_on_the_resolution_of_times():
    seconds = READINGS.assign(timestamp=READINGS["timestamp"].dt.as_unit("s"))
    assert content_ids(seconds, MILLING).tolist() == content_ids(READINGS, MILLING).tolist()


def test_repeated_rows_of_a_file_have_numbered_content_ids():
    first, *_ = content_ids(READINGS, MILLING)
    repeated = pd.concat([READINGS.head(1)] * 3, ignore_index=True)
    assert content_ids(repeated, MILLING).tolist() == [first, f"{first}:2", f"{first}:3"]


def test_rows_with_missing_or_infinite_values_have_content_ids():
    bad = READINGS.assign(torque_nm=[np.nan, np.inf, -1e300], product_type=["L", None, "L"], timestamp=pd.NaT)
    assert content_ids(bad, MILLING).is_unique


def test_a_file_without_rows_has_no_content_ids():
    assert content_ids(READINGS.head(0), MILLING).tolist() == []


def test_hash_positions_are_the_recorded_ones():
    assert hash_position("tests||1") == 0.5249675563884302
    assert hash_position("tests|S\u00e4ge|7") == 0.28039343456187793


def test_hash_positions_are_uniformly_distributed():
    positions = np.array([hash_position(f"tests||{number}") for number in range(2000)])
    assert np.histogram(positions, bins=4, range=(0, 1))[0] == pytest.approx([500] * 4, abs=75)


def test_row_hashes_are_the_recorded_ones():
    assert row_hashes(["1", "S7-0000001"]).tolist() == [15289156711003816966, 17936170427820073665]


def test_a_row_hash_does_not_depend_on_the_other_rows():
    assert row_hashes(["a", "b", "a"])[2] == row_hashes(["a"])[0]
    assert row_hashes(pd.Series(["a"], dtype="str"))[0] == row_hashes(["a"])[0]


def test_row_hashes_of_many_readings_differ():
    assert len(np.unique(row_hashes(simulate(2000)["reading_id"]))) == 2000
