"""The whole flow trains machines unlike milling: one without category, id and time; one over time, with history."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from mlflow import MlflowClient

from predictive_maintenance.config.sources import Source
from predictive_maintenance.inference.files import score_file
from predictive_maintenance.ingestion.ingest import ingest
from predictive_maintenance.machine.machine_json import from_json, to_plain
from tests.fixtures.cards import text_of_card
from tests.fixtures.described_machines import FILES
from tests.fixtures.pumps import DESCRIPTION
from tests.paths import REPOSITORY

ENGINES = 30

pytestmark = [pytest.mark.flow, pytest.mark.long]


def test_a_machine_of_the_project_is_trained_judged_and_registered_with_its_description(
    place, quick_params, compressor_csv, compressor_params, tmp_path
):
    shutil.copytree(FILES["compressor"].parent, place.root / "machines" / "compressor")
    code, output = place.run(
        "run", "--machine", "compressor", "--sources", str(compressor_csv),
        config=quick_params, PDM_PROJECT_DIR=str(place.root),
    )  # fmt: skip
    assert code == 0, output
    assert "version 1 is in production: models:/compressor_bearing@production" in output
    assert "next: predictive-maintenance status --machine compressor" in output
    registry = place.registry(str(FILES["compressor"]))
    version = registry.production_version()
    assert version.verdict.level == "production"
    described = from_json((registry.download(version.version, tmp_path) / "machine.json").read_bytes())
    assert to_plain(described) == to_plain(compressor_params.machine)
    assert set(registry.load_scorer(version.version).spec.missing_shares) == {"oil_degc", "vibration_mm_s", "humidity"}
    assert place.registry().production_version() is None  # that of the milling machine


def test_several_horizons_are_several_runs_of_descriptions_that_share_the_sources(place, quick_params, pump_sources):
    sources = ",".join(f"{source.table}:{source.uri}" for source in pump_sources)
    failing, horizons = {}, {"test_pump": "24h", "test_pump_12_h": "12h"}
    for model, horizon in horizons.items():
        folder = place.root / "machines" / model
        folder.mkdir(parents=True)
        text = DESCRIPTION.replace("model_name: test_pump", f"model_name: {model}")
        text = text.replace("column: fails_soon", f"column: fails_within_{horizon}")
        (folder / "machine.yaml").write_text(text.replace("horizon: 24h", f"horizon: {horizon}"))
        (folder / "params.yaml").write_text("split: {by: group}")
        code, output = place.run(
            "run", "--machine", model, "--sources", sources, config=quick_params, PDM_PROJECT_DIR=str(place.root)
        )
        assert code == 0, output
        evaluation = place.data("end").evaluation
        assert evaluation.comparison is None  # the other horizon is no champion
        assert evaluation.events.rules.horizon.text == horizon.replace("h", " h")
        failing[model] = int(place.data("end").rows.test[f"fails_within_{horizon}"].sum())
    assert 0 < failing["test_pump_12_h"] < failing["test_pump"]
    for model, horizon in horizons.items():
        registry = place.registry(str(place.root / "machines" / model / "machine.yaml"))
        description = registry.load_scorer("1").machine.description
        assert (description.model_name, description.label.failures.horizon) == (model, horizon)


def test_a_machine_over_time_is_trained_with_its_own_settings_and_scores_files(place, quick_params, cmapss, tmp_path):
    rows = (cmapss / "train_FD001.txt").read_text().splitlines(keepends=True)
    some = tmp_path / "some.txt"
    some.write_text("".join(row for row in rows if int(row.split()[0]) <= ENGINES))
    own = yaml.safe_load((REPOSITORY / "machines" / "turbofan" / "params.yaml").read_text())
    own["candidates"] = {"lightgbm": {"fixed": {"max_bin": 63, "n_estimators": 40}}}
    folder = place.root / "machines" / "turbofan"
    folder.mkdir(parents=True)
    (folder / "machine.yaml").write_text((REPOSITORY / "machines" / "turbofan" / "machine.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(own))
    code, output = place.run(
        "run", "--machine", "turbofan", "--sources", str(some), config=quick_params, PDM_PROJECT_DIR=str(place.root)
    )
    assert code == 0, output
    assert "version 1 is in production: models:/turbofan_engine@production" in output
    registry = place.registry(str(folder / "machine.yaml"))
    finished = place.data("end")
    events, run = finished.evaluation.events, registry.connection.client.get_run(finished.mlflow_run_id)
    assert events.held_out.failures == finished.rows.test["machine_id"].nunique()
    assert events.held_out.failures + events.out_of_fold.failures == ENGINES
    assert run.data.metrics["held_out_failures_caught"] == events.held_out["failures_caught"].value == 1
    assert run.data.metrics["held_out_false_alarms_per_1000_units"] == events.held_out["false_alarm_rate"].value
    assert run.data.metrics["naive_age_failures_caught"] == events.naive[0].scores["failures_caught"].value
    assert "Failures caught on held-out machines" in [check.name for check in finished.evaluation.verdict.checks]
    artifacts = MlflowClient(place.uri).download_artifacts
    card = Path(artifacts(finished.mlflow_run_id, "cards/evaluate.html", str(tmp_path)))
    assert "Failures caught and false alarms" in text_of_card(card.read_text())
    assert Path(artifacts(finished.mlflow_run_id, "figures/alarm_timelines.png", str(tmp_path))).stat().st_size > 10_000
    scorer = registry.load_scorer("1")
    readings = ingest((Source(uri=str(cmapss / "test_FD001.txt")),), scorer.machine).frame
    scored = score_file(cmapss / "test_FD001.txt", tmp_path / "scored.parquet", scorer, "1", {})
    assert (scored.rows, scored.rejected) == (13_096, 0)
    written = pq.read_table(tmp_path / "scored.parquet", columns=["failure_probability"]).column(0).to_numpy()
    np.testing.assert_array_equal(written, scorer.probabilities(readings))
