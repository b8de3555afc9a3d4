"""A model with features from earlier readings: a table in any order, one reading after the other, MLflow, damaged files."""

import json

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import DataError, ModelError
from predictive_maintenance.history.features import complete
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.tracking.packaging import package_version
from tests.fixtures.run_to_failure import DESCRIPTION, runs_to_failure

READING = {"heat": 510.0, "ratio": 0.5}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Readings of engines that are not in the training rows, in no order."""
    return runs_to_failure(5, seed=8)


def test_the_features_are_worth_something(small_engine):
    windows = [
        name for name in small_engine.params.machine.window_features if name in small_engine.scorer.spec.features
    ]
    assert len(windows) == 2 * 2 * 3
    assert small_engine.out_of_fold["pr_auc"].value > 0.8


def test_a_table_in_another_order_gets_the_same_bits(small_engine, table):
    ordered = table.sort_values(["machine_id", "timestamp"])
    probabilities = small_engine.scorer.probabilities(ordered)
    shuffled = small_engine.scorer.probabilities(table)
    assert pd.Series(probabilities, ordered.index).sort_index().to_numpy().tobytes() == shuffled.tobytes()


def test_one_reading_after_the_other_gets_the_bits_of_the_table(small_engine, table):
    known = pd.Series(small_engine.scorer.probabilities(table), table.index)
    for _, rows in table.groupby("machine_id"):
        readings = rows.sort_values("timestamp")
        records = readings.assign(timestamp=readings["timestamp"].dt.tz_localize(None)).to_dict("records")
        for place in (0, 1, 10, len(records) - 1):
            alone = small_engine.scorer.probability(records[place], records[:place])
            assert alone == known[readings.index[place]]


def test_a_reading_without_history_is_the_first_of_its_machine(small_engine, table):
    first = table.sort_values("timestamp").iloc[[0]]
    assert small_engine.scorer.probability(first.iloc[0].to_dict()) == small_engine.scorer.probabilities(first)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: rows.drop(columns="machine_id"),
            "missing column: machine_id; the test engine has features from the",
        ),
        (lambda rows: rows.drop(columns="timestamp"), "missing column: timestamp"),
        (
            lambda rows: rows.assign(machine_id=rows["machine_id"].where(rows.index != 4)),
            "row 5 has no machine_id: 1 of",
        ),
        (lambda rows: rows.assign(timestamp=rows["timestamp"].where(rows.index != 2)), "row 3 has no timestamp: 1 of"),
        (
            lambda rows: pd.concat([rows, rows[:1]]),
            r"rows 1 and \d+ are of one machine and have the same time: 2 such rows",
        ),
    ],
)
def test_a_table_without_its_places_in_time_is_an_error_that_names_the_row(small_engine, table, change, message):
    with pytest.raises(DataError, match=message):
        small_engine.scorer.probabilities(change(table))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([READING | {"timestamp": "2024-01-02T01:00"}], "history: reading 1 is later than the reading that is scored"),
        ([READING | {"timestamp": "2024-01-01T00:00"}], "rows 1 and 2 are of one machine and have the same time"),
        ([READING], "row 1 has no timestamp"),
        ([READING | {"timestamp": "yesterday"}], "column timestamp is not a time"),
    ],
)
def test_a_history_that_is_not_before_the_reading_is_an_error(small_engine, history, message):
    with pytest.raises(DataError, match=message):
        small_engine.scorer.probability(READING | {"timestamp": "2024-01-01T00:00"}, history)


def test_the_golden_rows_have_the_readings_of_their_windows_and_nothing_later(small_engine):
    golden = json.loads(small_engine.files["golden.json"])
    readings = pd.DataFrame(golden["readings"])
    assert {"machine_id", "timestamp", "heat", "ratio"} == set(readings)
    last = readings.groupby("machine_id")["timestamp"].transform("max") == readings["timestamp"]
    assert set(np.flatnonzero(last)) <= set(golden["rows"])
    assert len(golden["rows"]) == len(golden["probabilities"]) < len(readings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda golden: golden["rows"].append(99_999), "rows: 99999 is not a position in"),
        (lambda golden: golden["readings"].pop("timestamp"), "readings.timestamp: Field required"),
        (
            lambda golden: golden["readings"]["heat"].__setitem__(
                slice(None, None), [500.0] * len(golden["readings"]["heat"])
            ),
            "golden rows differ",
        ),
    ],
)
def test_damaged_golden_rows_are_refused(small_engine, change, message):
    golden = json.loads(small_engine.files["golden.json"])
    change(golden)
    with pytest.raises(ModelError, match=message):
        Scorer.from_files(small_engine.files | {"golden.json": json.dumps(golden).encode()})


def test_only_a_version_with_history_has_the_newer_format(small_engine, small):
    formats = [json.loads(model.files["scorer.json"])["format"] for model in (small_engine, small)]
    assert formats == [4, 3]


def test_mlflow_alone_gives_the_same_probabilities(small_engine, table, tmp_path):
    folder = package_version(small_engine.files, small_engine.rows.test.head(5), tmp_path)
    names = ["machine_id", "timestamp", "heat", "ratio"]
    answer = mlflow.pyfunc.load_model(str(folder)).predict(table[names])
    assert answer["failure_probability"].to_numpy().tobytes() == small_engine.scorer.probabilities(table).tobytes()


def test_golden_rows_may_have_history_that_cannot_be_scored(small_engine_without_value):
    golden = json.loads(small_engine_without_value.files["golden.json"])
    readings = pd.DataFrame(golden["readings"])
    with pytest.raises(DataError, match="the formula of rise has no finite value"):
        small_engine_without_value.scorer.probabilities(readings)
    assert Scorer.from_files(small_engine_without_value.files)


def test_a_slope_over_almost_no_time_is_missing_and_not_infinite():
    text = DESCRIPTION.replace("kind: timestamp", "kind: counter, unit: h")
    rows = {"machine_id": ["E1"] * 2, "counter": [0.0, 1e-60], "heat": [100.0, 900.0], "ratio": [0.0, 1.0]}
    assert np.isnan(complete(parse_machine(text), rows)["heat_slope_12h"]).all()
