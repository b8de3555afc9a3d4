"""The log of predictions on SQLite and on PostgreSQL: what is written, read in pages, and removed."""

import pytest

from predictive_maintenance.store import store as store_module
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.store import Store


@pytest.fixture
def store(empty_store_url):
    store = Store.open(empty_store_url, timeout_seconds=0.3)
    yield store
    store.close()


def predictions(scored, count=2, **values):
    return Predictions(
        scored=scored,
        request_id="r",
        failure_probability=[0.25] * count,
        predicted_failure=[True] + [False] * (count - 1),
        **values,
    )


def log(store, *numbers, writer=1, model="engine", version="3"):
    blocks = [LoggedBlock(number=one, version=version, block=predictions(one * 1000).as_block()) for one in numbers]
    with store.writing() as transaction:
        transaction.log(model, writer, blocks)


def starts(store, **interval):
    return [found.scored for _, found in store.predictions("engine", **interval)]


def test_predictions_are_read_as_they_were_written(store):
    written = predictions(
        [7, 8],
        row=[1, 3],
        reading_id=["größer", None],
        machine_id=["E\0", "E1"],
        time=[-(2**63), 2**63 - 1],
        inputs={"torque_nm": [0.1 + 0.2, None], "type": ["L", "M"]},
    )
    with store.writing() as transaction:
        transaction.log("engine", 2**63 - 1, [LoggedBlock(number=1, version="3", block=written.as_block())])
    assert list(store.predictions("engine")) == [("3", written)]


def test_a_number_that_is_not_finite_is_missing():
    block = predictions(7, inputs={"torque_nm": [float("nan"), 1.0]}).as_block()
    assert Predictions.from_json(block.content).inputs == {"torque_nm": [None, 1.0]}
    assert (block.began, block.rows, block.alarms) == (7, 2, 1)


def test_a_block_that_is_written_again_is_there_once(store):
    log(store, 1, 2)
    log(store, 2, 3)
    log(store, 2, writer=2)
    assert starts(store) == [1000, 2000, 2000, 3000]


def test_the_log_is_read_in_pages_of_one_model_and_interval(store, monkeypatch):
    monkeypatch.setattr(store_module, "_BLOCKS_AT_A_TIME", 2)
    log(store, *range(1, 8))
    log(store, 3, model="another")
    assert starts(store) == [number * 1000 for number in range(1, 8)]
    assert starts(store, since=2000, until=5000) == [2000, 3000, 4000]


def test_old_predictions_are_removed_some_at_a_time(store, monkeypatch):
    monkeypatch.setattr(store_module, "_EXPIRED_AT_A_TIME", 2)
    log(store, *range(1, 6))
    log(store, 1, 2, 3, writer=2, model="another")
    left = []
    for _ in range(3):
        with store.writing() as transaction:
            more = transaction.remove_predictions_before("engine", 4000)
        left.append((more, starts(store)))
    assert left == [(True, [3000, 4000, 5000]), (False, [4000, 5000]), (False, [4000, 5000])]
    assert len(list(store.predictions("another"))) == 3
