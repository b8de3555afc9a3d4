"""Exported results of a run."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.errors import DataError
from predictive_maintenance.reporting.results import export_results


@pytest.fixture
def rejected(runs, small):
    trials = pd.DataFrame({"trial": [1, 2], "state": ["complete", "pruned"], "pr_auc": [0.9, np.nan]})
    return SimpleNamespace(**{**vars(runs["rejected"]), "trained": replace(small.trained, trials=trials)})


def test_an_export_writes_tables_model_metrics_and_plots(rejected, small, tmp_path):
    written = export_results(rejected, tmp_path)
    assert written == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(pd.read_parquet(tmp_path / "data" / "features" / "held_out.parquet")) == len(small.rows.test)
    models = {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()}
    assert models == {name: small.files[name] for name in models}
    assert "training_rows.npy" in models
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["held_out"]["f1"]["value"] == rejected.evaluation.held_out["f1"].value
    assert metrics["gate"]["Recall on held-out rows"] is False
    assert metrics["gate"]["Better than always alarming on out-of-fold rows"] is True
    assert list(metrics["gate"]) == [check.name for check in rejected.evaluation.verdict.checks]
    assert pd.read_csv(tmp_path / "plots" / "trials.csv").to_dict("list") == {"trial": [1], "pr_auc": [0.9]}


def test_an_export_has_the_merged_rows_before_cleaning(rejected, tmp_path):
    export_results(rejected, tmp_path)
    merged = pd.read_parquet(tmp_path / "data" / "processed" / "merged.parquet")
    clean = pd.read_parquet(tmp_path / "data" / "processed" / "readings.parquet")
    assert len(merged) == rejected.cleaned.ingested_rows == len(clean) + 1
    assert merged["torque_nm"].isna().sum() == 1


def test_the_export_of_a_rejected_model_removes_the_version_file_of_a_former_one(rejected, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "version.json").write_text("of version 1")
    export_results(rejected, tmp_path)
    assert not (tmp_path / "models" / "version.json").exists()


def test_the_export_of_a_registered_model_has_a_version_file(rejected, runs, tmp_path):
    registered = SimpleNamespace(
        **{**vars(rejected), "outcome": runs["first"].outcome, "finished_at": datetime.now(UTC), "tags": {"a": "b"}}
    )
    export_results(registered, tmp_path)
    note = json.loads((tmp_path / "models" / "version.json").read_text())
    assert (note["version"], note["aliases"], note["run_id"], note["tags"]) == ("2", ["production"], "abc", {"a": "b"})


def test_a_folder_that_cannot_be_written_is_named(rejected, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=f"{tmp_path / 'file' / 'made'}: cannot be written: Not a directory"):
        export_results(rejected, tmp_path / "file" / "made")
