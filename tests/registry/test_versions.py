"""Versions on a real MLflow: registered once, promoted, rolled back, loaded by plain MLflow."""

import json
import multiprocessing
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from predictive_maintenance.errors import ModelError, RegistryError
from predictive_maintenance.evaluation.evaluate import evaluate, training_fingerprint
from predictive_maintenance.promotion import register_and_promote
from predictive_maintenance.registry import FlowRun, Versions, connect, package_version
from predictive_maintenance.sensors import INPUT_NAMES
from predictive_maintenance.tracking import version_tags


@pytest.fixture
def connection(registry_uri, params):
    return connect(params.registry)


@pytest.fixture
def versions(connection):
    return Versions(connection)


@pytest.fixture
def train(connection, small):
    """What the last step of the flow does, for a run of the given name."""

    def run(name, promote=True, champion=None):
        mlflow_run = FlowRun.start(connection, name, {})
        evaluation = evaluate(small.trained, small.out_of_fold, small.scorer, small.rows, champion, small.params)
        tags = version_tags(evaluation, training_fingerprint(small.rows.train), (), name, "commit")
        return register_and_promote(
            mlflow_run, small.files, small.rows.test, evaluation, tags, small.params.registry, promote
        )

    return run


def test_an_empty_registry_has_no_champion(versions):
    assert versions.production() is None
    assert versions.candidate() is None
    assert versions.champion() is None
    assert versions.all() == []


def test_a_first_good_model_is_promoted_with_its_tags(train, versions):
    outcome = train("TrainFlow/1")
    champion = versions.production()
    assert (outcome.level, outcome.version) == ("production", "1")
    assert champion is not None
    assert set(champion.aliases) == {"candidate", "production"}
    assert champion.tags["flow_run"] == "TrainFlow/1"
    assert champion.tags["previous_production_version"] == ""
    assert champion.verdict is not None
    assert champion.verdict.level == "production"
    assert "next: python -m predictive_maintenance status" in outcome.text()


def test_a_retried_last_step_makes_no_second_version(train, versions):
    assert train("TrainFlow/1").version == train("TrainFlow/1").version == "1"
    assert [version.version for version in versions.all()] == ["1"]


def test_a_retry_after_registering_but_before_promoting_finishes_the_work(connection, small, train, versions, tmp_path):
    run = FlowRun.start(connection, "TrainFlow/1", {})
    versions.register(run, package_version(small.files, small.rows.test.head(2), tmp_path), {})
    assert versions.production() is None
    assert train("TrainFlow/1").version == "1"
    assert versions.production().version == "1"


def test_a_model_not_to_be_promoted_is_a_candidate(train, versions):
    outcome = train("TrainFlow/1", promote=False)
    assert (outcome.level, outcome.version) == ("candidate", "1")
    assert versions.candidate().version == "1"
    assert versions.production() is None
    assert "promote 1" in outcome.text()


def test_a_rejected_model_leaves_the_registry_untouched(connection, small, versions):
    strict = small.params.model_copy(update={"gate": small.params.gate.model_copy(update={"min_f1": 1.0})})
    evaluation = evaluate(small.trained, small.out_of_fold, small.scorer, small.rows, None, strict)
    run = FlowRun.start(connection, "TrainFlow/1", {})
    outcome = register_and_promote(run, small.files, small.rows.test, evaluation, {}, strict.registry, True)
    assert (outcome.level, outcome.version) == (None, None)
    assert "nothing was registered" in outcome.text()
    assert connection.client.search_registered_models() == []


def test_the_same_rows_do_not_replace_an_equal_champion(train, versions):
    train("TrainFlow/1")
    outcome = train("TrainFlow/2", champion=versions.champion())
    assert (outcome.level, outcome.version) == ("candidate", "2")
    assert "Earns the place" in outcome.summary
    assert versions.production().version == "1"


def test_a_champion_that_moved_meanwhile_is_not_overwritten(train, versions):
    train("TrainFlow/1")
    outcome = train("TrainFlow/2", champion=None)  # judged before version 1 was there
    assert outcome.level == "candidate"
    assert "production moved from version none to 1 during the run" in outcome.summary
    assert "resume evaluate" in outcome.summary
    assert versions.production().version == "1"


def test_rollback_goes_back_to_the_version_that_production_left(train, versions):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.champion())
    assert versions.promote("2", "1").previous == "1"
    assert versions.rollback() == ("2", "1")
    assert versions.production().version == "1"
    assert "rolled_back_at" in versions.get("2").tags
    with pytest.raises(RegistryError, match="version 1 is the first in production: there is none to roll back to"):
        versions.rollback()


def test_rollback_without_production_is_an_error(versions):
    with pytest.raises(RegistryError, match="no version in production"):
        versions.rollback()


def test_an_unknown_version_is_named_with_the_known_ones(train, versions):
    train("TrainFlow/1")
    with pytest.raises(RegistryError, match="has no version '7'; it has: 1"):
        versions.get("7")


def test_a_version_whose_files_are_damaged_is_not_promoted(connection, train, versions):
    train("TrainFlow/1")
    train("TrainFlow/2", champion=versions.champion())
    root = Path(connection.client.get_run(versions.get("2").run_id).info.artifact_uri.removeprefix("file://"))
    model = Path(str(root).replace("%20", " "), "model_artifact", "artifacts", "scorer", "model.onnx")
    model.write_bytes(model.read_bytes()[:500])
    with pytest.raises(ModelError, match="not a model that the ONNX runtime can run"):
        versions.promote("2", "1")
    assert versions.production().version == "1"


def test_a_damaged_champion_is_named_with_the_way_out(connection, train, versions):
    train("TrainFlow/1")
    root = connection.client.get_run(versions.get("1").run_id).info.artifact_uri.removeprefix("file://")
    Path(root.replace("%20", " "), "model_artifact", "artifacts", "scorer", "training_rows.npy").unlink()
    with pytest.raises(ModelError, match=r"version 1, which is in production, cannot be compared with[\s\S]*rollback"):
        versions.champion()


def test_the_champion_knows_the_rows_it_was_trained_on(train, versions, small):
    train("TrainFlow/1")
    champion = versions.champion()
    assert len(champion.training_rows) == len(small.rows.train)
    assert champion.training_fingerprint == training_fingerprint(small.rows.train)
    np.testing.assert_array_equal(
        champion.scorer.probabilities(small.rows.test), small.scorer.probabilities(small.rows.test)
    )


def test_plain_mlflow_loads_production_by_its_alias_and_gives_the_same_numbers(train, small):
    import mlflow

    train("TrainFlow/1")
    model = mlflow.pyfunc.load_model("models:/predictive_maintenance@production")
    rows = small.rows.test[list(INPUT_NAMES)]
    found = model.predict(rows)
    np.testing.assert_array_equal(found["failure_probability"], small.scorer.probabilities(rows))
    np.testing.assert_array_equal(
        found["predicted_failure"] == 1, small.scorer.decisions(small.scorer.probabilities(rows))
    )
    assert model.metadata.signature.inputs.input_names() == list(INPUT_NAMES)
    whole_numbers = rows.astype({"rotational_speed_rpm": "int64", "tool_wear_min": "int64"})
    np.testing.assert_array_equal(model.predict(whole_numbers), found)


def test_a_version_holds_no_pickle(train, versions, tmp_path):
    import mlflow

    train("TrainFlow/1")
    folder = Path(mlflow.artifacts.download_artifacts("models:/predictive_maintenance/1", dst_path=str(tmp_path)))
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert {"MLmodel", "model.onnx", "scorer.json", "golden.json", "reference.json", "input_example.json"} <= names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))}
    assert not [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:2] == b"\x80\x04"]


@pytest.mark.environment
@pytest.mark.timeout(900)
def test_a_version_loads_where_only_its_own_requirements_are_installed(small, tmp_path):
    """A new environment with the version's requirements, MLflow's skinny build, and nothing of this project."""
    folder = package_version(small.files, small.rows.test.head(2), tmp_path)
    requirements = (folder / "requirements.txt").read_text().replace("mlflow==", "mlflow-skinny==")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (tmp_path / "requirements.txt").write_text(requirements)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", tmp_path / "requirements.txt"], check=True)
    rows = small.rows.test[list(INPUT_NAMES)].head(50)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    code = """
import importlib.util, json, sys
import mlflow.pyfunc, pandas
absent = [name for name in ("sklearn", "lightgbm", "predictive_maintenance") if importlib.util.find_spec(name)]
predicted = mlflow.pyfunc.load_model(sys.argv[1]).predict(pandas.read_csv(sys.argv[2]))
print(json.dumps({"unwanted": absent, "probabilities": predicted["failure_probability"].tolist()}))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MLFLOW"))}
    command = [python, "-I", "-c", code, folder, tmp_path / "rows.csv"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env=environment)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["unwanted"] == []
    np.testing.assert_array_equal(answer["probabilities"], small.scorer.probabilities(rows))


def test_a_run_is_found_again_by_its_name_and_its_candidates_by_theirs(connection):
    run = FlowRun.start(connection, "TrainFlow/1", {"git_commit": "c"})
    assert FlowRun.start(connection, "TrainFlow/1", {}).run_id == run.run_id
    assert FlowRun.start(connection, "TrainFlow/2", {}).run_id != run.run_id
    assert run.candidate("lightgbm").run_id == run.candidate("lightgbm").run_id != run.candidate("random_forest").run_id
    nested = connection.client.get_run(run.candidate("lightgbm").run_id)
    assert nested.data.tags["mlflow.parentRunId"] == run.run_id


def _connect_and_log(uri, number):
    from predictive_maintenance.config import load_params

    os.environ["MLFLOW_TRACKING_URI"] = uri
    run = FlowRun.start(connect(load_params().registry), f"TrainFlow/{number}", {})
    run.log(params={"number": number}, metrics={"number": number})


def test_several_processes_make_a_fresh_database_together(tmp_path, params, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_connect_and_log, args=(uri, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    connection = connect(params.registry)
    runs = connection.client.search_runs([connection.experiment_id])
    assert {run.data.tags["flow_run"]: run.data.metrics["number"] for run in runs} == {
        f"TrainFlow/{number}": number for number in range(3)
    }


def test_a_server_that_does_not_answer_is_named_with_the_way_out(params, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError) as error:
        connect(params.registry)
    assert "MLflow at http://***@127.0.0.1:9, connecting: the server does not answer" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_folder_that_is_not_there_is_named(params, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'nosuch' / 'mlflow.db'}")
    with pytest.raises(RegistryError, match="nosuch: no such folder for the MLflow database"):
        connect(params.registry)


def _connect_as_nobody(uri, answers):
    from predictive_maintenance.config import load_params

    os.environ["MLFLOW_TRACKING_URI"] = uri
    if os.getuid() == 0:
        os.setuid(65534)
    try:
        connect(load_params().registry)
    except RegistryError as error:
        answers.put(str(error))


def test_a_folder_without_permission_to_write_is_named_with_the_way_out(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_connect_as_nobody, args=(f"sqlite:///{folder / 'mlflow.db'}", answers))
    process.start()
    answer = answers.get(timeout=60)
    process.join()
    assert "no permission to write the MLflow database there: set MLFLOW_TRACKING_URI" in answer


def test_a_deleted_experiment_is_named_with_the_way_back(connection, params):
    connection.client.delete_experiment(connection.experiment_id)
    with pytest.raises(
        RegistryError, match=rf"is deleted: restore it with `mlflow experiments restore -x {connection.experiment_id}`"
    ):
        connect(params.registry)


def test_the_command_line_starts_without_heavy_imports():
    code = "import sys, predictive_maintenance.__main__; print([n for n in ('mlflow', 'pandas', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
