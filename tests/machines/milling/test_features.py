"""Features are bit-identical for frames, arrays and single readings."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.machine.milling import MILLING, with_published_limit_margins

WITH_MARGINS = with_published_limit_margins(MILLING)
ALL = WITH_MARGINS.feature_names
PRODUCT_TYPES = MILLING.description.categories["product_type"].values
tenths = st.integers(2300, 4500).map(lambda tenth: tenth / 10)
reading = st.fixed_dictionaries(
    {
        "product_type": st.sampled_from(PRODUCT_TYPES),
        "air_temperature_k": tenths,
        "process_temperature_k": tenths | st.floats(230, 450),
        "rotational_speed_rpm": st.integers(0, 20_000).map(float),
        "torque_nm": st.integers(0, 5000).map(lambda tenth: tenth / 10) | st.floats(0, 500),
        "tool_wear_min": st.integers(0, 2000).map(float),
    }
)


@given(st.lists(reading, min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_frames_arrays_and_single_readings_give_identical_features(readings):
    frame = pd.DataFrame(readings)
    matrix = WITH_MARGINS.feature_matrix(frame, ALL)
    arrays = WITH_MARGINS.feature_matrix({name: frame[name].to_numpy() for name in frame}, ALL)
    columns = WITH_MARGINS.with_features(frame)
    np.testing.assert_array_equal(matrix, arrays)
    for row, values in enumerate(readings):
        numbers = values | {"product_type_code": float(PRODUCT_TYPES.index(values["product_type"]))}
        single = np.array([WITH_MARGINS.feature(numbers, name) for name in ALL], dtype=np.float32)
        np.testing.assert_array_equal(matrix[row], single)
    for name in ("power_w", "temperature_difference_k", "strain_min_nm"):
        np.testing.assert_array_equal(columns[name].to_numpy().astype(np.float32), matrix[:, ALL.index(name)])


def test_the_temperature_difference_is_rounded_to_the_resolution_of_the_sensors(ai4i_csv, read_rows):
    rows = read_rows(str(ai4i_csv))
    raw = rows["process_temperature_k"] - rows["air_temperature_k"]
    assert raw.nunique() > MILLING.with_features(rows)["temperature_difference_k"].nunique() == 46


def test_power_is_torque_times_angular_speed():
    one = pd.DataFrame([{"torque_nm": 60 / (2 * np.pi), "rotational_speed_rpm": 1000.0}])
    assert MILLING.feature(one, "power_w").iloc[0] == 1000.0


def test_margins_to_the_published_limits_are_off_by_default():
    assert not any("margin" in name for name in MILLING.feature_names)
    assert sum("margin" in name for name in ALL) == 3


def test_an_unknown_product_type_is_encoded_as_nan():
    frame = pd.DataFrame({"product_type": ["X", "H"], **{name: [1.0, 1.0] for name in ALL[1:6]}})
    codes = MILLING.feature_matrix(frame, ["product_type_code"])[:, 0]
    assert np.isnan(codes[0])
    assert codes[1] == 2
