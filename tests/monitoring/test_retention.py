"""What the service keeps too short for monitoring is a warning with the setting and the number of days that are needed."""

from dataclasses import replace

import pytest

from predictive_maintenance.config.params import EvaluationSettings, MonitoringSettings
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.monitoring.production import Rules, recent_windows
from predictive_maintenance.monitoring.retention import needed_days, retention_warnings
from predictive_maintenance.store.retention import retention_days
from predictive_maintenance.store.rows import Actor, AuditEntry
from predictive_maintenance.store.store import Store
from tests.dashboard.stored_machines import turbofan

from .test_production import NOW, RULES, watched_version


@pytest.fixture
def store(empty_store_url):
    store = Store.open(empty_store_url, timeout_seconds=5)
    yield store
    store.close()


def days_read(store, small, **settings):
    rules = Rules(
        monitoring=MonitoringSettings(window_days=7, windows=5, performance_windows=4, **settings),
        evaluation=EvaluationSettings(bootstrap_samples=200, confidence=0.95, min_assessable_failures=10),
    )
    watched = watched_version(small)
    return needed_days(watched, list(recent_windows(store, watched, rules, NOW)))


def test_windows_performance_and_late_labels_are_needed(store, small):
    assert days_read(store, small) == 5 * 7 + 4 * 7
    assert days_read(store, small, label_days=10) == 5 * 7 + 4 * 7 + 10


def test_the_horizon_of_the_label_is_needed(store, small_pump):
    assert days_read(store, small_pump) == 5 * 7 + 4 * 7 + 1


def test_labels_that_are_never_known_are_not_waited_for(store, small):
    windows = list(recent_windows(store, watched_version(small), RULES, NOW))
    run_to_failure = replace(watched_version(small), machine=turbofan())
    assert (needed_days(watched_version(small), windows), needed_days(run_to_failure, windows)) == (7, 4)


def test_a_warning_names_the_setting_and_the_days():
    (warning,) = retention_warnings({"PDM_PREDICTION_LOG_DAYS": 30, "PDM_STORE_RETENTION_DAYS": 365}, 56.5)
    assert warning.startswith("PDM_PREDICTION_LOG_DAYS of the service is 30 days, and monitoring reads 56.5: ")
    assert "set PDM_PREDICTION_LOG_DAYS to at least 57, or decrease monitoring.windows" in warning


@pytest.mark.parametrize("needed", [30, 30.0000001, 29.5])
def test_what_is_kept_long_enough_is_no_warning(needed):
    assert retention_warnings({"PDM_PREDICTION_LOG_DAYS": 30}, needed) == []


def test_the_settings_that_the_service_recorded_count(store, monkeypatch):
    monkeypatch.setenv("PDM_PREDICTION_LOG_DAYS", "20")
    detail = {"prediction_log_days": 30.0, "store_retention_days": 40.0}
    entry = AuditEntry(at=1, action="settings", actor=Actor("service"), subject="service", detail=detail)
    later = replace(entry, actor=Actor("ana"), subject="monitor", detail={"monitoring.windows": 5})
    with store.writing() as transaction:
        transaction.add_audit("pumps", [entry, later])
    assert retention_days(store, "pumps") == {"PDM_STORE_RETENTION_DAYS": 40, "PDM_PREDICTION_LOG_DAYS": 30}
    assert retention_days(store, "others") == {"PDM_STORE_RETENTION_DAYS": 365, "PDM_PREDICTION_LOG_DAYS": 20}


def test_days_that_are_no_number_are_an_error_with_the_variable(store, monkeypatch):
    monkeypatch.setenv("PDM_STORE_RETENTION_DAYS", "a year")
    with pytest.raises(ConfigError, match="PDM_STORE_RETENTION_DAYS: 'a year' is not a number of days"):
        retention_days(store, "pumps")
