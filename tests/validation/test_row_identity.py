"""A row without an id is known by what was measured, wherever it is written, and by nothing else."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.validation.row_identity import content_ids

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


def test_an_id_is_the_same_in_every_run_and_under_every_version_of_the_libraries():
    assert content_ids(READINGS).tolist() == [
        "content:40952f69c743cd19",
        "content:277b7c7bd8c533d5",
        "content:d79d56fc86a0c919",
    ]


@pytest.mark.parametrize("name", [name for name in READINGS if name != "machine_failure"])
def test_every_measured_cell_counts(name):
    other = READINGS.copy()
    other[name] = other[name].to_numpy()[[2, 0, 1]] if name != "timestamp" else other[name] + pd.Timedelta("1ms")
    changed = content_ids(other) != content_ids(READINGS)
    assert changed[0]


def test_values_that_change_places_make_another_id():
    swapped = READINGS.rename(
        columns={"air_temperature_k": "process_temperature_k", "process_temperature_k": "air_temperature_k"}
    )
    assert not set(content_ids(swapped)) & set(content_ids(READINGS))


def test_a_corrected_label_or_a_recorded_mode_keeps_the_id():
    corrected = READINGS.assign(machine_failure=1 - READINGS["machine_failure"], power_failure=1.0)
    assert content_ids(corrected).tolist() == content_ids(READINGS).tolist()


def test_the_order_of_columns_and_rows_does_not_matter():
    shuffled = READINGS[READINGS.columns[::-1]].iloc[[2, 0, 1]].reset_index(drop=True)
    assert content_ids(shuffled).tolist() == content_ids(READINGS)[[2, 0, 1]].tolist()


def test_what_a_conversion_of_units_loses_does_not_matter():
    converted = READINGS.assign(air_temperature_k=(READINGS["air_temperature_k"] - 273.15) + 273.15 + 1e-9)
    assert content_ids(converted).tolist() == content_ids(READINGS).tolist()


def test_the_resolution_of_times_does_not_matter():
    seconds = READINGS.assign(timestamp=READINGS["timestamp"].dt.as_unit("s"))
    assert content_ids(seconds).tolist() == content_ids(READINGS).tolist()


def test_repeats_within_a_file_are_numbered():
    first, *_ = content_ids(READINGS)
    thrice = pd.concat([READINGS.head(1)] * 3, ignore_index=True)
    assert content_ids(thrice).tolist() == [first, f"{first}:2", f"{first}:3"]


def test_cells_that_are_missing_or_beyond_any_number_still_have_an_id():
    bad = READINGS.assign(torque_nm=[np.nan, np.inf, -1e300], product_type=["L", None, "L"], timestamp=pd.NaT)
    assert content_ids(bad).is_unique


def test_a_file_without_rows_has_no_ids():
    assert content_ids(READINGS.head(0)).tolist() == []
