"""The monitoring page: what to do before the first check, and what a check found."""

from dataclasses import replace

import pytest

from predictive_maintenance.monitoring.inputs import Inputs
from predictive_maintenance.monitoring.production import SilentMachine
from predictive_maintenance.monitoring.production_check import save_check
from predictive_maintenance.store.store import Store
from tests.app.test_monitoring import CHECKED, a_check, finding, window

from .conftest import page_text


@pytest.fixture
def store(transport, tmp_path):
    transport.service.get("/monitoring")
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    yield store
    store.close()


def test_without_a_check_the_page_shows_the_command(open_page):
    page = open_page("monitoring")
    assert "Set `PDM_STORE_URL`" in page_text(page)
    assert [code.value for code in page.code] == ["predictive-maintenance monitor --watch --every 60"]


def test_the_commands_are_for_the_machine_of_the_service(open_page, store, monkeypatch):
    monkeypatch.setenv("PDM_MACHINE", "fleet")
    assert [code.value for code in open_page("monitoring").code] == [
        "predictive-maintenance monitor --watch --every 60 --machine fleet"
    ]
    save_check(store, a_check(), CHECKED)
    assert "`python flows/train_flow.py run --machine fleet`" in page_text(open_page("monitoring"))


def test_windows_performance_and_differences_are_shown(open_page, store):
    save_check(store, a_check(), CHECKED)
    text = page_text(open_page("monitoring"))
    assert "**Production differs from training or evaluation.**" in text
    assert "Version 1, checked at 2027-01-15 08:00 UTC" in text
    assert "- distribution of Torque: mean 65 Nm" in text
    assert "| 2027-01-15 07:59:59 to 2027-01-15 08:00:00 | 900 | 100 (10.0%) | ⚠️ distribution of Torque |" in text
    assert "| Precision | 0.900 (0.800 to 1.000) | — | 40 predicted failures |" in text
    assert "| Recall | — | 0.800 (0.700 to 0.900) | not available: *nobody* knows |" in text
    assert "40 have a label from feedback on predictions; 36 are failures" in text
    assert "|  | distribution of Tool wear |" in text
    assert "M1 (since 2027-01-14 07:00), M2 (since 2027-01-13 06:00)" in text


def test_windows_without_a_difference_and_with_few_readings_are_shown_as_such(open_page, store):
    calm = [window(CHECKED - 2, None), window(CHECKED - 1, [finding(low=0.0)])]
    save_check(store, a_check(windows=calm, lasting=[], silent=[]), CHECKED)
    text = page_text(open_page("monitoring"))
    assert "**No lasting difference.**" in text
    assert "| no difference |" in text
    assert "| too few readings to compare |" in text
    assert "Silent machines" not in text


def test_a_window_that_is_shorter_than_the_intervals_of_rejected_readings_says_so(open_page, store):
    of_window = window(CHECKED - 1, [])
    save_check(store, a_check(windows=[of_window]), CHECKED)
    assert "intervals of ten minutes" not in page_text(open_page("monitoring"))
    save_check(store, a_check(windows=[replace(of_window, inputs=Inputs(fields={}))]), CHECKED + 1)
    text = page_text(open_page("monitoring"))
    assert "| 900 | — |" in text
    assert (
        "— for rejected readings: the service counts them in intervals of ten minutes, and none of these began in"
        in text
    )


def test_a_newest_window_with_few_readings_is_not_shown_as_calm(open_page, store):
    windows = [window(CHECKED - 2, [finding(low=0.0)]), window(CHECKED - 1, None)]
    save_check(store, a_check(windows=windows, lasting=[], silent=[]), CHECKED)
    text = page_text(open_page("monitoring"))
    assert "**The newest window was not compared:** it has too few readings. Version 1, checked at" in text
    assert "No lasting difference" not in text


def test_names_from_the_store_are_not_rendered_as_markdown(open_page, store):
    save_check(store, a_check(silent=[SilentMachine("![x](http://evil/x.png)", CHECKED)]), CHECKED)
    page = open_page("monitoring")
    assert "![x]" not in "\n".join(element.value for element in page.markdown)
    assert "![x](http://evil/x.png)" in page_text(page)


def test_a_store_that_cannot_be_used_is_reported(open_page, transport):
    transport.answers["/monitoring"] = (503, {"detail": "the file of the store is gone"})
    assert "The latest check could not be read.** the file of the store is gone" in page_text(open_page("monitoring"))
