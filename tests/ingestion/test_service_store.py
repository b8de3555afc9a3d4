"""The store of the service as a source: readings, events and failures of machines over time, labelled predictions of others."""

import tracemalloc
from contextlib import closing

import pandas as pd
import pytest

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.sources import Source
from predictive_maintenance.engine.engine import InProcess
from predictive_maintenance.errors import SourceError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.ingestion.ingest import check_sources, ingest
from predictive_maintenance.ingestion.service_store import stored_tables
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.monitoring.labels import known_failures
from predictive_maintenance.partitions.ingested_parts import ingest_parts
from predictive_maintenance.partitions.part_folder import PartFolder
from predictive_maintenance.store import store as store_module
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Alarm, Event, Feedback, Reading, Subject
from predictive_maintenance.store.store import Store
from predictive_maintenance.store.times import as_keys
from predictive_maintenance.training.labelling import label, labelled_rows
from predictive_maintenance.validation.cleaning import clean
from tests.dashboard.stored_machines import turbofan
from tests.fixtures.pumps import pump
from tests.fixtures.storage_servers import unused_port

PUMP, MODEL = pump(), "test_pump"
INPUTS = {"product_type": ["L", "M"], "air_temperature_k": [298.0, 299.0], "process_temperature_k": [308.0, 309.0],
          "rotational_speed_rpm": [1500.0, 1400.0], "torque_nm": [40.0, 60.0], "tool_wear_min": [10.0, 200.0]}  # fmt: skip


@pytest.fixture
def store(empty_store_url, monkeypatch):
    """An empty store, which PDM_STORE_URL names."""
    monkeypatch.setenv("PDM_STORE_URL", empty_store_url)
    with closing(Store.open(empty_store_url, timeout_seconds=5)) as store:
        yield store


def read(machine, uri="store://"):
    sources = (Source(uri=uri),)
    check_sources(sources, machine)
    return ingest(sources, machine)


def error_text(machine, uri="store://"):
    with pytest.raises(SourceError) as caught:
        read(machine, uri)
    return str(caught.value)


def key(hour):
    """The key of a time on the first day of March, or later."""
    return int(as_keys(as_times(["2024-03-01T00:00:00Z"], PUMP))[0]) + hour * 3_600_000_000


def keep_pumps(store, hours=24):
    """Hourly readings of two pumps, an error and an alarm of each, and a failure of P1."""
    with store.writing() as transaction:
        locked = transaction.machines(MODEL, ["P1", "P2"])
        for number, name in enumerate(locked, start=1):
            readings = [
                Reading(
                    time=key(hour),
                    received=0,
                    sensors={"make": "A" if hour < 12 else "B", "flow": 50.0 + number},
                    score=None,
                )
                for hour in range(hours)
            ]
            transaction.add([(locked[name], reading) for reading in readings])
            transaction.add_events({locked[name]: [Event("errors", key(3), "low flow")]}, received=0)
        happened = [Event("failures", key(20), "seal"), Event("service", key(21), "seal")]
        transaction.add_events({locked["P1"]: happened}, received=0)
        for name in locked:
            transaction.save_alarm(locked[name], Alarm(opened=key(10), probability=0.9, version="1"))


def report(store, subject, verdict, model=MODEL, **values):
    values = {"mode": None, "failed": None, "comment": "", "author": "Ana"} | values
    with store.writing() as transaction:
        transaction.add_feedback(model, Feedback(subject=subject, verdict=verdict, **values), received=0)


def log(store, *blocks, model=MILLING.description.model_name):
    logged = [LoggedBlock(number=number, version="1", block=one.as_block()) for number, one in enumerate(blocks)]
    with store.writing() as transaction:
        transaction.log(model, 1, logged)


def predictions(scored=1, request_id="r", **values):
    fields = {"failure_probability": [0.1, 0.9], "predicted_failure": [False, True], "inputs": INPUTS} | values
    return Predictions(scored=scored, request_id=request_id, **fields)


def times(frame):
    return frame["timestamp"].dt.strftime("%d %H").tolist()


def test_readings_events_and_attributes_come_as_tables(store, monkeypatch):
    monkeypatch.setattr(store_module, "_READINGS_AT_A_TIME", 7)
    keep_pumps(store)
    found = read(PUMP)
    frame = found.frame.sort_values(["machine_id", "timestamp"])
    assert frame["machine_id"].tolist() == ["P1"] * 24 + ["P2"] * 24
    assert times(frame) == [f"01 {hour:02}" for hour in range(24)] * 2
    assert frame["flow"].tolist() == [51.0] * 24 + [52.0] * 24
    assert set(frame["make"]) == {"B"}  # the attribute in the latest reading
    assert found.events["errors"].frame["type"].tolist() == ["low flow"] * 2
    assert times(found.events["failures"].frame) == ["01 20"]
    rows = {record.table: record.rows for record in found.records}
    assert rows == {"readings": 48, "pumps": 2, "errors": 2, "service": 1, "failures": 1}
    assert {record.name for record in found.records} == {"store://"}


def test_the_same_rows_have_the_same_fingerprint_and_others_another_one(store):
    keep_pumps(store)
    before = {record.table: record.sha256 for record in read(PUMP).records}
    assert before == {record.table: record.sha256 for record in read(PUMP).records}
    report(store, Subject("alarm", "P2", key(10)), "confirmed", mode="bearing", failed=key(23))
    after = {record.table: record.sha256 for record in read(PUMP).records}
    assert {table for table in after if after[table] != before[table]} == {"failures"}


def test_readings_are_the_same_in_pages_in_parts_and_beside_those_of_another_model(store, monkeypatch, tmp_path):
    keep_pumps(store)
    with store.writing() as transaction:
        machine = transaction.machines("another model", ["P1"])["P1"]
        transaction.add([(machine, Reading(time=key(0), received=0, sensors={"flow": 1.0}, score=None))])
        own = transaction.machines(MODEL, ["P3"])["P3"]
        transaction.add([(own, Reading(time=key(0), received=0, sensors={"make": "A", "flow": 0.1}, score=None))])
        transaction.add([(own, Reading(time=key(1), received=0, sensors={"make": "A"}, score=None))])
    whole = read(PUMP).frame
    monkeypatch.setattr(store_module, "_READINGS_AT_A_TIME", 7)
    pd.testing.assert_frame_equal(read(PUMP).frame, whole, check_exact=True)
    parts = ingest_parts((Source(uri="store://"),), PUMP, PartFolder(str(tmp_path / "parts")), InProcess(), 20)
    assert len(parts.parts) == 3
    in_parts = parts.frame.sort_values("row", ignore_index=True)
    pd.testing.assert_frame_equal(
        in_parts[list(whole)], whole, check_exact=True, check_categorical=False, check_dtype=False
    )


def test_a_page_of_readings_is_in_memory_at_a_time(store, monkeypatch, tmp_path):
    keep_pumps(store, hours=2_000)
    monkeypatch.setattr(store_module, "_READINGS_AT_A_TIME", 100)
    stored_tables("store://", PUMP, tmp_path)  # imports
    tracemalloc.start()
    file = stored_tables("store://", PUMP, tmp_path)["readings"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pd.read_parquet(file)) == 4_000
    assert peak < 1_000_000  # all of them would be more than 2 MB


def test_a_confirmed_alarm_is_a_failure_unless_the_store_has_it(store):
    keep_pumps(store)
    report(store, Subject("alarm", "P1", key(10)), "confirmed", mode="seal_failure", failed=key(22))
    report(store, Subject("alarm", "P2", key(10)), "confirmed", mode="seal_failure", failed=key(22))
    frame = read(PUMP).events["failures"].frame
    found = zip(frame["machine_id"], times(frame), frame["type"], strict=True)
    assert sorted(found) == [("P1", "01 20", "seal"), ("P2", "01 22", "seal")]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_overlapping_confirmed_alarms_are_one_failure_for_training_and_for_monitoring(store, order):
    keep_pumps(store)
    confirmed = [(10, 14, "seal_failure"), (12, 16, "bearing"), (17, 18, "bearing")]
    for opened, failed, mode in (confirmed[place] for place in order):
        report(store, Subject("alarm", "P2", key(opened)), "confirmed", mode=mode, failed=key(failed))
    frame = read(PUMP).events["failures"].frame
    found = sorted(zip(frame["machine_id"], times(frame), frame["type"], strict=True))
    assert found == [("P1", "01 20", "seal"), ("P2", "01 14", "seal"), ("P2", "01 18", "bearing")]
    assert known_failures(store, MODEL, PUMP, are_reported=True).failed["P2"].tolist() == [key(14), key(18)]


@pytest.mark.parametrize("verdict", ["false", "partly", "unknown"])
def test_a_later_report_takes_a_confirmation_back(store, verdict):
    keep_pumps(store)
    report(store, Subject("alarm", "P2", key(10)), "confirmed", mode="bearing", failed=key(22))
    report(store, Subject("alarm", "P2", key(10)), verdict)
    assert read(PUMP).events["failures"].frame["machine_id"].tolist() == ["P1"]


def test_readings_from_the_store_are_labelled_by_its_failures(store):
    keep_pumps(store, hours=72)
    found = read(PUMP)
    cleaned = clean(found, PUMP, load_params().cleaning, found.events)
    events = {name: part.frame for name, part in cleaned.events.items()}
    rows = labelled_rows(cleaned.frame, label(cleaned.frame, PUMP, events), PUMP, events).frame
    first = rows[(rows["machine_id"] == "P1") & (rows["timestamp"] < "2024-03-01T20:00Z")]
    assert first["fails_soon"].tolist() == [1] * 20
    assert not rows.loc[rows["machine_id"] == "P2", "fails_soon"].any()


def test_readings_and_files_are_merged(store, tmp_path):
    keep_pumps(store)
    more = tmp_path / "more.csv"
    more.write_text("pump,timestamp,flow\nP1,2024-03-09T00:00:00Z,40\n")
    sources = (Source(uri="store://"), Source(uri=str(more)))
    found = ingest(sources, PUMP)
    assert len(found.frame) == 49


def test_predictions_with_feedback_are_labelled_readings(store):
    log(store, predictions(reading_id=["a", "b"]), predictions(2, "s", row=1), predictions(3, ["t", "u"]))
    model = MILLING.description.model_name
    report(store, Subject("reading", "b"), "confirmed", model, mode="power_failure")
    report(store, Subject("request", "s", 1), "false", model)
    report(store, Subject("request", "s", 2), "partly", model)
    report(store, Subject("request", "u", 1), "confirmed", model)
    report(store, Subject("reading", "unknown"), "false", model)
    frame = read(MILLING).frame
    assert frame["reading_id"].tolist() == ["b", "s/1", "u/1"]
    assert frame["torque_nm"].tolist() == [60.0, 40.0, 60.0]
    assert frame["product_type"].astype("str").tolist() == ["M", "L", "M"]
    assert frame["machine_failure"].tolist() == [1, 0, 1]
    assert frame["power_failure"].tolist() == [1, 0, 0]


def test_the_newest_report_and_the_latest_prediction_of_a_reading_count(store):
    log(store, predictions(reading_id=["a", "b"]), predictions(2, "s", row=1, reading_id=["b", "a"]))
    model = MILLING.description.model_name
    for verdict in ("confirmed", "false"):
        report(store, Subject("reading", "a"), verdict, model)
    report(store, Subject("request", "s", 2), "confirmed", model)
    frame = read(MILLING).frame
    assert (frame["reading_id"].tolist(), frame["machine_failure"].tolist()) == (["a"], [1])
    assert frame["torque_nm"].tolist() == [60.0]


def test_a_later_report_by_another_id_takes_a_label_back(store):
    log(store, predictions(row=1, reading_id=["a", "b"]))
    model = MILLING.description.model_name
    report(store, Subject("reading", "a"), "false", model)
    report(store, Subject("reading", "b"), "confirmed", model)
    report(store, Subject("request", "r", 2), "unknown", model)
    assert read(MILLING).frame["reading_id"].tolist() == ["a"]


def test_a_prediction_of_a_stored_reading_has_its_inputs(store):
    model = MILLING.description.model_name
    sensors = {name: values[0] for name, values in INPUTS.items()}
    with store.writing() as transaction:
        machine = transaction.machines(model, ["M1"])["M1"]
        transaction.add([(machine, Reading(time=5, received=0, sensors=sensors, score=None))])
    kept = {"inputs": None, "machine_id": ["M1", "M1"], "time": [5, 6], "reading_id": ["a", "b"]}
    log(store, predictions(**kept))
    for name in "ab":
        report(store, Subject("reading", name), "confirmed", model)
    frame = read(MILLING).frame
    assert (frame["reading_id"].tolist(), frame["torque_nm"].tolist()) == (["a"], [40.0])  # b has been removed


def test_a_table_that_has_no_rows_in_the_store_has_to_come_from_another_source(store, tmp_path):
    with store.writing() as transaction:
        machine = transaction.machines(MODEL, ["P1"])["P1"]
        transaction.add([(machine, Reading(time=key(0), received=0, sensors={"make": "A", "flow": 50.0}, score=None))])
        transaction.add_events({machine: [Event("failures", key(20), "seal"), Event("errors", key(3), "low flow")]}, 0)
    assert "no source has the table service" in error_text(PUMP)
    (tmp_path / "service.csv").write_text("asset,done,part\nP1,2024-03-01T21:00:00Z,seal\n")
    found = ingest((Source(uri="store://"), Source(uri=str(tmp_path / "service.csv"), table="service")), PUMP)
    assert len(found.events["service"].frame) == 1


def test_another_registered_model_is_named_in_the_address(store):
    log(store, predictions(reading_id=["a", "b"]), model="old model")
    report(store, Subject("reading", "a"), "false", "old model")
    assert read(MILLING, "store://?model=old%20model").frame["reading_id"].tolist() == ["a"]
    assert "the store has no predictions of the model predictive_maintenance with feedback" in error_text(MILLING)


def test_what_the_store_does_not_have_is_an_error_with_the_way_out(store):
    assert "the store has no readings of the model test_pump" in error_text(PUMP)
    assert "send it to /feedback" in error_text(MILLING)
    assert "machines that failed" in error_text(turbofan())


@pytest.mark.parametrize("uri", ["store://name", "store://?modl=a", "store://?model="])
def test_an_invalid_address_is_an_error(store, uri):
    assert "write store://, with ?model=NAME for another registered model" in error_text(MILLING, uri)


def test_a_store_that_cannot_be_read_is_an_error_without_its_password(monkeypatch, tmp_path):
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert "the file of the store is gone" in error_text(MILLING)
    monkeypatch.setenv("PDM_STORE_URL", f"postgresql://plant:s3cret-word@127.0.0.1:{unused_port()}/a")
    text = error_text(MILLING)
    assert "the store does not work" in text
    assert "s3cret" not in text


def test_an_older_store_is_not_changed(store, empty_store_url):
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pdm_store_version SET version_num = '0002'")
    assert "those of an older release: the service upgrades them" in error_text(MILLING)
