"""Readings one by one, in groups and in batches, in any order: the same bits as a table."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.http.batch_request import read_batch
from app.problems import Problem
from app.serving.kept_reading import NewReading, keep_readings, time_key
from app.serving.served_model import ServedModel
from app.worker import kept_batch
from app.worker.kept_batch import keep_batch
from predictive_maintenance.store.lookback import Lookback
from predictive_maintenance.store.rows import Reading
from predictive_maintenance.store.store import Store, Transaction
from predictive_maintenance.tracking.entities import ModelVersion

from .conftest import wait_until

NAMES = (f"stream {number}" for number in count())
START = datetime(2024, 1, 1)  # noqa: DTZ001  as a reading without zone

values = st.floats(450, 550).map(lambda value: round(value, 2))
ratios = st.none() | st.floats(-5, 5)
# Minutes: some readings lie exactly at the beginning of another one's window.
moments = st.integers(0, 40).map(lambda steps: 60 * steps) | st.integers(0, 3000)
series = st.dictionaries(st.tuples(st.sampled_from("ABC"), moments), st.tuples(values, ratios), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def model(small_engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    for name, content in small_engine.files.items():
        (folder / name).write_bytes(content)
    return ServedModel.load(folder, ModelVersion(version="1", aliases=(), run_id="run", created=START, tags={}))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store.open(
        f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}", timeout_seconds=5, synchronous="normal"
    )
    yield store
    store.close()


def as_readings(series):
    return [
        {"machine_id": machine, "timestamp": (START + timedelta(minutes=minutes)).isoformat(), "heat": heat}
        | ({} if ratio is None else {"ratio": ratio})
        for (machine, minutes), (heat, ratio) in series.items()
    ]


def of_table(model, readings):
    """The probability of each reading in a table of all."""
    table = pd.DataFrame(readings, columns=["machine_id", "timestamp", "heat", "ratio"])
    table["timestamp"] = pd.to_datetime(table["timestamp"], format="ISO8601")
    return model.scorer.probabilities(table.astype({"ratio": float})).tolist()


def one_by_one(store, model, name, readings):
    """The answers to readings that arrive together, but are not sent as a batch."""
    machine = model.scorer.machine
    new = [
        NewReading(model=model, model_name=name, reading=reading, key=time_key(machine, reading, 0))
        for reading in readings
    ]
    answers = [kept.answer for kept in keep_readings(store, new)]
    assert not any(isinstance(answer, Problem) for answer in answers)
    return [answer["failure_probability"] for answer in answers]


def as_batch(store, model, name, readings):
    batch = read_batch(
        json.dumps(readings).encode(), "application/json", 1000, 10_000, 10**6, model.schema, {}, repeats=True
    )
    scored, _ = keep_batch(store, batch, model, name, 0)
    assert not batch.errors
    return scored.probabilities.tolist()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(series=series, data=st.data())
def test_any_way_of_sending_a_series_gives_the_bits_of_the_table(model, store, series, data):
    readings = as_readings(series)
    expected = of_table(model, readings)
    # In the order of times, one at a time.
    name, found = next(NAMES), {}
    for row in sorted(range(len(readings)), key=lambda row: readings[row]["timestamp"]):
        (found[row],) = one_by_one(store, model, name, [readings[row]])
    assert [found[row] for row in range(len(readings))] == expected
    # In any order, in one batch.
    order = data.draw(st.permutations(range(len(readings))))
    shuffled = [readings[row] for row in order]
    assert as_batch(store, model, next(NAMES), shuffled) == [expected[row] for row in order]
    # In any order and in parts of either kind. When all are there, each is answered as in the table.
    name, left = next(NAMES), list(order)
    while left:
        part, left = left[: (size := data.draw(st.integers(1, 9)))], left[size:]
        send = data.draw(st.sampled_from([one_by_one, as_batch]))
        send(store, model, name, [readings[row] for row in part])
    assert one_by_one(store, model, name, shuffled) == [expected[row] for row in order]
    assert as_batch(store, model, name, readings) == expected
    assert sum(machine.readings for machine in store.machines(name, most=9)) == len(readings)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(series=series, late=st.tuples(st.sampled_from("ABC"), moments), values=st.tuples(values, ratios))
def test_a_late_reading_gets_what_a_table_of_the_earlier_ones_gives(model, store, series, late, values):
    series.pop(late, None)
    before = {place: cells for place, cells in series.items() if place[1] < late[1] or place[0] != late[0]}
    name = next(NAMES)
    if series:
        as_batch(store, model, name, as_readings(series))
    (found,) = one_by_one(store, model, name, as_readings({late: values}))
    assert found == of_table(model, as_readings(before | {late: values}))[-1]


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(series=series)
def test_the_warning_about_a_short_history_is_that_of_a_reading_with_its_history(model, store, series):
    name, readings = next(NAMES), sorted(as_readings(series), key=lambda reading: reading["timestamp"])
    machine = model.scorer.machine
    for place, reading in enumerate(readings):
        new = NewReading(model=model, model_name=name, reading=reading, key=time_key(machine, reading, 0))
        (kept,) = keep_readings(store, [new])
        history = [earlier for earlier in readings[:place] if earlier["machine_id"] == reading["machine_id"]]
        about_history = [text for text in kept.answer["warnings"] if "history" in text]
        assert about_history == model.history_warnings(reading | {"history": history})


@pytest.mark.long
def test_readings_of_two_versions_lock_all_their_machines_in_one_order(model, postgres_url):
    """Two processes that lock them version by version, as while services change to another version, could wait for each other."""
    new = [
        NewReading(model=of, model_name="m", reading=reading, key=time_key(of.scorer.machine, reading, 0))
        for of, reading in zip(
            (model, replace(model)), as_readings({("B", 0): (500.0, None), ("A", 0): (500.0, None)}), strict=True
        )
    ]
    first, second, third = (Store.open(postgres_url, timeout_seconds=20) for _ in range(3))
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with closing(first), closing(second), closing(third), ThreadPoolExecutor(1) as pool:
        with first.writing() as transaction:
            transaction.machines("m", ["A", "B"])
        with first.writing() as transaction:
            transaction.machines("m", ["A"])
            keeping = pool.submit(keep_readings, second, new)
            with third.reading() as connection:
                wait_until(lambda: connection.execute(waiting).scalar_one() > 0)
            with third.writing() as another:
                another.connection.execute(text("SET LOCAL lock_timeout = '1s'"))
                another.machines("m", ["B"])
        assert [kept.outcome for kept in keeping.result()] == ["new", "new"]


@pytest.mark.parametrize(
    "lookback", [Lookback(12 * 3_600e6), Lookback(readings=2), Lookback(12 * 3_600e6, 2)], ids=["span", "count", "both"]
)
def test_what_lies_between_a_late_and_a_new_reading_is_not_read(model, store, lookback, monkeypatch):
    name = next(NAMES)
    series = {("A", 60 * hour): (500.0, None) for hour in range(300)}
    as_batch(store, model, name, as_readings(series))
    new = {("A", 60 * hour + 1): (501.0, None) for hour in (20, 21, 290)}
    read, window = [], Transaction.window

    def counted_window(self, *arguments, **options):
        read.append(window(self, *arguments, **options))
        return read[-1]

    monkeypatch.setattr(Transaction, "window", counted_window)
    monkeypatch.setattr("app.serving.kept_rows._lookback", lambda _: lookback)
    one_by_one(store, model, name, as_readings(new))
    assert sum(map(len, read)) < 40


def test_many_readings_of_a_machine_are_looked_up_together(model, store, monkeypatch):
    calls, window = [], Transaction.window

    def counted_window(self, *arguments, **options):
        calls.append(options)
        return window(self, *arguments, **options)

    monkeypatch.setattr(Transaction, "window", counted_window)
    monkeypatch.setattr("app.serving.kept_rows._lookback", lambda _: Lookback(readings=2))
    as_batch(store, model, next(NAMES), as_readings({("A", minutes): (500.0, None) for minutes in range(100)}))
    assert len(calls) == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(series=series)
def test_a_batch_in_many_transactions_is_scored_as_a_table(model, store, monkeypatch, series):
    monkeypatch.setattr(kept_batch, "_FEWEST_ROWS", 2)
    monkeypatch.setattr(kept_batch, "_MOST_ROWS", 2)
    readings = as_readings(series)
    assert as_batch(store, model, next(NAMES), readings) == of_table(model, readings)


def test_others_write_between_the_transactions_of_a_batch(model, store):
    name, readings = next(NAMES), as_readings({("A", minutes): (500.0, None) for minutes in range(1000)})
    batch = threading.Thread(target=as_batch, args=(store, model, name, readings))
    batch.start()
    while not store.machines(name, most=1):  # until the first of them has ended
        assert batch.is_alive()
    one_by_one(store, model, next(NAMES), readings[:1])
    assert batch.is_alive()
    batch.join()


def test_a_category_of_an_earlier_description_is_a_missing_value_of_a_sensor(model, store):
    name, machine = next(NAMES), model.scorer.machine
    first, second = as_readings({("A", 0): (500.0, None), ("A", 60): (501.0, None)})
    key = time_key(machine, first, 0)
    with store.writing() as transaction:
        place = transaction.machines(name, ["A"])["A"]
        sensors = {"heat": 500.0, "ratio": "low", "removed": 1.0}
        transaction.add([(place, Reading(time=key, received=1, sensors=sensors, score=None))])
    assert one_by_one(store, model, name, [second]) == [of_table(model, [first, second])[1]]
    with store.writing() as transaction:
        assert transaction.machines(name, ["A"])["A"].latest > key


def test_a_reading_with_fewer_sensors_than_the_stored_one_is_the_same_if_these_are_not_described_any_more(model, store):
    name = next(NAMES)
    (reading,) = as_readings({("A", 0): (500.0, None)})
    with store.writing() as transaction:
        place = transaction.machines(name, ["A"])["A"]
        key = time_key(model.scorer.machine, reading, 0)
        transaction.add([(place, Reading(time=key, received=1, sensors={"heat": 500.0, "removed": 1.0}, score=None))])
    assert one_by_one(store, model, name, [reading]) == of_table(model, [reading])
