"""A training is started when the last one is as old as the schedule says: once, whatever clocks, restarts and monitors do."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from types import SimpleNamespace

import pytest

from predictive_maintenance.config.params import MonitoringSettings, parse_params
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.monitoring.incidents import follow, give_back, may_train, open_incident
from predictive_maintenance.monitoring.schedule import claim_scheduled, is_due
from predictive_maintenance.store.store import Store

DAY = 86_400
NOW = datetime(2026, 6, 8, 12, tzinfo=UTC).timestamp()  # a Monday
PUMPS = SimpleNamespace(model="pumps", version="3")
WEEKLY = MonitoringSettings(windows=1, least=1, retrain="here", retrain_every_days=7, retrain_at="03:17")


def at(text):
    return datetime.fromisoformat(f"2026-06-{text}+00:00").timestamp()


def trained(store, now, last_run=0.0, settings=WEEKLY):
    """Whether a check at `now` starts a training."""
    return claim_scheduled(store, PUMPS, settings, lambda: last_run, now) is not None


def open_drift(store, now):
    windows = [SimpleNamespace(findings=())]
    return follow(store, PUMPS, windows, ["warm"], WEEKLY, now)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        ("01 03:30", "08 03:16", False),
        ("01 03:30", "08 03:18", True),  # although a check was late a week ago
        ("01 18:00", "08 03:18", True),  # started by hand
        ("02 03:00", "08 03:18", True),  # before the day began
        ("02 03:18", "08 23:59", False),
        ("08 03:18", "08 03:20", False),
    ],
)
def test_it_is_due_at_a_time_of_the_day(last, now, due):
    assert is_due(WEEKLY, at(last), at(now)) is due


def test_without_a_schedule_the_registry_is_not_asked(store):
    def fail():
        raise AssertionError

    assert claim_scheduled(store, PUMPS, MonitoringSettings(), fail, NOW) is None


def test_a_training_is_an_incident_that_its_schedule_closes(store):
    incident = claim_scheduled(store, PUMPS, WEEKLY, lambda: 0.0, NOW)
    assert store.incidents("pumps", most=9) == [incident]
    assert (incident.opened, incident.closed, incident.trained, incident.closed_by) == (NOW, NOW, NOW, "schedule")
    assert incident.reasons == ("no training in 7 days (monitoring.retrain_every_days)",)


def test_a_training_that_the_registry_knows_counts(store):
    assert not trained(store, NOW, last_run=NOW - DAY)
    assert trained(store, NOW, last_run=NOW - 8 * DAY)


def test_a_training_of_another_model_does_not_count(store):
    assert trained(store, NOW)
    assert claim_scheduled(store, SimpleNamespace(model="fans", version="3"), WEEKLY, lambda: 0.0, NOW) is not None


def test_two_monitors_at_once_start_one(stores):
    together = Barrier(2)

    def check(store, model):
        together.wait()
        return claim_scheduled(store, SimpleNamespace(model=model, version="3"), WEEKLY, lambda: 0.0, NOW) is not None

    with ThreadPoolExecutor(2) as pool:
        for model in (f"pumps {number}" for number in range(10)):
            assert sum(pool.map(check, stores, [model, model])) == 1


def test_a_monitor_that_restarts_does_not_start_it_again(empty_store_url):
    started = []
    for minute in range(3):
        store = Store.open(empty_store_url, timeout_seconds=5)
        started.append(trained(store, NOW + 60 * minute))
        store.close()
    assert started == [True, False, False]


def test_a_training_for_an_incident_counts_and_an_incident_waits_for_one(store):
    open_drift(store, NOW)
    assert may_train(store, open_incident(store, PUMPS), WEEKLY, NOW)
    assert not trained(store, NOW + DAY)
    assert trained(store, NOW + 7 * DAY)
    follow(store, PUMPS, [SimpleNamespace(findings=())], [], WEEKLY, NOW + 8 * DAY)
    open_drift(store, NOW + 9 * DAY)
    assert not may_train(store, open_incident(store, PUMPS), WEEKLY, NOW + 9 * DAY)
    assert may_train(store, open_incident(store, PUMPS), WEEKLY, NOW + 14 * DAY)


def test_an_open_incident_stays_the_open_one_and_is_listed_first(store):
    open_drift(store, NOW)
    assert trained(store, NOW + 1)
    assert open_drift(store, NOW + 2) == []
    assert open_incident(store, PUMPS).reasons == ("warm",)
    assert [incident.closed_by for incident in store.incidents("pumps", most=2)] == [None, "schedule"]
    (closed,) = follow(store, PUMPS, [SimpleNamespace(findings=())], [], WEEKLY, NOW + 3)
    assert (closed.incident.reasons, closed.incident.closed_by) == (("warm",), "resolved")


def test_a_clock_that_jumps_forward_starts_one_more_and_blocks_none(store):
    years = 10 * 365 * DAY
    assert trained(store, NOW)
    assert trained(store, NOW + years)
    assert not trained(store, NOW + years + DAY, last_run=NOW + years)
    assert not trained(store, NOW + DAY, last_run=NOW + years)  # right again
    assert trained(store, NOW + 7 * DAY, last_run=NOW + years)
    assert not trained(store, NOW + 8 * DAY)


def test_a_wrong_clock_does_not_block_the_training_for_an_incident(store):
    assert trained(store, NOW + 365 * DAY)
    open_drift(store, NOW)
    assert may_train(store, open_incident(store, PUMPS), WEEKLY, NOW)


def test_a_clock_that_jumps_back_starts_one_and_not_at_each_check(store):
    assert trained(store, NOW)
    back = NOW - 365 * DAY
    assert [trained(store, back + hour * 3600) for hour in range(3)] == [True, False, False]
    assert not trained(store, NOW + DAY)


def test_clocks_that_differ_by_minutes_start_one(stores):
    assert trained(stores[0], NOW + 600)
    assert not trained(stores[1], NOW)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"retrain_every_days": 7},
            "retrain_every_days is 7, and retrain is never: write here, batch or repository_dispatch",
        ),
        ({"retrain_at": "24:00"}, "monitoring.retrain_at: String should match pattern"),
        ({"retrain_every_days": 0, "retrain": "here"}, "greater than or equal to 1"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_an_error(params, changed, message):
    raw = params.model_dump(mode="json")
    raw["monitoring"] |= changed
    with pytest.raises(ConfigError, match=message):
        parse_params(raw, "params.yaml")


def test_trainings_that_were_not_started_leave_no_incidents(store):
    for minute in range(3):
        give_back(store, claim_scheduled(store, PUMPS, WEEKLY, lambda: 0.0, NOW + minute))
        assert store.incidents("pumps", most=9) == []
