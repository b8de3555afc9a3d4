"""Machines with history: the candidate gets the history that was known when the version in production scored."""

import time
from contextlib import closing

import pandas as pd
import pytest

from predictive_maintenance.config.params import ShadowSettings
from predictive_maintenance.shadow.comparing import Shadow
from predictive_maintenance.shadow.summary import summarise
from predictive_maintenance.store import comparisons
from predictive_maintenance.store.store import Store
from tests.app.conftest import checked_files, enter, start_client, wait_until
from tests.app.test_health import samples
from tests.fixtures.pumps import pump
from tests.fixtures.run_to_failure import runs_to_failure

from .conftest import VersionsInMemory

__all__ = ["checked_files", "enter"]

LOGS = {"prediction_log": True, "prediction_log_seconds": 0.02}
NEXT_SECOND = 1.1
LATE = 17
"""The place of a reading that arrives after later ones."""


@pytest.fixture(scope="module")
def pump_rows(small_pump):
    """All readings of a held-out pump in time order, without features."""
    name = small_pump.rows.test["machine_id"].iloc[0]
    parts = [part[part["machine_id"] == name] for part in (small_pump.rows.test, small_pump.rows.history)]
    inputs = ["machine_id", "timestamp", "make", "flow", "heat", "age"]
    own = [part[inputs] for part in parts if len(part)]
    return pd.concat(own).sort_values("timestamp").reset_index(drop=True)


def as_json(frame):
    texts = frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    return [{name: value for name, value in row.items() if value == value} for row in texts.to_dict("records")]


@pytest.fixture
def serve(checked_files, tmp_path, enter):
    """A function that serves and logs the model of a machine, which is its own candidate, too."""

    def start(model, candidate=None):
        versions = VersionsInMemory(
            versions={"1": model.files, "2": (candidate or model).files}, alias="1", candidate="2"
        )
        return enter(start_client(versions, model.params, tmp_path, checked_files, **LOGS)), versions

    return start


def send(client, path, rows):
    answer = client.post(path, json=rows)
    assert answer.status_code == 200, answer.text


def compared(client, versions, tmp_path):
    """The comparison after all predictions are in the log."""

    def is_written():
        found = {name[0]: value for name, value in samples(client).items() if name[0].startswith("pdm_predictions")}
        return found.get("pdm_predictions_waiting") == 0 and found.get("pdm_predictions_logged_total", 0) > 0

    time.sleep(0.1)
    wait_until(is_written)
    model = client.app.state.service.model_name
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)) as store:
        shadow = Shadow(versions, model, ShadowSettings())
        while shadow.check(store, time.time()).is_more:
            pass
        return summarise(store, comparisons.find(store, model, most=1)[0], most_machines=10)


def test_readings_get_the_same_windows_as_in_production_also_if_others_came_late(serve, small_engine, tmp_path):
    client, versions = serve(small_engine)
    frame = runs_to_failure(2, seed=8).sort_values("timestamp")
    own = frame[frame["machine_id"] == "E0"].tail(30)
    readings = as_json(own)
    late = readings.pop(LATE)
    send(client, "/readings", readings[:20])
    for reading in readings[20:25]:
        send(client, "/readings", reading)
    time.sleep(NEXT_SECOND)
    send(client, "/readings", late)
    send(client, "/readings", readings[25:])
    found = compared(client, versions, tmp_path)
    assert (found.counts.predictions, found.comparison.left_out) == (30, {})
    assert found.counts.difference == 0
    assert [name for name, _ in found.machines] == ["E0"]
    with_late, without = (small_engine.scorer.probabilities(rows) for rows in (own, own.drop(own.index[LATE])))
    assert (with_late[LATE + 1 : 25] != without[LATE:24]).any()  # else the test could not fail


def test_readings_get_the_events_that_were_known(serve, small_pump, pump_rows, tmp_path):
    client, versions = serve(small_pump)
    tables = {name: small_pump.rows.events[name] for name in pump().event_tables}
    events = {name: table[table["machine_id"] == pump_rows["machine_id"][0]] for name, table in tables.items()}
    readings = as_json(pump_rows)
    reported = {name: as_json(table.sort_values("timestamp")) for name, table in events.items()}
    send(client, "/readings", readings[:100])
    time.sleep(NEXT_SECOND)
    send(client, "/events", reported)
    send(client, "/readings", readings[100:])
    found = compared(client, versions, tmp_path)
    assert (found.counts.predictions, found.counts.difference) == (len(readings), 0)
    with_events, without = (small_pump.scorer.probabilities(pump_rows, known) for known in (events, {}))
    assert (with_events[:100] != without[:100]).any()  # else the test could not fail


def test_readings_with_their_own_history_are_left_out(serve, small_engine, tmp_path):
    client, versions = serve(small_engine)
    first, second = as_json(runs_to_failure(1, seed=8).sort_values("timestamp").head(2))
    send(client, "/predict", second | {"history": [first]})
    send(client, "/readings", first)
    found = compared(client, versions, tmp_path)
    assert found.counts.predictions == 1
    assert found.comparison.left_out == {"not sent to /readings: what the machine did before is not known": 1}


def test_a_reading_that_is_predicted_first_and_kept_then_is_compared(serve, small_engine, tmp_path):
    client, versions = serve(small_engine)
    first, second = as_json(runs_to_failure(1, seed=8).sort_values("timestamp").head(2))
    send(client, "/predict", second | {"history": [first]})
    time.sleep(0.1)
    for reading in (first, second, second):
        send(client, "/readings", reading)
    found = compared(client, versions, tmp_path)
    assert found.counts.predictions == 2
    assert found.comparison.left_out == {
        "not sent to /readings: what the machine did before is not known": 1,
        "scored again: each reading counts once": 1,
    }


def test_readings_that_were_removed_from_the_store_are_left_out(serve, small_engine, tmp_path):
    client, versions = serve(small_engine)
    send(client, "/readings", as_json(runs_to_failure(1, seed=8).sort_values("timestamp").head(5)))
    with (
        closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)) as store,
        store.writing() as transaction,
    ):
        transaction.remove_received_before(client.app.state.service.model_name, int(time.time()) + 60)
    assert compared(client, versions, tmp_path).comparison.left_out == {"no longer in the store": 5}
