"""The command line as a person uses it, on a real registry."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.evaluation.evaluate import evaluate
from predictive_maintenance.ingestion.simulator import simulate
from predictive_maintenance.reporting.run_log import version_tags
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.promotion import register_and_promote
from predictive_maintenance.tracking.runs import FlowRun


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture
def promoted(registry_uri, small):
    """A registry with version 1 in production and version 2 a candidate that the gate stopped."""
    connection = connect(small.params.registry)
    for number in (1, 2):
        champion = ModelRegistry(connection).baseline_model()
        evaluation = evaluate(small.trained, small.out_of_fold, small.scorer, small.rows, champion, small.params)
        name = f"TrainFlow/{number}"
        tags = version_tags(evaluation, training_fingerprint(small.rows.train), (), name, "0123abc")
        mlflow_run = FlowRun.start(connection, name, {})
        register_and_promote(
            mlflow_run, small.files, small.rows.test, evaluation, tags, small.params.registry, promote=True
        )


def test_help_names_every_command_with_an_example():
    code, output = run("--help")
    assert code == 0
    for word in ("status", "score", "simulate", "promote", "rollback", "export", "check", "flows/train_flow.py run"):
        assert word in output


def test_status_of_an_empty_registry_says_how_to_train(registry_uri):
    code, output = run("status")
    assert (code, output) == (0, "production: no version yet; train one with python flows/train_flow.py run\n")


def test_a_script_can_ask_whether_anything_is_in_production(registry_uri, small):
    assert run("status", "--require")[0] == run("status", "--require", "--json")[0] == 3


def test_a_script_is_told_that_something_is_in_production(promoted):
    assert run("status", "--require")[0] == 0


def test_status_shows_champion_candidate_gate_and_lineage(promoted):
    code, output = run("status")
    assert code == 0
    assert "production: version 1, lightgbm" in output
    assert "candidate: version 2, lightgbm" in output
    assert "FAILED  Earns the place: trained on the same rows as version 1" in output
    assert "code        0123abc" in output


def test_status_as_json_is_for_programs(promoted):
    code, output = run("status", "--json")
    found = json.loads(output)
    assert code == 0
    assert found["production"]["version"] == "1"
    assert found["candidate"]["gate"][-1]["passed"] is False


def test_a_tag_that_looks_like_json_and_is_none_is_shown_as_text(promoted, params):
    connect(params.registry).client.set_model_version_tag("predictive_maintenance", "1", "note", "[x] checked by Ada")
    code, output = run("status", "--json")
    assert code == 0, output
    assert json.loads(output)["production"]["note"] == "[x] checked by Ada"


def test_score_adds_columns_to_the_rows(promoted, tmp_path, small):
    rows = simulate(300, 5)
    rows.loc[3, "torque_nm"] = -1.0
    rows.to_csv(tmp_path / "readings.csv", index=False)
    code, output = run("score", tmp_path / "readings.csv")
    assert code == 0, output
    assert "300 rows scored by version 1" in output
    assert "1 rejected" in output
    scored = pd.read_csv(tmp_path / "readings.scored.csv")
    assert list(scored.columns[-4:]) == ["failure_probability", "predicted_failure", "model_version", "rejected"]
    assert scored.loc[3, "rejected"] == "torque_nm: outside of the physical limits 0 to 500 Nm"
    good = scored["rejected"].isna()
    assert scored.loc[good, "failure_probability"].tolist() == small.scorer.probabilities(rows[good]).tolist()


def test_an_output_that_is_there_is_not_overwritten_unasked(promoted, tmp_path):
    simulate(20, 5).to_csv(tmp_path / "readings.csv", index=False)
    output_file = tmp_path / "out.csv"
    output_file.write_text("mine")
    code, output = run("score", tmp_path / "readings.csv", "-o", output_file)
    assert code == 1
    assert "is already there: name another with --output, or add --overwrite" in output
    assert output_file.read_text() == "mine"
    assert run("score", tmp_path / "readings.csv", "-o", output_file, "--overwrite")[0] == 0


def test_score_without_a_champion_says_how_to_get_one(registry_uri, tmp_path):
    simulate(20, 5).to_csv(tmp_path / "readings.csv", index=False)
    code, output = run("score", tmp_path / "readings.csv")
    assert code == 1
    assert "no version is in production yet: train one with" in output


def test_promote_wants_force_where_the_gate_said_no_and_rollback_undoes_it(promoted):
    code, output = run("promote", "2")
    assert code == 1
    assert "Earns the place" in output
    assert "add --force to promote it all the same" in output
    assert run("promote", "2", "--force")[1].startswith("production is version 2 (before: 1)")
    assert run("rollback")[1] == "production is version 1 again; version 2 is kept\n"


def test_an_unknown_version_is_an_error(promoted):
    assert run("promote", "9") == (1, "Error: predictive_maintenance has no version '9'; it has: 2, 1\n")


def test_check_says_what_fits_and_what_does_not(tmp_path):
    rows = simulate(100, 5)
    rows.to_csv(tmp_path / "good.csv", index=False)
    code, output = run("check", tmp_path / "good.csv")
    assert code == 0
    assert "every row fits" in output
    rows.astype({"torque_nm": object}).assign(torque_nm=["broken", *rows["torque_nm"][1:]]).to_csv(
        tmp_path / "bad.csv", index=False
    )
    code, output = run("check", tmp_path / "bad.csv")
    assert code == 1
    assert "row 1, torque_nm = 'broken': not a number" in output


def test_simulate_writes_the_same_file_for_the_same_seed(tmp_path):
    for name in ("one.csv", "two.csv"):
        code, output = run("simulate", "--rows", 50, "--seed", 4, "-o", tmp_path / name)
        assert code == 0
        assert "next: python flows/train_flow.py run --sources" in output
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_export_without_a_run_says_how_to_get_one(tmp_path, monkeypatch):
    from metaflow import metadata

    (tmp_path / ".metaflow").mkdir()
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(tmp_path))
    metadata(f"local@{tmp_path}")
    code, output = run("export", "-o", tmp_path)
    assert code == 1
    assert "run python flows/train_flow.py run first" in output


def test_a_mistyped_setting_is_named(tmp_path, params):
    from tests.paths import PARAMS_FILE

    shutil.copy(PARAMS_FILE, tmp_path / "own.yaml")
    text = (tmp_path / "own.yaml").read_text().replace("min_f1", "min_f")
    (tmp_path / "own.yaml").write_text(text)
    code, output = run("--params", tmp_path / "own.yaml", "check", "x.csv")
    assert code == 1
    assert "gate.min_f is not a setting; did you mean 'min_f1'?" in output


def test_the_command_line_starts_without_heavy_imports():
    code = "import sys, predictive_maintenance.__main__; print([n for n in ('mlflow', 'pandas', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
