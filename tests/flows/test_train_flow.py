"""The flow as a person runs it: from rows to a promoted model, twice, and on spoiled labels."""

import base64
import json
import re
from pathlib import Path

import pytest
from metaflow import metadata

from predictive_maintenance.ingestion.simulator import simulate
from predictive_maintenance.scorer.scoring import THRESHOLDS_FILE

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flow")]

SMALL = "simulator://?rows=6000&seed=3"


@pytest.fixture(scope="module")
def finished(make_place):
    """One run of both candidates on an empty registry: (its place, what it printed)."""
    place = make_place()
    code, output = place.run("run", "--sources", SMALL, "--trials", "2")
    assert code == 0, output
    return place, output


@pytest.fixture
def registry(finished, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", finished[0].uri)
    return finished[0].versions()


def shown_by(page):
    """The text of a card's page, which holds it encoded."""
    return "".join(base64.b64decode(data).decode() for data in re.findall(r'__MF_DATA__\[.*\] = "([^"]+)"', page))


def test_a_first_run_ends_in_production_and_says_what_to_do_next(finished):
    _, output = finished
    assert "version 1 is in production: models:/predictive_maintenance@production" in output
    assert "next: python -m predictive_maintenance status" in output
    assert "Traceback" not in output


def test_progress_is_shown_for_each_candidate(finished):
    _, output = finished
    for algorithm in ("lightgbm", "random_forest"):
        assert f"{algorithm:<14} [{'#' * 12}{'-' * 12}] trial 1/2: " in output
        assert f"{algorithm:<14} [{'#' * 24}] trial 2/2: " in output


def test_every_row_is_on_one_side_of_the_split(finished):
    rows = finished[0].data("features").rows
    assert len(rows.train) + len(rows.test) == 6000
    assert not set(rows.train["tool_life"]) & set(rows.test["tool_life"])
    assert not set(rows.train["reading_id"]) & set(rows.test["reading_id"])


def test_the_better_candidate_out_of_fold_is_chosen(finished):
    data = finished[0].data("select")
    scores = {name: scores["pr_auc"].value for name, scores in data.candidate_scores.items()}
    assert set(scores) == {"lightgbm", "random_forest"}
    assert data.trained.algorithm == max(scores, key=scores.get)


def test_the_version_says_where_it_comes_from(finished, registry):
    champion = registry.production_version()
    data = finished[0].data("end")
    assert champion.tags["flow_run"] == data.flow_run
    assert champion.tags["git_commit"] == data.commit
    assert data.records[0].sha256 in champion.tags["data_sources"]
    assert champion.run_id == data.mlflow_run_id
    assert float(champion.tags["threshold"]) == data.trained.threshold


def test_the_version_carries_what_each_threshold_would_have_caught(finished, registry, tmp_path):
    version = registry.production_version()
    told = json.loads((registry.download(version.version, tmp_path) / THRESHOLDS_FILE).read_bytes())
    recall, chosen = finished[0].data("end").evaluation.held_out["recall"].value, float(version.tags["threshold"])
    recalls = {
        threshold: caught / told["failures"]
        for threshold, caught in zip(told["threshold"], told["true_positives"], strict=True)
    }
    assert recalls[chosen] == recall
    assert told["threshold"] == sorted(told["threshold"])
    assert told["true_positives"][0] == told["failures"]


def test_the_run_is_in_mlflow_with_its_candidates_figures_and_cards(finished, registry, tmp_path):
    data = finished[0].data("end")
    client = registry._client
    run = client.get_run(data.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["gate.min_recall"] == "0.7"
    assert run.data.metrics["held_out_f1"] == data.evaluation.held_out["f1"].value
    assert {found.dataset.name for found in run.inputs.dataset_inputs} == {"training", "evaluation"}
    nested = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {found.info.run_name: found.info.status for found in nested} == {
        "lightgbm": "FINISHED",
        "random_forest": "FINISHED",
    }

    def listed(path):
        return {found.path for found in client.list_artifacts(run.info.run_id, path)}

    assert {"figures/pr_curve.png", "figures/confusion_matrix.png", "figures/calibration.png"} <= listed("figures")
    assert listed("cards") == {"cards/clean.html", "cards/evaluate.html"}
    for found in nested:
        (page,) = client.list_artifacts(found.info.run_id, "cards")
        text = Path(client.download_artifacts(found.info.run_id, page.path, str(tmp_path))).read_text()
        assert found.info.run_name in shown_by(text)
    assert listed("lineage") == {"lineage/packages.txt", "lineage/sources.json"}


@pytest.mark.parametrize(
    ("step", "texts"),
    [
        ("evaluate", ["Fit for production", "Recall on held-out rows", "Ceiling: published rules", "Calibration"]),
        ("clean", ["Quarantine", "simulator://", "Distributions"]),
        ("train", ["Hyperparameter", "Threshold", "Search"]),
    ],
)
def test_each_card_is_there(finished, step, texts):
    code, html = finished[0].run("card", "get", step)
    assert code == 0
    assert [text for text in texts if text not in shown_by(html)] == []


def test_the_same_data_again_does_not_replace_an_equal_champion(finished, registry):
    place, _ = finished
    code, output = place.run("run", "--sources", SMALL, "--trials", "2")
    assert code == 0, output
    assert "stays a candidate: Earns the place: trained on the same rows as version 1, F1 differs by +0.000" in output
    assert registry.production_version().version == "1"
    assert registry.candidate_version().version == "2"


def test_spoiled_labels_are_not_promoted_and_the_registry_is_left_as_it_was(finished, registry, tmp_path):
    place, _ = finished
    before = [version.version for version in registry.list_versions()]
    spoiled = simulate(6000, 11)
    spoiled["machine_failure"] = spoiled["machine_failure"].sample(frac=1, random_state=1).to_numpy()
    spoiled.to_csv(tmp_path / "spoiled.csv", index=False)
    code, output = place.run("run", "--sources", str(tmp_path / "spoiled.csv"), "--trials", "1")
    assert code == 0, output
    assert "is rejected: " in output
    assert "F1 on held-out rows: " in output
    assert "nothing was registered; production is version 1" in output
    assert [version.version for version in registry.list_versions()] == before


def test_export_writes_the_tables_the_model_and_the_metrics(finished, tmp_path, monkeypatch):
    import pandas as pd
    from click.testing import CliRunner

    from predictive_maintenance.cli.main import main
    from predictive_maintenance.scorer.scoring import Scorer

    metadata(f"local@{finished[0].root}")
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(finished[0].root))
    result = CliRunner().invoke(main, ["export", "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    train = pd.read_parquet(tmp_path / "data" / "features" / "train.parquet")
    held_out = pd.read_parquet(tmp_path / "data" / "features" / "held_out.parquet")
    assert metrics["held_out"]["rows"] == len(held_out)
    assert len(train) + len(held_out) == len(pd.read_parquet(tmp_path / "data" / "processed" / "readings.parquet"))
    assert "power_w" in train
    assert Scorer.load(tmp_path / "models").probabilities(held_out).shape == (len(held_out),)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "metrics.json", "models", "plots"]


def test_a_run_that_is_not_there_and_one_that_is_are_found_by_their_id(finished, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from predictive_maintenance.cli.main import main

    metadata(f"local@{finished[0].root}")
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(finished[0].root))
    runs = sorted(path.name for path in (finished[0].root / ".metaflow" / "TrainFlow").glob("[0-9]*"))
    for asked in (runs[0], f"TrainFlow/{runs[0]}\n"):
        result = CliRunner().invoke(main, ["export", "--run", asked, "--output", str(tmp_path / "new folder")])
        assert result.output.startswith(f"TrainFlow/{runs[0]}:"), result.output
    result = CliRunner().invoke(main, ["export", "--run", "17", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "no run '17' of TrainFlow in" in result.output


def test_the_report_is_that_of_the_newest_run(finished, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from predictive_maintenance.cli.main import main

    metadata(f"local@{finished[0].root}")
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(finished[0].root))
    result = CliRunner().invoke(main, ["report", "--output", str(tmp_path / "made")])
    assert result.exit_code == 0, result.output
    text = (tmp_path / "made" / "report.md").read_text()
    assert f"`{finished[0].data('end').flow_run}`" in text
    assert "| Recall on held-out rows |" in text


@pytest.mark.timeout(900)
def test_the_real_file_ends_in_production_near_the_ceiling(make_place, ai4i_csv, monkeypatch):
    """Default settings, 10,000 rows by tool life. The rules themselves reach F1 .917; random splits answer less."""
    place = make_place()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.uri)
    code, output = place.run("run", "--sources", str(ai4i_csv))
    assert code == 0, output
    data = place.data("end")
    assert data.outcome.level == "production", output
    assert data.evaluation.out_of_fold["f1"].value >= 0.85
    assert data.evaluation.out_of_fold["pr_auc"].value >= 0.87
    assert data.evaluation.forward["f1"].value < data.evaluation.out_of_fold["f1"].value
    assert data.records[0].rows == 10_000
