"""Labels of machines that run to failure, and rows with features from earlier readings."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.errors import DataError
from predictive_maintenance.training.labelling import Labels, label, labelled_rows
from predictive_maintenance.training.splits import split
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
