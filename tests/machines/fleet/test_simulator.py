"""The simulated tables of a fleet agree with each other, look like those of a plant, and depend on the arguments only."""

import numpy as np
import pandas as pd
import pytest

from machines.fleet.simulator import simulate_tables
from predictive_maintenance.config.machine_extras import simulator_named
from predictive_maintenance.errors import ConfigError

DAY = pd.Timedelta("1d")
START = pd.Timestamp("2025-01-01", tz="UTC")


@pytest.fixture(scope="module")
def fleet():
    """The tables of 40 pumps over a year."""
    return simulate_tables(machines=40, days=365, seed=11)


@pytest.fixture(scope="module")
def repairs(fleet):
    """The failures, each with the next replacement of the failed component; without those whose repair has not ended."""
    replaced = fleet["maintenance"].assign(replaced=fleet["maintenance"]["timestamp"])
    found = pd.merge_asof(
        fleet["failures"].sort_values("timestamp"),
        replaced.sort_values("timestamp"),
        on="timestamp",
        by=["machine_id", "component"],
        direction="forward",
        allow_exact_matches=False,
    )
    return found[found["timestamp"] < START + 362 * DAY]


def of_machine(tables, name, machine_id):
    rows = tables[name]
    return rows[rows["machine_id"] == machine_id].reset_index(drop=True)


def test_the_arguments_determine_the_tables():
    first, again = simulate_tables(3, 60, seed=5), simulate_tables(3, 60, seed=5)
    for name, rows in first.items():
        pd.testing.assert_frame_equal(again[name], rows, check_exact=True)


def test_another_seed_gives_other_machines():
    columns = ["flow_m3_h", "motor_current_a"]
    seeds = [simulate_tables(4, 30, seed=seed) for seed in (5, 6)]
    first_values = [
        tuple(of_machine(tables, "readings", f"P00{number}")[columns].iloc[:20].to_numpy().ravel())
        for tables in seeds
        for number in range(1, 5)
    ]
    assert len(set(first_values)) == 8


def test_a_machine_does_not_depend_on_the_number_of_machines(fleet):
    few = simulate_tables(machines=2, days=365, seed=11)
    for name, rows in few.items():
        assert rows["machine_id"].unique().tolist() == ["P001", "P002"]
        same = fleet[name][fleet[name]["machine_id"] <= "P002"].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, same, check_exact=True)


def test_rows_after_the_stated_days_are_left_out(fleet):
    end = START + 200 * DAY
    for name, rows in simulate_tables(machines=40, days=365, seed=11, until=200).items():
        same = (
            fleet[name][fleet[name]["timestamp"] < end].reset_index(drop=True) if "timestamp" in rows else fleet[name]
        )
        pd.testing.assert_frame_equal(rows, same, check_exact=True)
        assert len(rows) < len(fleet[name]) or name == "machines"


def test_the_stated_days_are_an_option_of_the_source():
    assert simulator_named("fleet").options == ("machines", "days", "seed", "until")


def test_machines_vary_independently(fleet):
    readings = fleet["readings"].assign(hour=fleet["readings"]["timestamp"].dt.floor("h"))
    current = readings.pivot_table(index="hour", columns="machine_id", values="motor_current_a")
    changes = current.diff(7 * 24)  # without the cycles of a day and a week, which all share
    correlation = changes.iloc[:, :10].corr().to_numpy()[np.triu_indices(10, k=1)]
    assert np.abs(correlation).max() < 0.35
    assert abs(np.median(correlation)) < 0.1


def test_the_tables_have_the_documented_columns(fleet):
    assert {name: list(rows) for name, rows in fleet.items()} == {
        "readings": [
            "machine_id",
            "timestamp",
            "flow_m3_h",
            "discharge_pressure_bar",
            "vibration_mm_s",
            "bearing_temperature_c",
            "motor_current_a",
        ],
        "errors": ["machine_id", "timestamp", "error"],
        "maintenance": ["machine_id", "timestamp", "component"],
        "failures": ["machine_id", "timestamp", "component"],
        "machines": ["machine_id", "model", "rated_power_kw", "age_years"],
    }
    assert fleet["machines"]["machine_id"].tolist() == [f"P{number:03d}" for number in range(1, 41)]


def test_columns_have_the_same_types_in_a_table_without_rows(fleet):
    short = next(tables for seed in range(20) if (tables := simulate_tables(1, 30, seed=seed))["failures"].empty)
    for name in short:
        assert short[name].dtypes.to_dict() == fleet[name].dtypes.to_dict()


@pytest.mark.parametrize("name", ["readings", "errors", "maintenance", "failures"])
def test_rows_are_of_known_machines_in_time_order_and_end_with_the_simulation(fleet, name):
    rows = fleet[name]
    assert set(rows["machine_id"]) <= set(fleet["machines"]["machine_id"])
    assert not rows.duplicated(["machine_id", "timestamp", *rows.columns[2:3]]).any()
    assert rows["timestamp"].lt(START + 365 * DAY).all()
    assert rows["machine_id"].is_monotonic_increasing
    assert rows.groupby("machine_id")["timestamp"].is_monotonic_increasing.all()


def test_errors_and_failures_are_not_before_the_first_reading(fleet):
    first = fleet["readings"].groupby("machine_id")["timestamp"].min()
    for name in ("errors", "failures"):
        assert (fleet[name]["timestamp"] > fleet[name]["machine_id"].map(first) - pd.Timedelta("15min")).all()


def test_maintenance_goes_back_to_the_last_replacement_before_the_first_reading(fleet):
    first = fleet["readings"].groupby("machine_id")["timestamp"].min()
    maintenance = fleet["maintenance"]
    earlier = maintenance[maintenance["timestamp"] < maintenance["machine_id"].map(first)]
    assert len(earlier) > 80
    assert not earlier.duplicated(["machine_id", "component"]).any()
    assert earlier["timestamp"].gt(START - 600 * DAY).all()


def test_readings_are_hourly_with_jitter_delays_and_gaps(fleet):
    for _, times in fleet["readings"].groupby("machine_id")["timestamp"]:
        steps_s = times.diff().dt.total_seconds().dropna()
        assert steps_s.median() == pytest.approx(3600, abs=5)
        assert steps_s.min() > 0
        assert 3 < steps_s[steps_s.between(3500, 3700)].std() < 30
        assert 0.02 < (steps_s.between(3700, 4600)).mean() < 0.04
        assert (steps_s > 2 * 3600).sum() >= 3


def test_some_machines_start_late(fleet):
    late = fleet["readings"].groupby("machine_id")["timestamp"].min() > START + 2 * DAY
    assert 0 < late.mean() < 0.3


def test_values_are_rounded_and_only_vibration_is_sometimes_missing(fleet):
    sensors = fleet["readings"].drop(columns=["machine_id", "timestamp"])
    for name, decimals in {
        "flow_m3_h": 1,
        "discharge_pressure_bar": 2,
        "vibration_mm_s": 2,
        "motor_current_a": 1,
    }.items():
        assert sensors[name].round(decimals).equals(sensors[name])
        assert sensors[name].nunique() > 10**decimals
    missing = sensors.isna().mean()
    assert 0.005 < missing.pop("vibration_mm_s") < 0.03
    assert (missing == 0).all()


def test_values_are_plausible_for_a_pump(fleet):
    sensors = fleet["readings"].drop(columns=["machine_id", "timestamp"]).dropna()
    assert sensors.min().gt([5, 2, 0.3, 20, 5]).all()
    assert sensors.max().lt([130, 12, 30, 120, 100]).all()


def test_machines_fail_two_to_five_times_a_year(fleet):
    machine_years = len(fleet["readings"]) / (365 * 24)
    assert 2 < len(fleet["failures"]) / machine_years < 5
    assert set(fleet["failures"]["component"]) == {"bearing", "seal", "impeller", "motor_winding"}


def test_the_failed_component_is_replaced_at_the_end_of_the_repair(repairs):
    duration_h = (repairs["replaced"] - repairs["timestamp"]).dt.total_seconds() / 3600
    assert len(repairs) > 60
    assert duration_h.between(3, 60).all()
    assert duration_h.std() > 2


def test_a_machine_has_no_readings_and_errors_while_it_is_repaired(fleet, repairs):
    for repair in repairs.itertuples():
        for name in ("readings", "errors"):
            times = of_machine(fleet, name, repair.machine_id)["timestamp"]
            assert not times.between(repair.timestamp, repair.replaced).any()
        times = of_machine(fleet, "readings", repair.machine_id)["timestamp"]
        assert times.between(repair.timestamp - 2 * DAY, repair.timestamp).any()
        assert times.between(repair.replaced, repair.replaced + 2 * DAY).any()


def test_planned_replacements_end_on_weekdays_in_the_daytime(fleet, repairs):
    done = fleet["maintenance"].merge(
        repairs[["machine_id", "replaced"]],
        how="left",
        left_on=["machine_id", "timestamp"],
        right_on=["machine_id", "replaced"],
    )
    planned = done.loc[done["replaced"].isna() & done["timestamp"].between(START, START + 362 * DAY), "timestamp"]
    assert len(planned) > 60
    assert planned.dt.weekday.lt(5).all()
    assert planned.dt.hour.between(6, 22).all()


def test_failures_lie_on_no_grid(repairs):
    seconds = repairs["timestamp"].astype("int64") // 10**6
    assert (seconds % 3600).nunique() > 0.9 * len(repairs)
    assert (seconds // 3600 % 24).nunique() == 24
    between_d = repairs.groupby(["machine_id", "component"])["timestamp"].diff().dropna() / DAY
    assert (between_d % 1).std() == pytest.approx(np.sqrt(1 / 12), rel=0.25)  # that of a uniform distribution
    assert between_d.std() > 30


def before_failures(fleet, component, sensor, from_days, to_days):
    """The mean of `sensor` from `from_days` to `to_days` before each failure of `component`; NaN if it was not read."""
    failures = fleet["failures"][fleet["failures"]["component"] == component]
    means = []
    for failure in failures.itertuples():
        readings = of_machine(fleet, "readings", failure.machine_id)
        left = (failure.timestamp - readings["timestamp"]) / DAY
        means.append(readings.loc[left.between(to_days, from_days), sensor].mean())
    return np.array(means)


@pytest.mark.parametrize(
    ("component", "sensor", "least", "most"),
    [
        ("bearing", "vibration_mm_s", 1.5, 4),
        ("bearing", "bearing_temperature_c", 1.1, 1.5),
        ("seal", "flow_m3_h", 0.8, 0.96),
        ("impeller", "discharge_pressure_bar", 0.8, 0.95),
        ("motor_winding", "motor_current_a", 1.04, 1.25),
        ("motor_winding", "bearing_temperature_c", 1.08, 1.5),
    ],
)
def test_wear_shows_in_the_last_day_before_most_failures_but_not_a_month_before(fleet, component, sensor, least, most):
    last_day = before_failures(fleet, component, sensor, 1, 0)
    month_before = before_failures(fleet, component, sensor, 40, 30)
    earlier = before_failures(fleet, component, sensor, 50, 40)
    assert least < np.nanmedian(last_day / month_before) < most
    assert np.nanmedian(month_before / earlier) == pytest.approx(1, abs=0.03)


def test_some_failures_come_without_warning(fleet):
    change = before_failures(fleet, "bearing", "vibration_mm_s", 1, 0) / before_failures(
        fleet, "bearing", "vibration_mm_s", 40, 30
    )
    assert 0.02 < np.nanmean(change < 1.15) < 0.35


@pytest.mark.parametrize(
    ("component", "error"), [("bearing", "high_vibration"), ("seal", "seal_leak"), ("motor_winding", "overcurrent")]
)
def test_errors_are_more_frequent_before_a_failure_but_at_no_fixed_interval(fleet, component, error):
    failures = fleet["failures"][fleet["failures"]["component"] == component]
    errors = fleet["errors"][fleet["errors"]["error"] == error].assign(error_time=fleet["errors"]["timestamp"])
    pairs = failures.merge(errors[["machine_id", "error_time"]], on="machine_id")
    left_d = (pairs["timestamp"] - pairs["error_time"]) / DAY
    per_day_before = left_d.between(0, 4).sum() / 4
    per_day_earlier = left_d.between(30, 60).sum() / 30
    assert per_day_before > 5 * per_day_earlier
    assert left_d[left_d.between(0, 4)].std() > 0.6


def test_nuisance_errors_are_as_frequent_before_a_failure_as_at_other_times(fleet):
    errors = fleet["errors"][fleet["errors"]["error"].isin(["communication_loss", "filter_dirty", "sensor_fault"])]
    pairs = fleet["failures"].merge(errors, on="machine_id", suffixes=("", "_error"))
    left_d = (pairs["timestamp"] - pairs["timestamp_error"]) / DAY
    assert left_d.between(0, 7).sum() / 7 == pytest.approx(left_d.between(20, 60).sum() / 40, rel=0.4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"machines": 0}, "machines is 0; it must be at least 1"),
        ({"days": 29}, "days is 29; it must be at least 30"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"until": 29}, "until is 29; it must be at least 30"),
    ],
)
def test_an_argument_that_is_too_small_is_an_error(arguments, message):
    with pytest.raises(ConfigError, match=message):
        simulate_tables(**({"machines": 1, "days": 30, "seed": 1} | arguments))
