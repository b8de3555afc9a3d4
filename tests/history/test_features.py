"""The window features of a described machine: a table, one reading after the other, and the model's matrix."""

import numpy as np
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.history.features import needed_rows, window_columns
from predictive_maintenance.history.machine_rows import machine_bounds
from predictive_maintenance.machine.names import COUNTER, MACHINE_ID

DESCRIPTION = """
name: engine
model_name: engine
units: [cycle]
machine: {headers: [unit]}
time: {kind: counter, unit: cycle, headers: [cycle]}
sensors:
  t24: {label: Temperature, unit: K, range: [0, 1000]}
  ratio: {label: Ratio, range: [0, 1], required: false}
history: {windows: [5, 4 readings], statistics: [mean, std, slope, last_difference]}
FEATURES
label: {column: failed}
group: machine
"""
ENGINE = parse_machine(
    DESCRIPTION.replace("FEATURES", "features: {rise: {label: Rise, formula: t24 - t24_mean_5cycle}}")
)


@pytest.fixture
def table():
    random = np.random.default_rng(1)
    machines, times = np.repeat([3, 1, 2], [20, 1, 7]), np.concatenate([np.arange(20.0), [4.0], np.arange(7) * 2.5])
    sensors = {"t24": random.normal(500, 20, 28), "ratio": np.where(random.random(28) < 0.3, np.nan, random.random(28))}
    return machines, times, sensors


def test_one_reading_after_the_other_gives_the_bits_of_the_table(table):
    machines, times, sensors = table
    whole = window_columns(ENGINE, sensors, times, machine_bounds(machines), np.arange(28))
    assert list(whole) == list(ENGINE.window_features)
    for row in range(28):
        past = (machines == machines[row]) & (times <= times[row])
        own = {name: values[past] for name, values in sensors.items()}
        last = np.array([past.sum() - 1])
        one = window_columns(ENGINE, own, times[past], np.array([0, past.sum()]), last)
        assert {name: values.tobytes() for name, values in one.items()} == {
            name: values[[row]].tobytes() for name, values in whole.items()
        }


def test_a_window_longer_than_every_history_contains_all_earlier_readings(table):
    machines, times, sensors = table
    long = parse_machine(DESCRIPTION.replace("FEATURES", "").replace("[5, 4 readings]", "[100000, 1000 readings]"))
    found = window_columns(long, sensors, times, machine_bounds(machines), np.arange(28))
    for row in range(28):
        earlier = sensors["t24"][(machines == machines[row]) & (times <= times[row])]
        for window in ("100000cycle", "1000readings"):
            assert found[f"t24_mean_{window}"][row] == pytest.approx(earlier.mean())


def test_the_matrix_of_a_model_has_the_windows_and_formulas_that_use_them(table):
    machines, times, sensors = table
    columns = sensors | window_columns(ENGINE, sensors, times, machine_bounds(machines), np.arange(28))
    matrix = ENGINE.feature_matrix(columns)
    assert matrix.shape == (28, 2 + 2 * 2 * 4 + 1)
    np.testing.assert_array_equal(matrix[:, -1], np.float32(sensors["t24"] - columns["t24_mean_5cycle"]))
    assert columns["t24_mean_5cycle"][4] == pytest.approx(sensors["t24"][:5].mean())


def test_a_matrix_without_the_windows_is_an_error_not_a_guess(table):
    with pytest.raises(KeyError):
        ENGINE.feature_matrix(table[2])


def without_windows(history, more=""):
    windows = "windows: [5, 4 readings], statistics: [mean, std, slope, last_difference]"
    return parse_machine(DESCRIPTION.replace(windows, history).replace("FEATURES\n", more))


COUNTER_ONLY = without_windows("time_since_start: true")
EVENTS_ONLY = without_windows("events: {errors: {count_over: [5]}}", "events: {errors: {label: Errors}}\n")


@pytest.mark.parametrize("machine", [COUNTER_ONLY, EVENTS_ONLY], ids=["counter", "events"])
def test_without_windows_a_row_needs_no_other_row(table, machine):
    machines, times, sensors = table
    columns = {MACHINE_ID: machines.astype(str).astype(object), COUNTER: times} | sensors
    rows = np.array([2, 5, 21])
    assert needed_rows(machine, columns, rows).tolist() == rows.tolist()
    assert {2, 5, 21} < set(needed_rows(ENGINE, columns, rows).tolist())
