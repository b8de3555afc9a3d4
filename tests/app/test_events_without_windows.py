"""The API serves a machine whose only features from the past are of events: nothing is computed from earlier readings."""

import pytest

from .conftest import MemoryRegistry, start_client
from .test_events import as_json

INPUTS = ["machine_id", "timestamp", "make", "flow", "heat", "age"]


@pytest.fixture(scope="module")
def client(small_events_pump, events_pump_params, checked_files, tmp_path_factory):
    registry = MemoryRegistry(versions={"1": small_events_pump.files}, alias="1")
    folder = tmp_path_factory.mktemp("client")
    with start_client(registry, events_pump_params, folder, checked_files) as client:
        yield client


def test_the_version_passes_its_check_and_gives_the_probabilities_of_the_table(client, small_events_pump):
    assert not small_events_pump.params.machine.window_features
    test = small_events_pump.rows.test
    rows = test.loc[test["machine_id"] == test["machine_id"].iloc[0], INPUTS].reset_index(drop=True)
    events = {name: table for name, table in small_events_pump.rows.events.items() if name != "failures"}
    own = {name: table[table["machine_id"] == rows["machine_id"].iloc[0]] for name, table in events.items()}
    body = {"readings": as_json(rows), "events": {name: as_json(table) for name, table in own.items()}}
    answer = client.post("/predict/batch", json=body).json()
    expected = small_events_pump.scorer.probabilities(rows, own).tolist()
    assert [row["failure_probability"] for row in answer["predictions"]] == expected
    assert len(set(expected)) > 1
    assert client.get("/health").json()["serving_version"] == "1"
