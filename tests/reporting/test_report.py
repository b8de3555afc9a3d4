"""The report of a run, compared with golden files in which every number is replaced by N.

`PDM_WRITE_GOLDEN=1 pytest tests/reporting/test_report.py` writes the golden files. Read their diff before you commit it.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.config.params import parse_params
from predictive_maintenance.reporting import chart_style, finished_run
from predictive_maintenance.reporting.report import report_sections, write_report
from predictive_maintenance.reporting.results import exported_metrics
from predictive_maintenance.reporting.revisions import Revision

GOLDEN = Path(__file__).parent / "golden"
EXIT_BELOW_LEVEL = 3


def report_text(run, base=None):
    return "\n\n".join(report_sections(run, ["pr_curve"], "https://mlflow.example", base)) + "\n"


@pytest.mark.parametrize("name", ["first", "second", "rejected"])
def test_the_report_equals_its_golden_file(runs, name):
    masked = re.sub(r"(?<![A-Za-z\d])[+-]?\d+(?:[.,]\d+)*(?:e-?\d+)?", "N", report_text(runs[name]))
    golden = GOLDEN / f"report_{name}.md"
    if os.environ.get("PDM_WRITE_GOLDEN"):
        golden.write_text(masked)
    assert masked == golden.read_text()


def test_the_report_says_why_the_champion_cannot_be_compared(runs):
    run = SimpleNamespace(**vars(runs["second"]))
    comparison = replace(
        run.evaluation.comparison, obstacle="it needs column b, which the held-out rows do not have",
        champion=None, challenger=None, f1_difference=None,
    )  # fmt: skip
    run.evaluation = replace(run.evaluation, comparison=comparison)
    assert "\n\nNot comparable: it needs column b, which the held-out rows do not have.\n\n" in report_text(run)


def test_the_report_says_what_the_other_description_of_the_champion_changed(runs):
    run = SimpleNamespace(**vars(runs["second"]))
    comparison = replace(run.evaluation.comparison, notes=("50 rows are left out (product_type: not one of L, M, H)",))
    run.evaluation = replace(run.evaluation, comparison=comparison)
    assert "\n\nNote: 50 rows are left out (product\\_type\\: not one of L, M, H).\n\n" in report_text(run)


def test_a_base_without_metrics_and_settings_is_reported(run):
    text = report_text(run, Revision("team/a_b_c", {}, None))
    assert "### Comparison with team/a\\_b\\_c\n" in text
    assert "team/a\\_b\\_c has no metrics: no model was trained there" in text
    assert "The settings of team/a\\_b\\_c cannot be read." in text


def test_metrics_and_settings_are_compared_with_those_of_the_base(run):
    metrics = exported_metrics(run.evaluation)
    f1 = metrics["held_out"]["f1"]
    metrics["held_out"]["f1"] = {"value": f1["value"] - 0.25, "low": 0.5, "high": 0.625}
    settings = run.params.model_dump(mode="json")
    settings["training"]["seed"] = 1
    settings["candidates"]["lightgbm"]["fixed"] = {}
    text = report_text(run, Revision("main", metrics, parse_params(settings, "the test")))
    now = f"{f1['value']:.3f} \\[{f1['low']:.3f}, {f1['high']:.3f}\\]"
    assert f"| F1 | {f1['value'] - 0.25:.3f} \\[0.500, 0.625\\] | {now} | +0.250 |" in text
    assert f"| Rows | {run.evaluation.held_out.rows:,} | {run.evaluation.held_out.rows:,} |  |" in text
    assert "| `training.seed` | `1` | `7` |" in text
    assert "| `candidates.lightgbm.fixed.n_estimators` | `none` | `200` |" in text


def test_equal_settings_of_the_base_are_reported(run):
    text = report_text(run, Revision("main", exported_metrics(run.evaluation), run.params))
    assert "The settings are the same." in text


def test_the_report_shows_metrics_and_links_png_files(run, tmp_path):
    text = write_report(run, tmp_path / "made", None).read_text()
    recall = run.evaluation.held_out["recall"]
    assert f"| Recall | {recall.value:.3f} \\[{recall.low:.3f}, {recall.high:.3f}\\] |" in text
    images = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(images) >= 5
    assert all((tmp_path / "made" / image).read_bytes().startswith(b"\x89PNG") for image in images)


def test_the_report_shows_the_trivial_models_beside_the_model(run):
    text, found = report_text(run), run.evaluation
    healthy, counts = found.held_out.rows - found.held_out.failures, found.held_out.confusion
    assert "| Metric | This model | Never alarm | Always alarm |" in text
    detected = f"{counts.true_positives} of {found.held_out.failures}"
    assert f"| Detected failures | {detected} | 0 of {found.held_out.failures} | {found.held_out.failures} of" in text
    assert f"| False alarms on healthy rows | {counts.false_positives} of {healthy:,} | 0 of {healthy:,} |" in text
    always = found.trivial.always_alarm["f1"]
    assert f"| {always.value:.3f} \\[{always.low:.3f}, {always.high:.3f}\\] |" in text


def test_the_report_says_why_there_are_no_scores_forward_in_time(run):
    run.evaluation = replace(run.evaluation, forward=None, forward_note="not available, because there is no time")
    text = report_text(run)
    assert "Forward in time: not available, because there is no time." in text
    assert "| Metric | Held-out rows | Out-of-fold rows |\n" in text


@pytest.mark.parametrize(
    ("level", "required", "code"),
    [
        ("production", "production", 0), ("production", "candidate", 0),
        ("candidate", "production", EXIT_BELOW_LEVEL), ("candidate", "candidate", 0),
        (None, "candidate", EXIT_BELOW_LEVEL), (None, None, 0),
    ],
)  # fmt: skip
def test_the_report_is_written_and_the_exit_code_reports_a_level_below_the_required_one(
    run, tmp_path, monkeypatch, level, required, code
):
    run.outcome = replace(run.outcome, level=level)
    monkeypatch.setattr(chart_style, "save_png", lambda charts, folder: None)  # it takes seconds
    monkeypatch.setattr(finished_run, "load_run", lambda name: run)
    options = ["--fail-below", required] if required else []
    result = CliRunner().invoke(main, ["report", "-o", str(tmp_path / "made"), *options])
    assert result.exit_code == code, result.output
    assert f"TrainFlow/17: {level or 'rejected'}" in result.output
    assert (tmp_path / "made" / "report.md").is_file()


def test_a_folder_that_cannot_be_written_is_an_error_without_a_traceback(run, tmp_path, monkeypatch):
    monkeypatch.setattr(finished_run, "load_run", lambda name: run)
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["report", "-o", str(tmp_path / "file" / "made")])
    assert result.exit_code == 1
    assert f"{tmp_path / 'file' / 'made' / 'figures'}: cannot be written: Not a directory" in result.output
    assert "Traceback" not in result.output
