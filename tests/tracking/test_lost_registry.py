"""A missing registry file is reported if there were runs, and only then."""

import pytest
from click.testing import CliRunner

import app.__main__
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.embedded_database import database_path
from predictive_maintenance.tracking.lost_registry import lost_registry
from predictive_maintenance.tracking.runs import FlowRun


@pytest.fixture
def database(registry_uri):
    return database_path(registry_uri)


@pytest.fixture
def finished_run(database, params):
    """A registry with a run that stored an artifact."""
    run = FlowRun.start(connect(params.registry), "TrainFlow/1", {})
    run.finish()
    folder = database.parent / "mlartifacts" / "run"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"model")


def test_a_new_registry_is_not_lost(database):
    assert lost_registry() is None


def test_a_registry_with_its_runs_is_not_lost(finished_run):
    assert lost_registry() is None


def test_a_registry_whose_file_is_missing_is_reported_with_its_path(finished_run, database):
    database.unlink()
    text = lost_registry()
    assert text.startswith(
        f"{database} is missing, but {database.parent / 'mlartifacts'} contains models of earlier runs"
    )
    assert "restore it from a backup" in text


def test_a_registry_whose_file_was_created_again_is_reported(finished_run, database, params):
    database.unlink()
    connect(params.registry)
    assert lost_registry().startswith(f"{database} contains no runs, but ")


def test_a_damaged_file_is_not_reported_as_lost(finished_run, database):
    database.write_bytes(b"not a database" * 100)
    assert lost_registry() is None


def test_a_server_is_not_checked(finished_run, database, monkeypatch):
    database.unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert lost_registry() is None


def test_the_service_warns_at_the_start(finished_run, database, monkeypatch):
    database.unlink()
    monkeypatch.setattr(app.__main__, "serve", lambda *_: None)
    result = CliRunner().invoke(app.__main__.main, ["--port", "0"])
    assert result.exit_code == 0
    assert f"warning: {database} is missing" in result.output
