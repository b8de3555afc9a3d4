"""The models page."""

import json

from predictive_maintenance.scorer.version_files import THRESHOLDS_FILE

from .conftest import page_text
from .test_status_page import fail


def test_versions_have_verdict_intervals_and_aliases(open_page):
    text = page_text(open_page("models"))
    assert "| **1** (served) | production | 🟢 passes every check | 0.850 [0.750, 0.900]" in text
    assert "🟡 stays a candidate, because a check failed: Recall | 0.650 [0.550, 0.700]" in text


def test_the_challengers_quality_gate_is_shown_check_by_check(open_page):
    text = page_text(open_page("models"))
    assert "Quality gate of version 2" in text
    assert "❌ | Recall on held-out rows | 0.650 | >= 0.7 | too low" in text


def test_another_threshold_is_evaluated_on_the_held_out_rows(open_page):
    page = open_page("models")
    page.select_slider[0].set_value(0.01).run()
    text = page_text(page)
    assert "9 of 9 failures caught" in text
    assert "0.701 to 1.000; 9 of 9 failures caught" in text
    assert "30 of 39 alarms are false" in text
    assert "900 held-out rows" in text
    assert "For information only" in text


def test_other_costs_change_the_cost_at_a_threshold(open_page):
    page = open_page("models")
    page.select_slider[0].set_value(0.5).run()
    page.number_input[0].set_value(9000.0).run()
    page.number_input[1].set_value(900.0).run()
    assert "11,000 EUR" in page_text(page)  # (1 missed x 9,000 + 1 false x 900) / 900 rows x 1,000


def test_all_selectable_thresholds_have_different_labels(open_page, full_registry, small):
    counts = {"threshold": [0.11111, 0.11112, 0.5], "true_positives": [9, 9, 1], "false_positives": [4, 3, 0]}
    files = {**small.files, THRESHOLDS_FILE: json.dumps({"rows": 900, "failures": 9} | counts).encode()}
    full_registry.versions["1"] = files
    slider = open_page("models").select_slider[0]
    assert len(set(slider.options)) == len(slider.options) == 3


def test_a_version_without_thresholds_is_reported(open_page, full_registry, small):
    full_registry.versions["1"] = small.files
    assert "Other thresholds are not available" in page_text(open_page("models"))


def test_a_page_without_versions_is_complete_when_the_versions_arrive(open_page, monitor):
    versions = monitor.api.versions
    monitor.api.versions = fail("timed out")
    page = open_page("models")
    assert "Versions will be shown when the service responds" in page_text(page)
    assert "timed out" in page_text(page)
    monitor.api.versions = versions
    assert "passes every check" in page_text(page.run())


def test_with_an_mlflow_server_runs_and_versions_are_links(open_page, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    page = open_page("models")
    assert "[TrainFlow/3](http://mlflow:5000/#/experiments/1/runs/run-of-3)" in page_text(page)
    assert [button.proto.url for button in page.get("link_button")] == [
        "http://mlflow:5000/#/experiments/1/runs/run-of-1",
        "http://mlflow:5000/#/experiments/1/runs/run-of-1/artifacts/cards/evaluate.html",
        "http://mlflow:5000/#/models/predictive_maintenance/versions/1",
    ]


def test_without_an_mlflow_server_the_page_shows_the_command_that_starts_one(open_page, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    assert "mlflow ui --backend-store-uri" in page_text(open_page("models"))
