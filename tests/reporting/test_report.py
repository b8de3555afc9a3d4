"""The report of a first model, of one beside a champion, of a rejected one. Numbers are masked in the golden files.

`PDM_WRITE_GOLDEN=1 pytest tests/test_report.py` writes them anew: look at the difference before it is committed.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import BELOW_THE_LEVEL, main
from predictive_maintenance.config.params import parse_params
from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.evaluate import evaluate, training_fingerprint
from predictive_maintenance.ingestion.merging import SourceRecord
from predictive_maintenance.reporting import results
from predictive_maintenance.reporting.report import sections, write_report
from predictive_maintenance.reporting.revisions import Revision
from predictive_maintenance.tracking.promotion import Outcome
from predictive_maintenance.validation.cleaning import Cleaned

GOLDEN = Path(__file__).parent / "golden"


def finished(small, champion=None, min_recall=0.7):
    """What the last step of a run holds."""
    params = small.params.model_copy(update={"gate": small.params.gate.model_copy(update={"min_recall": min_recall})})
    judged = evaluate(small.trained, small.out_of_fold, small.scorer, small.rows, champion, params)
    level, frame = judged.verdict.level, small.rows.train
    columns = ["source", "row", "reading_id", "column", "value", "reason"]
    bad = pd.DataFrame([["a|b.csv", 3, "r3", "torque_nm", "x", "is not a number, @team <b>"]], columns=columns)
    return SimpleNamespace(
        evaluation=judged,
        outcome=Outcome(
            level=level,
            allowed=level,
            version="2" if level else None,
            replaced=None,
            summary=f"the lightgbm {judged.verdict.summary()}",
            headline="recall 0.8",
            uri="",
        ),
        flow_run="TrainFlow/17",
        commit="c0ffee",
        mlflow_run_id="abc",
        params=params,
        candidate_scores={"lightgbm": small.out_of_fold},
        cleaned=Cleaned(
            frame=frame, quarantine=bad, ingested_rows=len(frame) + 1, quarantined_rows=1, collapsed_duplicates=0
        ),
        records=(
            SourceRecord(
                name="a|b.csv",
                merge="append",
                rows=len(frame) + 1,
                sha256="f" * 64,
                bytes=10,
                dvc_md5=None,
                ignored_columns=(),
            ),
        ),
    )


@pytest.fixture(scope="module")
def ends(small):
    """What runs end with, by what became of their model; the champion is an equal one, of other rows."""
    none_seen = np.array([], dtype=np.uint64)
    champion = BaselineModel(
        version="1",
        scorer=small.scorer,
        training_rows=none_seen,
        training_fingerprint="other than " + training_fingerprint(small.rows.train),
    )
    return {
        "first": finished(small),
        "second": finished(small, champion),
        "rejected": finished(small, min_recall=0.999),
    }


@pytest.fixture
def end(ends):
    """A copy of the first one's, for a test to change."""
    return SimpleNamespace(**vars(ends["first"]))


@pytest.mark.parametrize("name", ["first", "second", "rejected"])
def test_the_report_reads_as_it_was_agreed(ends, name):
    end = ends[name]
    text = "\n\n".join(sections(end, ["pr_curve"], "https://mlflow.example")) + "\n"
    masked = re.sub(r"(?<![A-Za-z\d])[+-]?\d+(?:[.,]\d+)*(?:e-?\d+)?", "N", text)
    golden = GOLDEN / f"report_{name}.md"
    if os.environ.get("PDM_WRITE_GOLDEN"):
        golden.write_text(masked)
    assert masked == golden.read_text()


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (Revision("main", {}, None), ["It has no metrics yet", "Its settings cannot be read."]),
        (Revision("team/a_b_c", {}, None), ["### Against team/a\\_b\\_c"]),
    ],
)
def test_a_base_that_has_nothing_to_compare_with_is_said(end, base, said):
    text = "\n".join(sections(end, [], None, base))
    assert [words for words in said if words not in text] == []


def test_metrics_and_settings_stand_beside_those_of_the_base(end):
    exported = results._metrics(end.evaluation)
    f1 = exported["held_out"]["f1"]
    exported["held_out"]["f1"] = {"value": f1["value"] - 0.25, "low": 0.5, "high": 0.625}
    settings = end.params.model_dump(mode="json")
    settings["training"]["seed"] = 1
    settings["candidates"]["lightgbm"]["fixed"] = {}
    base = Revision("main", exported, parse_params(settings, "the test"))
    text = "\n".join(sections(end, [], None, base))
    now = f"{f1['value']:.3f} \\[{f1['low']:.3f}, {f1['high']:.3f}\\]"
    assert f"| F1 | {f1['value'] - 0.25:.3f} \\[0.500, 0.625\\] | {now} | +0.250 |" in text
    assert f"| Rows | {end.evaluation.held_out.rows:,} | {end.evaluation.held_out.rows:,} |  |" in text
    assert "| `training.seed` | `1` | `7` |" in text
    assert "| `candidates.lightgbm.fixed.n_estimators` | `none` | `200` |" in text
    same = "\n".join(sections(end, [], None, replace(base, params=end.params)))
    assert "The settings are the same." in same


def test_a_report_has_its_numbers_and_their_pictures(end, tmp_path):
    text = write_report(end, tmp_path / "made", None).read_text()
    recall = end.evaluation.held_out["recall"]
    assert f"| Recall | {recall.value:.3f} \\[{recall.low:.3f}, {recall.high:.3f}\\] |" in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) >= 5
    assert all((tmp_path / "made" / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)


@pytest.mark.parametrize(
    ("level", "required", "code"),
    [
        ("production", "production", 0), ("production", "candidate", 0),
        ("candidate", "production", BELOW_THE_LEVEL), ("candidate", "candidate", 0),
        (None, "candidate", BELOW_THE_LEVEL), (None, None, 0),
    ],
)  # fmt: skip
def test_a_job_ends_red_below_the_level_that_is_required_and_the_report_is_written_all_the_same(
    end, tmp_path, monkeypatch, level, required, code
):
    end.outcome = replace(end.outcome, level=level)
    monkeypatch.setattr(results, "run_end", lambda run: end)
    asked = ["--require", required] if required else []
    done = CliRunner().invoke(main, ["report", "-o", str(tmp_path / "made"), *asked])
    assert done.exit_code == code, done.output
    assert f"TrainFlow/17: {level or 'rejected'}" in done.output
    assert (tmp_path / "made" / "report.md").is_file()


def test_a_folder_that_cannot_be_made_is_told_without_a_traceback(end, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "run_end", lambda run: end)
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(main, ["report", "-o", str(tmp_path / "file" / "made")])
    assert done.exit_code == 1
    assert "cannot be written" in done.output


def test_a_rejected_model_that_is_exported_is_not_taken_for_the_version_that_lay_there(
    ends, small, tmp_path, monkeypatch
):
    end = SimpleNamespace(**vars(ends["rejected"]), files=small.files, rows=small.rows)
    trials = {"trial": [1, 2], "state": ["complete", "pruned"], "pr_auc": [0.9, np.nan]}
    end.trained = replace(small.trained, trials=pd.DataFrame(trials))
    monkeypatch.setattr(results, "run_end", lambda run: end)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "version.json").write_text("version 1's")
    results.export_results(tmp_path)
    assert not (tmp_path / "models" / "version.json").exists()
    assert (tmp_path / "models" / "model.onnx").read_bytes() == small.files["model.onnx"]
    assert pd.read_csv(tmp_path / "plots" / "trials.csv").to_dict("list") == {"trial": [1], "pr_auc": [0.9]}
