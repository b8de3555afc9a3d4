"""A finished run of the flow: its output, its artifacts, its cards, and what it leaves in MLflow."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from metaflow import metadata

from machines.milling.simulator import simulate
from predictive_maintenance.cli.main import main
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.errors import DataError
from predictive_maintenance.reporting.finished_run import load_run_of_version
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import THRESHOLDS_FILE, TRAINING_ROWS_FILE, read_training_rows
from predictive_maintenance.store.store import Store
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.entities import ModelVersion
from predictive_maintenance.tracking.model_registry import ModelRegistry
from tests.fixtures.cards import text_of_card
from tests.fixtures.registries import copy_registry

from .in_process import run_steps

pytestmark = pytest.mark.flow

ROWS, BAD_ROWS = 6000, 2


@pytest.fixture(scope="module")
def readings(tmp_path_factory):
    """A CSV file of 6,000 simulated readings, two of them bad."""
    frame = simulate(ROWS, 3).astype({"torque_nm": object, "machine_failure": object})
    frame.loc[10, "torque_nm"] = "broken <b>"
    frame.loc[20, "machine_failure"] = 7
    path = tmp_path_factory.mktemp("readings") / "readings.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def finished(make_place, readings, both_candidates_params):
    """One run of both candidates on an empty registry, and a newer run that failed: (the place, the first run's output).

    Tests only read it.
    """
    place = make_place()
    code, output = place.run("run", "--sources", str(readings), config=both_candidates_params)
    assert code == 0, output
    assert place.run("run", "--sources", "nosuch.csv")[0] != 0
    return place, output


@pytest.fixture
def registry(finished, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", finished[0].uri)
    return finished[0].registry()


@pytest.fixture
def command_line(finished, monkeypatch):
    """Run a command of the command line on the finished run's results."""
    metadata(f"local@{finished[0].root}")
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(finished[0].root))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", finished[0].uri)

    def invoke(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


def test_a_first_run_promotes_version_1_and_prints_the_next_commands(finished):
    _, output = finished
    assert "version 1 is in production: models:/predictive_maintenance@production" in output
    assert "next: predictive-maintenance status" in output
    assert "Traceback" not in output


def test_the_progress_of_each_candidate_is_printed(finished):
    _, output = finished
    for algorithm in ("lightgbm", "random_forest"):
        assert f"{algorithm:<14} [{'#' * 12}{'-' * 12}] trial 1/2: " in output
        assert f"{algorithm:<14} [{'#' * 24}] trial 2/2: " in output


def test_bad_rows_are_quarantined_with_the_reason_and_the_run_continues(finished):
    place, output = finished
    assert "5,998 rows are clean, 2 in quarantine" in output
    quarantine = place.data("clean").cleaned.quarantine
    assert set(quarantine["value"]) == {"broken <b>", "7.0"}
    assert set(quarantine["row"]) == {11, 21}


def test_every_row_is_on_one_side_of_the_split(finished):
    rows = finished[0].data("features").rows
    assert len(rows.train) + len(rows.test) == ROWS - BAD_ROWS
    assert not set(rows.train["group"]) & set(rows.test["group"])
    assert not set(rows.train["reading_id"]) & set(rows.test["reading_id"])


def test_the_candidate_with_the_better_out_of_fold_score_is_selected(finished):
    data = finished[0].data("select")
    scores = {name: scores["pr_auc"].value for name, scores in data.candidate_scores.items()}
    assert set(scores) == {"lightgbm", "random_forest"}
    assert data.trained.algorithm == max(scores, key=scores.get)


def test_the_version_records_its_run_commit_sources_and_threshold(finished, registry):
    champion = registry.production_version()
    data = finished[0].data("end")
    assert champion.tags["flow_run"] == data.flow_run
    assert champion.tags["git_commit"] == data.commit
    assert data.records[0].sha256 in champion.tags["data_sources"]
    assert champion.run_id == data.mlflow_run_id
    assert float(champion.tags["threshold"]) == data.trained.threshold


def test_the_version_contains_the_detected_failures_at_each_threshold(finished, registry, tmp_path):
    version = registry.production_version()
    curve = json.loads((registry.download(version.version, tmp_path) / THRESHOLDS_FILE).read_bytes())
    recall, chosen = finished[0].data("end").evaluation.held_out["recall"].value, float(version.tags["threshold"])
    recalls = {
        threshold: detected / curve["failures"]
        for threshold, detected in zip(curve["threshold"], curve["true_positives"], strict=True)
    }
    assert recalls[chosen] == recall
    assert curve["threshold"] == sorted(curve["threshold"])
    assert curve["true_positives"][0] == curve["failures"]


def test_the_mlflow_run_contains_its_candidates_charts_and_cards(finished, registry, tmp_path):
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
    chosen = {found.info.run_name: found.data.params for found in nested}
    assert chosen["lightgbm"]["training.cluster"] == "never"
    assert int(chosen["random_forest"]["training.forest_rows"]) == run.data.metrics["training_rows"]

    def listed(path):
        return {found.path for found in client.list_artifacts(run.info.run_id, path)}

    assert {"figures/pr_curve.png", "figures/confusion_matrix.png", "figures/calibration.png"} <= listed("figures")
    assert listed("cards") == {"cards/clean.html", "cards/evaluate.html"}
    for found in nested:
        (page,) = client.list_artifacts(found.info.run_id, "cards")
        text = Path(client.download_artifacts(found.info.run_id, page.path, str(tmp_path))).read_text()
        assert found.info.run_name in text_of_card(text)
    assert listed("lineage") == {"lineage/machine.json", "lineage/packages.txt", "lineage/sources.json"}


@pytest.mark.parametrize(
    ("card", "texts"),
    [
        (
            "evaluate",
            [
                "Fit for production",
                "Better than always alarming on",
                "Never alarm",
                "Ceiling: published rules",
                "Product type",
            ],
        ),
        ("clean", ["Quarantine", "readings.csv", "Distributions"]),
        ("train", ["Hyperparameter", "Threshold", "Search"]),
    ],
)
def test_each_card_contains_its_sections(finished, card, texts):
    pages = sorted((finished[0].root / ".metaflow" / "mf.cards").rglob(f"steps/{card}/**/*.html"))
    assert pages
    for page in pages:
        assert [text for text in texts if text not in text_of_card(page.read_text())] == []


def test_metaflow_finds_the_card_of_a_task(finished):
    task = finished[0].task("evaluate").pathspec.removeprefix("TrainFlow/")
    code, html = finished[0].run("card", "get", task)
    assert code == 0, html
    assert "Fit for production" in text_of_card(html)


@pytest.fixture
def registry_copy(finished, tmp_path, monkeypatch):
    """A copy of the registry after the run, as MLFLOW_TRACKING_URI."""
    (folder := tmp_path / "registry").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", copy_registry(finished[0].root, folder))
    return ModelRegistry(connect(load_params().registry))


def test_a_model_from_the_same_data_does_not_replace_an_equal_champion(
    registry_copy, readings, both_candidates_params, monkeypatch
):
    outcome = run_steps(monkeypatch, both_candidates_params, sources=str(readings)).outcome
    expected = (
        "stays a candidate, because a check failed: Improves on the champion (trained on the same rows as version 1: "
        "F1 must be higher, and differs by +0.000)"
    )
    assert expected in outcome.text()
    assert registry_copy.production_version().version == "1"
    assert registry_copy.candidate_version().version == "2"


def test_a_training_records_its_settings_and_its_promotion_with_the_incident(
    registry_uri, quick_params, tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("PDM_STORE_URL", url)
    monkeypatch.setenv("LOGNAME", "ana")
    with closing(Store.open(url, timeout_seconds=5)) as store:
        run = run_steps(monkeypatch, quick_params, tags=["incident:3"])
        promotion, settings = store.audit("predictive_maintenance", most=10)
    assert (settings.action, settings.subject, settings.actor.key) == ("settings", "training", "ana")
    assert settings.detail["data.sources"] == ["simulator://?rows=6000&seed=3"]
    assert settings.detail["promote"] is True
    assert (promotion.action, promotion.subject, promotion.actor.key) == ("promotion", "version 1", run.flow_run)
    assert (promotion.detail["before"], promotion.detail["incident"]) == ("none", "3")


def test_a_training_goes_on_without_its_store(registry_uri, quick_params, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert run_steps(monkeypatch, quick_params).outcome.level == "production"
    output = capsys.readouterr().out
    assert output.count("warning: the settings are not in the audit log: ") == 1
    assert output.count("warning: the audit log does not have this yet: ") == 1


def test_rows_for_training_only_are_trained_on_and_in_no_score(
    registry_copy, readings, quick_params, monkeypatch, tmp_path
):
    run = run_steps(monkeypatch, quick_params, sources=f"{readings},train:simulator://?rows=1500&seed=5")
    evaluation = run.evaluation
    assert run.rows.training_only_rows == 1500
    assert TRAINING_ROWS_FILE not in run.files  # Metaflow would store it
    registered = registry_copy.download(run.outcome.version, tmp_path)
    assert len(read_training_rows(registered)) == run.rows.train_rows + 1500
    assert evaluation.held_out.rows + evaluation.out_of_fold.rows == ROWS - BAD_ROWS
    assert not evaluation.comparison.same_training_data
    assert "1,500 rows are of sources for training only: they are never held out or scored" in run.rows.summary()
    assert run.records[-1].summary() == "1,500 rows from simulator://?rows=1500&seed=5 (append, for training only)"


def test_a_model_from_random_labels_is_rejected_and_the_registry_does_not_change(
    registry_copy, quick_params, tmp_path, monkeypatch
):
    before = [version.version for version in registry_copy.list_versions()]
    rows = simulate(ROWS, 11)
    rows["machine_failure"] = rows["machine_failure"].sample(frac=1, random_state=1).to_numpy()
    rows.to_csv(tmp_path / "random.csv", index=False)
    outcome = run_steps(monkeypatch, quick_params, sources=str(tmp_path / "random.csv")).outcome
    assert "is rejected, because " in outcome.text()
    assert "F1 on held-out rows (" in outcome.text()
    assert "nothing was registered; production is version 1" in outcome.text()
    assert [version.version for version in registry_copy.list_versions()] == before


def test_export_writes_the_tables_the_model_and_the_metrics(command_line, tmp_path):
    result = command_line("export", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    train = pd.read_parquet(tmp_path / "data" / "features" / "train.parquet")
    held_out = pd.read_parquet(tmp_path / "data" / "features" / "held_out.parquet")
    assert metrics["held_out"]["rows"] == len(held_out)
    assert len(train) + len(held_out) == len(pd.read_parquet(tmp_path / "data" / "processed" / "readings.parquet"))
    assert "power_w" in train
    assert Scorer.load(tmp_path / "models").probabilities(held_out).shape == (len(held_out),)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "metrics.json", "models", "plots"]


def run_ids(place):
    return sorted(path.name for path in (place.root / ".metaflow" / "TrainFlow").glob("[0-9]*"))


def test_export_finds_a_run_by_its_id(finished, command_line, tmp_path):
    run_id, _ = run_ids(finished[0])
    for given in (run_id, f"TrainFlow/{run_id}\n"):
        result = command_line("export", "--run", given, "--output", tmp_path / "new folder")
        assert result.output.startswith(f"TrainFlow/{run_id}:"), result.output


def test_export_of_production_finds_the_run_of_the_version_in_production(finished, command_line, registry, tmp_path):
    result = command_line("export", "--production", "--output", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"{finished[0].data('end').flow_run}: version 1 (in production)\n")
    version = ModelVersion.from_json((tmp_path / "models" / "version.json").read_text())
    assert (version.version, version.aliases) == ("1", ("production",))
    assert version.tags == registry.production_version().tags
    assert (tmp_path / "data" / "features" / "train.parquet").is_file()


def test_a_version_whose_run_has_other_results_is_not_exported(command_line, registry):
    other = replace(registry.production_version(), run_id="of another place")
    with pytest.raises(
        DataError, match=r"the run of version 1, TrainFlow/[0-9]+, is not in .*: run this command where"
    ):
        load_run_of_version(other)


def test_export_of_a_failed_run_names_the_command_that_continues_it(finished, command_line, tmp_path):
    _, failed = run_ids(finished[0])
    result = command_line("export", "--run", failed, "--output", tmp_path)
    assert result.exit_code == 1
    assert f"TrainFlow/{failed} did not succeed" in result.output
    assert f"resume --origin-run-id {failed}" in result.output


def test_export_names_a_run_that_does_not_exist(command_line, tmp_path):
    result = command_line("export", "--run", "17", "--output", tmp_path)
    assert result.exit_code == 1
    assert "no run '17' of TrainFlow in" in result.output


def test_the_report_is_about_the_newest_successful_run(finished, command_line, tmp_path):
    result = command_line("report", "--output", tmp_path / "made")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "made" / "report.md").read_text()
    assert f"`{finished[0].data('end').flow_run}`" in text
    assert "| Recall on held-out rows |" in text


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_model_of_ai4i_is_promoted_and_scores_near_the_ceiling(make_place, ai4i_csv, monkeypatch):
    """Default settings. The published rules reach F1 .917 on the 10,000 rows."""
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
