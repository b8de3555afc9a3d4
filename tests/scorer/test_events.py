"""A model with features from tables of events: a table, single readings, the files of its version."""

import json

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.errors import DataError, ModelError
from predictive_maintenance.history.features import complete
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import GOLDEN_FILE, SPEC_FILE
from predictive_maintenance.tracking.packaging import package_version


@pytest.fixture(scope="module")
def table(small_pump):
    """The held-out rows of one pump, as they are without features, in no order."""
    test = small_pump.rows.test
    names = ["machine_id", "timestamp", "make", "flow", "heat", "age"]
    own = test[test["machine_id"] == test["machine_id"].iloc[0]][names]
    return own.sample(frac=1, random_state=1).reset_index(drop=True)


def test_the_model_uses_events_and_attributes_and_is_worth_something(small_pump):
    assert {*small_pump.params.machine.event_features, "make_code", "age"} <= {*small_pump.scorer.spec.features}
    assert small_pump.out_of_fold["pr_auc"].value > 0.6
    assert small_pump.scorer.spec.format == 5


def test_a_table_with_its_events_gets_the_bits_of_training(small_pump, table):
    test, history = small_pump.rows.test, small_pump.rows.history
    own = test[test["machine_id"] == table["machine_id"].iloc[0]]
    known = dict(zip(own["timestamp"], small_pump.scorer.probabilities(own), strict=True))
    # Readings without a label are history, too.
    unlabelled = history[history["machine_id"] == table["machine_id"].iloc[0]][list(table)]
    every = pd.concat([table, unlabelled], ignore_index=True)
    found = small_pump.scorer.probabilities(every, _used(small_pump))[: len(table)]
    assert found.tolist() == [known[time] for time in table["timestamp"]]


def test_one_reading_with_its_history_and_events_gets_the_bits_of_the_table(small_pump, table):
    ordered = table.sort_values("timestamp").reset_index(drop=True)
    events = _used(small_pump)
    expected = small_pump.scorer.probabilities(ordered, events)
    records = ordered.to_dict("records")
    for place in (0, 3, 40, len(records) - 1):
        assert small_pump.scorer.probability(records[place], records[:place], events) == expected[place]


def test_without_events_a_reading_is_one_before_any_event(small_pump, table):
    reading = table.sort_values("timestamp").to_dict("records")[-1]
    empty = {name: {"machine_id": [], "timestamp": [], "type": []} for name in ("errors", "service")}
    assert small_pump.scorer.probability(reading) == small_pump.scorer.probability(reading, (), empty)
    completed = complete(small_pump.params.machine, table)
    assert (completed["errors_count_48h"] == 0).all()
    assert np.isnan(completed["service_seal_time_since_last"]).all()


def test_an_unknown_table_of_events_is_an_error(small_pump, table):
    with pytest.raises(DataError, match="the test pump has no table 'error'; did you mean 'errors'"):
        small_pump.scorer.probabilities(table, {"error": {}})


@pytest.fixture(scope="module")
def plain_mlflow(small_pump, tmp_path_factory):
    """The version as plain MLflow loads it."""
    example = small_pump.rows.test.head(5)
    folder = package_version(small_pump.files, example, tmp_path_factory.mktemp("version"))
    return mlflow.pyfunc.load_model(str(folder))


def as_json(events):
    """Events as the API takes them."""
    return json.dumps(
        {
            name: table.assign(timestamp=table["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")).to_dict("records")
            for name, table in events.items()
        }
    )


def test_mlflow_alone_with_events_gives_the_same_probabilities(small_pump, table, plain_mlflow):
    answer = plain_mlflow.predict(table, params={"events": as_json(_used(small_pump))})
    expected = small_pump.scorer.probabilities(table, _used(small_pump))
    assert answer["failure_probability"].to_numpy().tobytes() == expected.tobytes()
    without = plain_mlflow.predict(table)["failure_probability"]
    assert without.to_numpy().tobytes() == small_pump.scorer.probabilities(table).tobytes()
    assert (without != answer["failure_probability"]).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "events: is not JSON"),
        ("[]", "events: is not an object of lists of events"),
        ('{"errors": {}}', "events: is not an object of lists of events"),
        ('{"errors": [1]}', "events: errors: event 1 is not an object of machine_id, timestamp, type"),
        ('{"errors": [{"timestamp": "2024-01-01", "type": "low flow"}]}', "event 1 is not an object of machine_id"),
        ('{"error": []}', "the test pump has no table 'error'; did you mean 'errors'"),
        (
            '{"errors": [{"machine_id": "P1", "timestamp": "soon", "type": "low flow"}]}',
            "events: errors: .* is not a time",
        ),
        ('{"errors": [{"machine_id": "P1", "timestamp": "2024-01-01", "type": "?"}]}', "'\\?' is not one of low flow"),
    ],
)
def test_wrong_events_in_mlflow_are_named(table, plain_mlflow, text, message):
    with pytest.raises(Exception, match=message):
        plain_mlflow.predict(table, params={"events": text})


def test_the_golden_rows_have_the_events_that_they_depend_on_and_no_more(small_pump):
    golden = json.loads(small_pump.files[GOLDEN_FILE])
    assert set(golden["events"]) == {"errors", "service"}
    assert 0 < len(golden["events"]["errors"]["type"]) < len(small_pump.rows.events["errors"])
    Scorer.from_files(small_pump.files)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda events: events["errors"].update(type=["?"] * len(events["errors"]["type"])), "events.errors.type"),
        (lambda events: events["errors"]["type"].pop(), "events.errors: different lengths"),
        (lambda events: events.pop("service"), "events.service: Field required"),
        (lambda events: [column.clear() for column in events["errors"].values()], "golden rows differ"),
    ],
)
def test_damaged_events_are_found(small_pump, change, message):
    golden = json.loads(small_pump.files[GOLDEN_FILE])
    change(golden["events"])
    with pytest.raises(ModelError, match=message):
        Scorer.from_files(dict(small_pump.files) | {GOLDEN_FILE: json.dumps(golden).encode()})


def test_the_spec_names_the_format(small_pump):
    assert json.loads(small_pump.files[SPEC_FILE])["format"] == 5


def _used(small_pump):
    return {name: small_pump.rows.events[name] for name in ("errors", "service")}
