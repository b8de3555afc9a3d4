"""The MLflow run of a flow and of its candidates: found again, and at the end neither running nor lost."""

from predictive_maintenance.registry import FlowRun


def test_a_run_is_found_again_by_its_name_and_its_candidates_by_theirs(connection):
    run = FlowRun.start(connection, "TrainFlow/1", {"git_commit": "c"})
    assert FlowRun.start(connection, "TrainFlow/1", {}).run_id == run.run_id
    assert FlowRun.start(connection, "TrainFlow/2", {}).run_id != run.run_id
    assert run.candidate("lightgbm").run_id == run.candidate("lightgbm").run_id != run.candidate("random_forest").run_id
    nested = connection.client.get_run(run.candidate("lightgbm").run_id)
    assert nested.data.tags["mlflow.parentRunId"] == run.run_id
