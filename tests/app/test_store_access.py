"""What has expired is removed some at a time, behind what stays, until nothing is left."""

import time

import pytest

from app.metrics import Metrics
from app.serving import audit_log
from app.serving.store_access import StoreAccess, StoreOptions
from predictive_maintenance.store import store as store_module
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Actor, AuditEntry, Reading
from tests.fixtures.servers import wait_for

DAY = 86_400


@pytest.fixture
def access(tmp_path):
    """A store of pumps from which readings are removed after 10 days, predictions after 20, and audit entries after 30."""
    access = StoreAccess(
        StoreOptions(
            url=f"sqlite:///{tmp_path / 'store.db'}", model_name="pumps", timeout_seconds=5, synchronous="normal",
            retention_days=10, prediction_days=20, audit_days=30, max_clock_skew_seconds=60,
        )
    )  # fmt: skip
    yield access
    access.close()


def add(access, model, machine_id, readings):
    """Add readings that arrived long ago."""
    with access.open().writing() as transaction:
        machine = transaction.machines(model, [machine_id])[machine_id]
        transaction.add(
            [(machine, Reading(time=time, received=1, sensors={"flow": 1.0}, score=None)) for time in range(readings)]
        )


def numbers(access):
    return [access.open().number_of_readings(model) for model in ("fans", "pumps")]


def test_each_kind_is_kept_for_its_own_days(access):
    ages, now = (5, 15, 25, 35), int(time.time())
    with access.open().writing() as transaction:
        machine = transaction.machines("pumps", ["P1"])["P1"]
        for age in ages:
            at = now - age * DAY
            scored = Predictions(
                scored=at * 10**6,
                request_id="r",
                failure_probability=[0.5],
                predicted_failure=[True],
                inputs={"flow": [1.0]},
            )
            transaction.add([(machine, Reading(time=-age, received=at, sensors={"flow": 1.0}, score=None))])
            transaction.log("pumps", 1, [LoggedBlock(number=age, version="1", block=scored.as_block())])
            entry = AuditEntry(at=at, action="events", actor=Actor("ana"), subject="P1", detail={})
            transaction.add_audit("pumps", [entry])
    access.purge()
    store = access.open()
    assert [-one.time for one in store.machine("pumps", "P1", most=9)[1]] == [5]
    assert [(now - one.scored // 10**6) // DAY for _, one in store.predictions("pumps")] == [15, 5]
    assert [(now - one.at) // DAY for one in store.audit("pumps", most=9)] == [25, 15, 5]


def test_old_readings_behind_many_of_another_model_are_removed(access, monkeypatch):
    monkeypatch.setattr(store_module, "_EXPIRED_AT_A_TIME", 2)
    add(access, "fans", "F1", 3)
    add(access, "pumps", "P1", 3)
    left = []
    for _ in range(4):
        access.purge()
        left.append(numbers(access))
    assert left == [[3, 3], [3, 2], [3, 0], [3, 0]]


def test_all_that_has_expired_is_removed_though_nothing_is_written(access, monkeypatch):
    monkeypatch.setattr(store_module, "_EXPIRED_AT_A_TIME", 2)
    monkeypatch.setattr(audit_log, "_PURGE_PAUSE_SECONDS", 0.01)
    add(access, "pumps", "P1", 9)
    log = audit_log.AuditLog(access, Metrics(), "pumps", seconds=0.1)
    log.start()
    wait_for(lambda: numbers(access) == [0, 0])
    log.close(5)


def test_old_readings_of_a_store_that_was_opened_again_are_removed(access):
    """It may be another one, such as a backup that was restored."""
    add(access, "pumps", "P2", 1)
    add(access, "pumps", "P1", 1)
    access.purge()
    access.close()
    add(access, "pumps", "P1", 1)
    access._next_purge = 0.0  # ten minutes later
    access.purge()
    assert numbers(access) == [0, 0]
