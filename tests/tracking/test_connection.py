"""The connection to MLflow, and the errors when it fails."""

import multiprocessing
import os

import pytest

from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.connection import check_tracking_uri, connect
from predictive_maintenance.tracking.runs import FlowRun


def _connect_and_log(uri, number):
    from predictive_maintenance.config.params_file import load_params

    os.environ["MLFLOW_TRACKING_URI"] = uri
    run = FlowRun.start(connect(load_params().registry), f"TrainFlow/{number}", {})
    run.log(params={"number": number}, metrics={"number": number})


@pytest.mark.long
def test_several_processes_can_create_a_new_database_at_once(tmp_path, params, monkeypatch):
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


def test_a_server_that_does_not_answer_is_named_without_its_credentials(params, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError) as error:
        connect(params.registry)
    assert "MLflow at http://***:***@127.0.0.1:9, connecting: the server does not answer" in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("uri", ["http://me:pass/w0rd@127.0.0.1:9", "postgresql://me:p?ss#w0rd@127.0.0.1:9/mlflow"])
def test_a_password_that_is_not_percent_encoded_is_refused_and_not_shown(params, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(RegistryError, match="is not percent-encoded: write @ as %40") as error:
        connect(params.registry)
    assert "w0rd" not in str(error.value)


def test_a_password_with_an_at_sign_is_not_shown(params, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:p@ssw0rd@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError) as error:
        connect(params.registry)
    assert "w0rd" not in str(error.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mlflow.db", "mlflow.db"),
        ("htp://me:s3cret@foo", "htp://me:***@foo"),
        ("me:s3cret@mlflow.example", "***@mlflow.example"),
        ("http://", "http://"),
        ("http://mlflow:port", "http://mlflow:port"),
        ("sqlite://mlflow.db", "sqlite://mlflow.db"),
    ],
)
def test_a_text_that_is_not_an_address_is_refused_with_the_variable(params, monkeypatch, uri, shown):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(RegistryError) as error:
        connect(params.registry)
    assert str(error.value) == (
        f"MLFLOW_TRACKING_URI: {shown!r} is not an address of a registry: "
        "write sqlite:////path/mlflow.db, http://HOST:5000 or https://HOST"
    )


@pytest.mark.parametrize(
    "uri",
    ["sqlite:///mlflow.db", "https://host/a.mlflow", "http://[::1]:5000", "mysql+pymysql://host/db", "databricks"],
)
def test_addresses_that_mlflow_accepts_are_accepted(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    check_tracking_uri()


def test_a_missing_folder_for_the_database_is_named(params, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'nosuch' / 'mlflow.db'}")
    with pytest.raises(RegistryError, match="nosuch: the folder for the MLflow database does not exist"):
        connect(params.registry)


def _connect_as_nobody(uri, answers):
    from predictive_maintenance.config.params_file import load_params

    os.environ["MLFLOW_TRACKING_URI"] = uri
    if os.getuid() == 0:
        os.setuid(65534)
    try:
        connect(load_params().registry)
    except RegistryError as error:
        answers.put(str(error))


def test_a_folder_without_write_permission_is_named_with_the_setting(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_connect_as_nobody, args=(f"sqlite:///{folder / 'mlflow.db'}", answers))
    process.start()
    answer = answers.get(timeout=60)
    process.join()
    assert "no permission to write the MLflow database: set MLFLOW_TRACKING_URI" in answer


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(connection, params):
    connection.client.delete_experiment(connection.experiment_id)
    with pytest.raises(
        RegistryError, match=rf"is deleted: restore it with `mlflow experiments restore -x {connection.experiment_id}`"
    ):
        connect(params.registry)
