"""The MLflow run of a flow and the nested runs of its candidates: found again, with the right status."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow.exceptions import MlflowException

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.registry_reader import RegistryReader
from predictive_maintenance.tracking.runs import FlowRun


def test_a_run_is_found_again_by_its_name_and_its_candidates_by_theirs(connection):
    run = FlowRun.start(connection, "TrainFlow/1", {"git_commit": "c"})
    assert FlowRun.start(connection, "TrainFlow/1", {}).run_id == run.run_id
    assert FlowRun.start(connection, "TrainFlow/2", {}).run_id != run.run_id
    assert run.candidate("lightgbm").run_id == run.candidate("lightgbm").run_id != run.candidate("random_forest").run_id
    nested = connection.client.get_run(run.candidate("lightgbm").run_id)
    assert nested.data.tags["mlflow.parentRunId"] == run.run_id


def test_training_runs_are_listed_newest_first_with_their_verdict(connection):
    first = FlowRun.start(connection, "TrainFlow/1", {"gate_level": "rejected", "verdict": "is rejected: Recall"})
    first.candidate("lightgbm")
    first.finish()
    second = FlowRun.start(connection, "TrainFlow/2", {})
    newest, oldest = RegistryReader(connection).training_runs(5)
    assert (newest.flow_run, newest.run_id, newest.status) == ("TrainFlow/2", second.run_id, "RUNNING")
    assert (newest.level, newest.ended) == (None, None)
    assert (oldest.level, oldest.verdict, oldest.status) == ("rejected", "is rejected: Recall", "FINISHED")
    assert oldest.started <= oldest.ended
    assert [training.flow_run for training in RegistryReader(connection).training_runs(1)] == ["TrainFlow/2"]


def status(run):
    return run.connection.client.get_run(run.run_id).info.status


def test_a_run_is_running_while_it_is_open_and_then_finished(connection):
    run = FlowRun.start(connection, "TrainFlow/1", {})
    with run.open():
        assert status(run) == "RUNNING"
    assert status(run) == "FINISHED"


@pytest.mark.parametrize("error", [RegistryError("down"), ZeroDivisionError("a fault")], ids=["registry", "other"])
def test_a_failed_run_is_continued_by_the_next_attempt(connection, error):
    run = FlowRun.start(connection, "TrainFlow/1", {}).candidate("lightgbm")
    with pytest.raises(type(error)), run.open():
        raise error
    assert status(run) == "FAILED"
    again = FlowRun.start(connection, "TrainFlow/1", {}).candidate("lightgbm")
    assert again.run_id == run.run_id
    with again.open():
        assert status(run) == "RUNNING"
    assert status(run) == "FINISHED"


def test_a_registry_that_is_down_does_not_hide_the_error_of_the_run(connection, monkeypatch):
    def down(*arguments):
        raise MlflowException("Connection refused")

    run = FlowRun.start(connection, "TrainFlow/1", {})
    monkeypatch.setattr(connection.client, "set_terminated", down)
    with pytest.raises(ZeroDivisionError), run.open():
        raise ZeroDivisionError


def test_a_candidate_that_is_trained_again_gets_a_new_run(connection):
    """MLflow rejects changes of a logged parameter, for example after the code was changed."""
    run = FlowRun.start(connection, "TrainFlow/1", {})
    for leaves in (15, 31):
        candidate = run.candidate("lightgbm")
        with candidate.open():
            candidate.log(params={"num_leaves": leaves})
    nested = connection.client.search_runs([connection.experiment_id], f"tags.`mlflow.parentRunId` = '{run.run_id}'")
    assert {found.data.params["num_leaves"] for found in nested} == {"15", "31"}


def test_runs_can_log_the_same_data_set_at_once(connection, small, tmp_path):
    runs = [FlowRun.start(connection, f"TrainFlow/{number}", {}) for number in range(8)]
    start = threading.Barrier(len(runs))

    def log_data(run):
        start.wait()
        run.log_data({"torque_nm": "float64"}, 8, "training", "simulator", "0123456789")

    with ThreadPoolExecutor(len(runs)) as threads:
        list(threads.map(log_data, runs))
    for run in runs:
        (dataset,) = connection.client.get_run(run.run_id).inputs.dataset_inputs
        assert dataset.dataset.digest == "01234567"
