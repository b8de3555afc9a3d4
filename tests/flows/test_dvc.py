"""DVC in a clone of the project with a remote on S3 (moto): the stage and DVC's commands."""

import json

import pytest
import yaml

from machines.milling.simulator import simulate
from tests.fixtures.dvc_projects import training_runs

pytestmark = [pytest.mark.flow, pytest.mark.long]


def test_git_stores_metrics_and_pointers_and_dvc_stores_data_and_models(plant):
    files = plant.run("git", "ls-files").split()
    assert "data/raw/readings.csv.dvc" in files
    assert "dvc.lock" in files
    assert "metrics.json" in files
    assert "plots/thresholds.csv" in files
    assert not [
        name for name in files if name.startswith(("models/", "data/")) and not name.endswith((".dvc", ".gitkeep"))
    ]
    assert plant.run("git", "status", "--porcelain") == ""


def test_status_shows_the_data_and_the_commit_of_the_version(plant):
    md5 = yaml.safe_load((plant.root / "data/raw/readings.csv.dvc").read_text())["outs"][0]["md5"]
    commit = plant.run("git", "rev-parse", "HEAD~1").strip()
    status = plant.run("python", "-m", "predictive_maintenance", "status")
    assert "data        data/raw/readings.csv, 6,000 rows" in status
    assert f"DVC {md5}" in status
    assert f"code        {commit}\n" in status


def test_the_report_handles_a_base_without_metrics_and_rejects_an_unknown_one(plant):
    plant.run("python", "-m", "predictive_maintenance", "report", "--compare-to", "HEAD~1")
    assert "has no metrics: no model was trained there" in (plant.root / "report" / "report.md").read_text()
    with pytest.raises(AssertionError, match="revision 'nowhere' cannot be compared with: unknown Git revision"):
        plant.run("python", "-m", "predictive_maintenance", "report", "--compare-to", "nowhere")


def test_repro_skips_training_if_nothing_has_changed(plant):
    before = training_runs(plant)
    assert "didn't change, skipping" in plant.run("dvc", "repro")
    assert training_runs(plant) == before


def test_a_fresh_clone_pulls_data_and_model_and_skips_training(plant, tmp_path):
    clone = plant.clone(tmp_path / "clone")
    clone.run("dvc", "pull")
    for name in (
        "data/raw/readings.csv",
        "data/processed/readings.parquet",
        "models/model.onnx",
        "models/version.json",
    ):
        assert (clone.root / name).read_bytes() == (plant.root / name).read_bytes()
    assert "didn't change, skipping" in clone.run("dvc", "repro")
    assert training_runs(clone) == 0


def test_metrics_params_and_plots_of_two_branches_can_be_compared(plant, tmp_path):
    """A changed setting causes a training run; DVC and the report show the changed setting and metrics."""
    branch = plant.clone(tmp_path / "branch")
    branch.run("git", "switch", "--quiet", "--create", "more-trees")
    branch.run("dvc", "pull")
    branch.change(training={"seed": 8})
    branch.run("dvc", "repro")
    branch.commit("Another seed")
    assert training_runs(branch) == 1
    params = branch.json("dvc", "params", "diff", "main", "more-trees")
    assert params == {"params.yaml": {"training.seed": {"old": 7, "new": 8, "diff": 1}}}
    metrics = branch.json("dvc", "metrics", "diff", "main", "more-trees")["metrics.json"]
    before = json.loads(branch.run("git", "show", "main:metrics.json"))
    after = json.loads((branch.root / "metrics.json").read_text())
    assert before["held_out"]["rows"] == after["held_out"]["rows"]
    assert metrics["threshold"]["old"] == before["threshold"]
    assert metrics["threshold"]["new"] == after["threshold"]
    assert metrics["held_out.pr_auc.value"]["diff"] == pytest.approx(
        after["held_out"]["pr_auc"]["value"] - before["held_out"]["pr_auc"]["value"], abs=1e-4
    )
    branch.run("python", "-m", "predictive_maintenance", "report", "--compare-to", "main")
    report = (branch.root / "report" / "report.md").read_text()
    assert "| `training.seed` | `7` | `8` |" in report
    assert f"| PR-AUC | {before['held_out']['pr_auc']['value']:.3f} \\[" in report
    plots = branch.json("dvc", "plots", "diff", "main", "more-trees")
    assert "errors" not in plots
    assert set(plots["data"]) == {
        "precision over recall", "cost over thresholds", "calibration", "importances", "trials"
    }  # fmt: skip
    for (drawn,) in plots["data"].values():
        assert {point["rev"] for point in points(drawn)} == {"main", "more-trees"}


def points(drawn) -> list[dict]:
    return drawn["content"]["data"]["values"]


def test_a_new_file_causes_a_training_run_and_the_version_names_it(plant, tmp_path):
    clone = plant.clone(tmp_path / "more readings")
    clone.run("dvc", "pull")
    simulate(1000, 4).to_csv(clone.root / "data" / "raw" / "february.csv", index=False)
    clone.run("dvc", "add", "data/raw/february.csv")
    clone.run("dvc", "repro")
    assert training_runs(clone) == 1
    sources = json.loads(clone.run("python", "-m", "predictive_maintenance", "status", "--json"))["production"][
        "data_sources"
    ]
    assert {entry["name"]: entry["rows"] for entry in sources} == {
        "data/raw/readings.csv": 6000,
        "data/raw/february.csv": 1000,
    }
    assert all(entry["dvc_md5"] for entry in sources)
    assert "data/raw/february.csv.dvc" in clone.run("git", "status", "--porcelain", "--untracked-files")
    clone.run("dvc", "push")


def test_an_experiment_without_promotion_does_not_change_production(plant, tmp_path):
    clone = plant.clone(tmp_path / "experiment")
    clone.run("dvc", "pull")
    clone.run("dvc", "exp", "run", "--name", "deeper", "--set-param", "training.seed=9", METAFLOW_RUN_PROMOTE="False")
    shown = json.loads(clone.run("dvc", "exp", "show", "--json"))
    assert "deeper" in json.dumps(shown)
    assert json.loads(clone.run("python", "-m", "predictive_maintenance", "status", "--json"))["production"] is None
