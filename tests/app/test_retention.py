"""A store that removes what windows still need is a warning at the start and in the health."""

import pytest

from app.serving.retention import retention_warning
from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.machine.milling import MILLING
from tests.dashboard.stored_machines import turbofan
from tests.fixtures.pumps import DESCRIPTION, pump

from .conftest import MemoryRegistry, start_client


@pytest.mark.parametrize(("days", "is_short"), [(1, True), (1.99, True), (2, False), (365, False)])
def test_the_longest_window_or_count_of_events_decides(days, is_short):
    warning = retention_warning(pump(), days)
    assert bool(warning) == is_short
    if warning:
        assert "the longest window of the test pump, 48 h: windows lose their beginning" in warning


def test_windows_of_readings_counters_and_machines_without_history_have_no_length_in_days():
    by_readings = DESCRIPTION.replace("windows: [12h]", "windows: [5 readings]").replace("count_over: [12h, 48h], ", "")
    by_readings = by_readings.replace(
        "features: {errors_a_day: {label: Errors a day, formula: errors_count_48h / 2}}\n", ""
    )
    for machine in (parse_machine(by_readings), turbofan(), MILLING):
        assert retention_warning(machine, 0.01) is None


def test_the_service_says_so_at_the_start(small_pump, pump_params, checked_files, tmp_path, enter, capsys):
    registry = MemoryRegistry(versions={"1": dict(small_pump.files)}, alias="1")
    client = enter(start_client(registry, pump_params, tmp_path, checked_files, store_retention_days=1))
    health = client.get("/health").json()
    assert health["status"] == "degraded"
    assert "readings are kept for 1 days, shorter than the longest window of the test pump" in str(health)
    assert "retention of the store is too short" in capsys.readouterr().out
