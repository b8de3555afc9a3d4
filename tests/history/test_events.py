"""Event features against plain loops, in a table and for one reading, and labels from failures."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.errors import DataError
from predictive_maintenance.history.events import event_columns, needed_events
from predictive_maintenance.history.features import complete, complete_reading
from predictive_maintenance.history.labels import AFTER_FAILURE, CENSORED, DOES_NOT_FAIL, FAILS, horizon_labels
from predictive_maintenance.history.time_order import in_time_order
from tests.fixtures.pumps import pump, pump_tables

COUNTER = """
name: press
model_name: press
units: [stroke]
machine: {}
time: {kind: counter, unit: stroke}
sensors: {force: {label: Force, unit: N, range: [0, 10]}}
events: {jams: {label: Jams, type: {values: [left, right]}}}
history:
  events: {jams: {count_over: [5], time_since_last: true}}
  same_instant: SAME
label: {column: failed}
group: machine
"""
PRESSES = {same: parse_machine(COUNTER.replace("SAME", str(same).lower())) for same in (False, True)}

times = st.integers(0, 20)
tables = st.dictionaries(
    st.sampled_from("abc"),
    st.tuples(st.sets(times, min_size=1), st.lists(st.tuples(times, st.sampled_from(["left", "right"])), max_size=6)),
    min_size=1,
)


def readings_of(machines):
    rows = [(name, float(time)) for name, (own, _) in machines.items() for time in sorted(own, reverse=True)]
    return {
        "machine_id": np.array([name for name, _ in rows], dtype=object),
        "counter": np.array([time for _, time in rows]),
        "force": np.ones(len(rows)),
    }


def events_of(machines, keep=lambda time: True):
    rows = [(name, float(time), kind) for name, (_, own) in machines.items() for time, kind in own if keep(time)]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]
    return {"jams": dict(zip(("machine_id", "counter", "type"), columns, strict=True))}


@given(tables, st.booleans())
@settings(deadline=None)
def test_events_count_before_a_reading_and_within_the_span(machines, same):
    readings, machine = readings_of(machines), PRESSES[same]
    found = complete(machine, readings, events_of(machines))
    for row, (name, time) in enumerate(zip(readings["machine_id"], readings["counter"], strict=True)):
        happened = {(at, kind) for at, kind in machines[name][1] if at < time or (same and at == time)}
        ages = [time - at for at, _ in happened]
        assert found["jams_count_5stroke"][row] == sum(age < 5 if same else age <= 5 for age in ages)
        assert found["jams_time_since_last"][row] == pytest.approx(min(ages, default=np.nan), nan_ok=True)


@given(tables, st.booleans())
@settings(deadline=None)
def test_one_reading_with_the_events_of_its_machine_has_the_bits_of_the_table(machines, same):
    readings, machine, events = readings_of(machines), PRESSES[same], events_of(machines)
    table = complete(machine, readings, events)
    for row in range(len(readings["counter"])):
        reading = {name: values[row] for name, values in readings.items()}
        one = complete_reading(machine, reading, (), events)
        for name in machine.event_features:
            assert np.float64(one[name]).tobytes() == table[name][row].tobytes()


@given(tables, times)
@settings(deadline=None)
def test_no_earlier_feature_depends_on_later_events(machines, instant):
    machine, readings = PRESSES[False], readings_of(machines)
    whole, cut = (
        complete(machine, readings, events)
        for events in (events_of(machines), events_of(machines, lambda t: t < instant))
    )
    earlier = readings["counter"] <= instant
    for name in machine.event_features:
        np.testing.assert_array_equal(whole[name][earlier], cut[name][earlier])


@given(tables, st.data())
@settings(deadline=None)
def test_the_needed_events_alone_give_the_same_features(machines, data):
    machine, readings, events = PRESSES[False], readings_of(machines), events_of(machines)
    order = in_time_order(machine, readings)
    chosen = st.lists(st.integers(0, len(readings["counter"]) - 1), min_size=1, unique=True)
    rows = np.array(sorted(data.draw(chosen)))
    kept = needed_events(machine, events, order, rows)["jams"]
    few = {"jams": {name: [values[place] for place in kept] for name, values in events["jams"].items()}}
    for name, values in event_columns(machine, events, order, rows).items():
        np.testing.assert_array_equal(event_columns(machine, few, order, rows)[name], values)


def test_times_of_events_are_in_hours_and_types_have_features_of_their_own():
    machine, start = pump(), datetime(2024, 1, 31, 12, tzinfo=UTC)
    reading = {"machine_id": "P1", "timestamp": start, "make": "A", "flow": 50.0}
    service = {
        "machine_id": ["P1", "P1", "P2"],
        "timestamp": [start - timedelta(hours=36), start - timedelta(minutes=90), start - timedelta(minutes=1)],
        "type": ["seal", "seal", "bearing"],
    }
    found = complete_reading(machine, reading, (), {"service": service})
    assert found["service_seal_time_since_last"] == 1.5
    assert np.isnan(found["service_bearing_time_since_last"])
    assert found["errors_count_48h"] == 0


def test_a_table_and_single_readings_with_history_and_events_give_the_same_bits():
    machine, tables = pump(), pump_tables(pumps=3, hours=60)
    frame = tables["readings"].rename(columns={"pump": "machine_id"}).assign(make="A")
    named = {"pump": "machine_id", "asset": "machine_id", "done": "timestamp", "code": "type", "part": "type"}
    events = {name: tables[name].rename(columns=named) for name in ("errors", "service")}
    whole = complete(machine, frame, events)
    for row in range(0, len(frame), 7):
        reading = frame.iloc[row].to_dict()
        past = frame[(frame["machine_id"] == reading["machine_id"]) & (frame["timestamp"] < reading["timestamp"])]
        one = complete_reading(machine, reading, past.to_dict("records"), events)
        for name in machine.history_features:
            assert np.float64(one[name]).tobytes() == np.float64(whole[name][row]).tobytes()


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({"jam": {}}, "the press has no table 'jam'; did you mean 'jams'?"),
        ({"jams": {"machine_id": ["a"], "counter": [None], "type": ["left"]}}, "events: jams: row 1 has no counter"),
        ({"jams": {"machine_id": ["a"], "counter": [1.0], "type": ["up"]}}, "'up' is not one of left, right"),
        ({"jams": {"machine_id": ["a"], "counter": [1.0]}}, "events: jams: type is missing"),
    ],
)
def test_an_invalid_event_is_named(events, message):
    readings = {"machine_id": ["a", "b"], "counter": [1.0, 2.0], "force": [1.0, 1.0]}
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        complete(PRESSES[False], readings, events)


def test_events_need_the_time_of_the_reading():
    with pytest.raises(DataError, match="counter is missing: events are before or after the time of the reading"):
        complete_reading(PRESSES[False], {"force": 1.0}, (), {"jams": {"counter": [1.0], "type": ["left"]}})


def labels(times, failures, *, horizon=3, ignore_after=0):
    own, failed = (np.array(values, dtype=np.int64) for values in (times, failures))
    return horizon_labels(own, np.array([0, len(own)]), failed, np.array([0, len(failed)]), horizon, ignore_after)


def test_a_reading_within_the_horizon_of_a_failure_fails():
    found, following = labels([1, 6, 7, 9], [10])
    assert found.tolist() == [DOES_NOT_FAIL, DOES_NOT_FAIL, FAILS, FAILS]
    assert following.tolist() == [0, 0, 0, 0]


def test_a_reading_at_a_failure_and_shortly_after_it_is_ignored():
    assert labels([9, 10, 11, 15], [10])[0].tolist() == [FAILS, AFTER_FAILURE, DOES_NOT_FAIL, CENSORED]
    assert labels([9, 10, 11, 12, 15], [10], ignore_after=2)[0].tolist() == [
        FAILS, AFTER_FAILURE, AFTER_FAILURE, DOES_NOT_FAIL, CENSORED,
    ]  # fmt: skip
    assert labels([11, 12], [10, 13], ignore_after=2)[0].tolist() == [AFTER_FAILURE, FAILS]


def test_a_horizon_that_was_not_observed_to_its_end_is_censored_unless_the_machine_failed_in_it():
    found, following = labels([16, 17, 18, 20], [])
    assert found.tolist() == [DOES_NOT_FAIL, DOES_NOT_FAIL, CENSORED, CENSORED]
    assert following.tolist() == [-1] * 4
    assert labels([18], [19])[0].tolist() == [FAILS]


def test_a_failure_before_the_first_reading_labels_nothing_but_readings_shortly_after_it():
    found, following = labels([5, 6, 9, 12], [2, 4], horizon=3, ignore_after=2)
    assert found.tolist() == [AFTER_FAILURE, DOES_NOT_FAIL, DOES_NOT_FAIL, CENSORED]
    assert following.tolist() == [-1, -1, -1, -1]
    without = labels([5, 6, 9, 12], [], horizon=3)[0].tolist()
    assert without == [DOES_NOT_FAIL, DOES_NOT_FAIL, DOES_NOT_FAIL, CENSORED]


def test_each_machine_has_its_own_failures():
    own = np.array([1, 5, 1, 5], dtype=np.int64)
    found, following = horizon_labels(own, np.array([0, 2, 4]), np.array([6]), np.array([0, 0, 1]), 2, 0)
    assert found.tolist() == [DOES_NOT_FAIL, CENSORED, DOES_NOT_FAIL, FAILS]
    assert following.tolist() == [-1, -1, 0, 0]
