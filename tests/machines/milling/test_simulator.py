"""Simulated readings follow the published physics and depend on the seed only."""

import numpy as np
import pandas as pd
import pytest

from machines.milling.published_rules import WATTS_PER_NM_RPM
from machines.milling.simulator import simulate
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.validation.cleaning import validate


@pytest.fixture(scope="module")
def readings():
    return simulate(5000, seed=11)


def test_the_seed_determines_the_readings(readings):
    pd.testing.assert_frame_equal(simulate(5000, seed=11), readings)
    assert not simulate(5000, seed=12)["torque_nm"].equals(readings["torque_nm"])


def test_readings_have_canonical_column_names(readings):
    assert set(readings) == {"reading_id", *MILLING.input_names, *MILLING.binary_names}


def test_reading_ids_differ_within_and_between_seeds(readings):
    assert pd.concat([readings, simulate(100, seed=12)])["reading_id"].is_unique


@pytest.mark.parametrize("rows", [1, 2, 37])
def test_the_number_of_rows_is_the_requested_one(rows):
    frame = simulate(rows)
    assert len(frame) == rows
    assert np.isfinite(frame["air_temperature_k"]).all()


def test_every_reading_is_within_the_physical_limits(readings):
    assert validate(readings, [*MILLING.input_names, *MILLING.binary_names], MILLING).empty


def test_every_failure_mode_except_the_random_one_is_a_machine_failure(readings):
    explained = readings[[name for name in MILLING.mode_names if name != "random_failure"]].any(axis=1)
    assert (readings.loc[explained, "machine_failure"] == 1).all()


def test_a_power_failure_is_a_power_outside_3500_to_9000_watts(readings):
    power_w = readings["torque_nm"] * readings["rotational_speed_rpm"] * WATTS_PER_NM_RPM
    assert ((power_w < 3500) | (power_w > 9000)).eq(readings["power_failure"] == 1).all()
    assert readings["power_failure"].any()


def test_heat_dissipation_failures_need_low_speed_and_a_small_temperature_difference():
    readings = simulate(20_000, seed=11)
    failed = readings[readings["heat_dissipation_failure"] == 1]
    assert len(failed)
    assert (failed["rotational_speed_rpm"] < 1380).all()
    assert (failed["process_temperature_k"] - failed["air_temperature_k"]).round(1).le(8.6).all()


def test_tool_wear_depends_on_the_product_type_and_tools_are_replaced_between_200_and_260_min(readings):
    step = readings["tool_wear_min"].diff().shift(-1)[:-1]
    assert step[step > 0].groupby(readings["product_type"]).unique().map(list).to_dict() == {
        "H": [5],
        "L": [2],
        "M": [3],
    }
    last_of_life = readings["tool_wear_min"][:-1][step < 0]
    assert last_of_life.between(200, 260).all()


def test_the_shares_of_product_types_and_failures_are_those_of_the_real_file(readings):
    assert readings["product_type"].value_counts(normalize=True).round(1).to_dict() == {"L": 0.6, "M": 0.3, "H": 0.1}
    assert 0.02 < readings["machine_failure"].mean() < 0.06


def test_mean_and_deviation_of_the_sensors_are_close_to_the_real_ones(ai4i_csv):
    real = pd.read_csv(ai4i_csv)
    simulated = simulate(len(real))
    for name, header in (("torque_nm", "Torque [Nm]"), ("tool_wear_min", "Tool wear [min]")):
        assert simulated[name].mean() == pytest.approx(real[header].mean(), rel=0.05)
        assert simulated[name].std() == pytest.approx(real[header].std(), rel=0.05)
