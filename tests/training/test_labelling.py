"""Labels of machines that run to failure, and rows with features from earlier readings."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.labels import AFTER_FAILURE, CENSORED, DOES_NOT_FAIL, FAILS
from predictive_maintenance.training.labelling import Labels, label, labelled_rows
from predictive_maintenance.training.splits import split
from tests.fixtures.pumps import pump, pump_tables
from tests.fixtures.run_to_failure import engine, engine_without_value, runs_to_failure

ENGINE = engine()
HORIZON = pd.Timedelta("24h")


@pytest.fixture
def readings() -> pd.DataFrame:
    return runs_to_failure(6)


def test_a_reading_is_a_failure_within_the_horizon_before_the_machines_last_reading(readings):
    left = readings.groupby("machine_id")["timestamp"].transform("max") - readings["timestamp"]
    np.testing.assert_array_equal(label(readings, ENGINE).values, (left <= HORIZON).astype("int8"))


def test_a_horizon_longer_than_every_run_is_an_error_with_the_way_out(readings):
    brief = readings[label(readings, ENGINE).failed]
    with pytest.raises(DataError, match=r"the horizon 24 h is longer than the readings of every machine: .* shorten"):
        label(brief, ENGINE)


def test_a_label_that_is_a_column_is_taken_as_it_is(small):
    frame, machine = small.rows.train, small.params.machine
    assert (label(frame, machine).values == frame[machine.label_name]).all()


def features_before(
    instant: pd.Timestamp, readings: pd.DataFrame, make: Callable[[pd.DataFrame], pd.DataFrame]
) -> bytes:
    """The features of the readings up to `instant`, bit by bit."""
    made = make(readings).sort_values(["machine_id", "timestamp"])
    past = made[made["timestamp"] <= instant]
    return (
        past[[name for name in made if name not in ("timestamp", "machine_id", "fails_soon")]].to_numpy(float).tobytes()
    )


def changes_with_the_future(readings: pd.DataFrame, make: Callable[[pd.DataFrame], pd.DataFrame]) -> bool:
    """Whether a feature changes when all later readings change, end, or get another machine beside them."""
    instant = readings["timestamp"].quantile(0.6)
    later = readings["timestamp"] > instant
    other_values = readings.assign(
        heat=readings["heat"].where(~later, 900.0), ratio=readings["ratio"].where(~later, -4.0)
    )
    known = features_before(instant, readings, make)
    futures = (other_values, readings[~later], pd.concat([readings, readings[later].assign(machine_id="new")]))
    return any(features_before(instant, future, make) != known for future in futures)


def shipped(readings: pd.DataFrame) -> pd.DataFrame:
    labels = Labels(np.zeros(len(readings), dtype=np.int8))  # labels do depend on the future
    return labelled_rows(readings.reset_index(drop=True), labels, ENGINE).frame


def leaking(readings: pd.DataFrame) -> pd.DataFrame:
    """The shipped features and a centred mean, which sees one later reading."""
    made = shipped(readings).sort_values(["machine_id", "timestamp"])
    centred = made.groupby("machine_id")["heat"].rolling(3, center=True, min_periods=1).mean()
    return made.assign(leak=centred.to_numpy())


def test_no_feature_depends_on_anything_later_than_its_reading(readings):
    assert not changes_with_the_future(readings, shipped)


def test_the_test_of_the_future_finds_a_planted_leak(readings):
    assert changes_with_the_future(readings, leaking)


def test_a_row_without_a_value_of_a_formula_is_counted_and_only_history(readings):
    machine = engine_without_value()
    made = labelled_rows(readings, label(readings, machine), machine)
    firsts = int((made.unlabelled["heat"] == made.unlabelled["heat_mean_12h"]).sum())
    assert firsts == len(made.unlabelled) >= 6  # at least the first reading of each machine
    assert made.reasons == {"the formula of rise has no finite value": firsts}
    every = pd.concat([made.frame, made.unlabelled]).sort_values(["machine_id", "timestamp"])
    expected = labelled_rows(readings, label(readings, ENGINE), ENGINE).frame.sort_values(["machine_id", "timestamp"])
    assert every["heat_mean_12h"].tolist() == expected["heat_mean_12h"].tolist()


def test_the_machines_of_the_two_sides_differ(readings, engine_params):
    many = runs_to_failure(40).assign(source_index=0, reading_id=[str(row) for row in range(len(runs_to_failure(40)))])
    made = labelled_rows(many, label(many, ENGINE), ENGINE)
    rows = split(made.frame, ENGINE, engine_params.split, seed=1, unlabelled=made.unlabelled)
    assert set(rows.train["machine_id"]).isdisjoint(rows.test["machine_id"])
    assert len(rows.train) + len(rows.test) == len(many)


PUMP = pump()
PUMP_COLUMNS = {"pump": "machine_id", "asset": "machine_id", "done": "timestamp", "code": "type", "part": "type"}


@pytest.fixture
def pumps() -> dict[str, pd.DataFrame]:
    tables = pump_tables(pumps=5, hours=300)
    named = {name: table.rename(columns=PUMP_COLUMNS) for name, table in tables.items()}
    return named | {"readings": named["readings"].assign(make="A", age=1.0)}


def test_a_reading_fails_within_the_horizon_before_a_failure_in_the_mode_of_the_next_one(pumps):
    frame, failures = pumps["readings"], pumps["failures"]
    labels = label(frame, PUMP, pumps)
    for row in range(len(frame)):
        machine, time = frame.loc[row, ["machine_id", "timestamp"]]
        own = failures[failures["machine_id"] == machine].sort_values("timestamp")
        ahead, past = own[own["timestamp"] > time], own[own["timestamp"] <= time]
        until = max(own["timestamp"].max(), frame["timestamp"][frame["machine_id"] == machine].max())
        if len(past) and time - past["timestamp"].max() < pd.Timedelta("3h"):
            expected = AFTER_FAILURE
        elif len(ahead) and ahead["timestamp"].iloc[0] - time <= HORIZON:
            expected = FAILS
        else:
            expected = DOES_NOT_FAIL if time + HORIZON <= until else CENSORED
        assert labels.values[row] == expected
        seal = expected == FAILS and ahead["type"].iloc[0] == "seal"
        assert (labels.modes["seal_failure"][row], labels.modes["bearing"][row]) == (
            seal,
            expected == FAILS and not seal,
        )


def test_rows_without_a_label_are_counted_by_reason_and_stay_history(pumps):
    labels = label(pumps["readings"], PUMP, pumps)
    made = labelled_rows(pumps["readings"], labels, PUMP, pumps)
    assert sum(made.reasons.values()) == len(made.unlabelled) > 0
    assert "at a failure, or shortly after it" in made.reasons
    assert set(made.frame["fails_soon"]) == {0, 1}
    assert (made.frame[["seal_failure", "bearing"]].sum(axis=1) == made.frame["fails_soon"]).all()


def test_no_failure_of_a_machine_with_readings_is_an_error(pumps):
    strangers = pumps["failures"].assign(machine_id="P99")
    with pytest.raises(DataError, match="the table failures has no failure of a machine with readings"):
        label(pumps["readings"], PUMP, pumps | {"failures": strangers})


def test_a_horizon_longer_than_the_data_is_an_error(pumps):
    first = pumps["readings"].sort_values("timestamp").groupby("machine_id").head(2)
    soon = pumps["failures"].assign(timestamp=pd.Timestamp("2024-01-01 12:00", tz="UTC"))
    with pytest.raises(DataError, match=r"the horizon 24 h is longer than .*: shorten label.failures.horizon"):
        label(first, PUMP, pumps | {"failures": soon})


def pump_features(tables: dict[str, pd.DataFrame], leak: bool = False) -> bytes:
    """The features of the readings in the first 100 hours, bit by bit."""
    labels = Labels(np.zeros(len(tables["readings"]), dtype=np.int8))
    made = labelled_rows(tables["readings"].reset_index(drop=True), labels, PUMP, tables).frame
    if leak:
        made = made.assign(leak=made["machine_id"].map(tables["errors"]["machine_id"].value_counts()))
    early = made[made["timestamp"] <= INSTANT].sort_values(["machine_id", "timestamp"])
    names = [name for name in early if name not in ("machine_id", "timestamp", "make")]
    return early[names].to_numpy(float).tobytes()


INSTANT = pd.Timestamp("2024-01-05 04:00", tz="UTC")


def futures(tables: dict[str, pd.DataFrame]) -> Iterator[dict[str, pd.DataFrame]]:
    """The tables with everything after the instant gone, later, or changed: readings, events and failures."""
    later = {name: table["timestamp"] > INSTANT for name, table in tables.items() if "timestamp" in table}
    yield {name: table[~later[name]] if name in later else table for name, table in tables.items()}
    yield {
        name: table.assign(timestamp=table["timestamp"] + pd.to_timedelta(5 * later[name], unit="h"))
        if name in later
        else table
        for name, table in tables.items()
    }
    readings = tables["readings"]
    yield tables | {"readings": readings.assign(flow=readings["flow"].where(~later["readings"], 1.0))}
    yield tables | {"errors": pd.concat([tables["errors"], tables["errors"][later["errors"]].assign(type="low flow")])}


def test_no_feature_depends_on_later_readings_events_or_failures(pumps):
    known = pump_features(pumps)
    assert all(pump_features(future) == known for future in futures(pumps))


def test_the_test_of_later_events_finds_a_planted_leak(pumps):
    known = pump_features(pumps, leak=True)
    assert any(pump_features(future, leak=True) != known for future in futures(pumps))
