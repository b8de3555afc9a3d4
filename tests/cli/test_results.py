"""The command export without a run of the flow. tests/flows tests it with one."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from predictive_maintenance.reporting import finished_run, results
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry

_EARLIER_FLOW = """
from metaflow import FlowSpec, step


class TrainFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        self.rows = []


TrainFlow()
"""


def test_export_without_a_run_shows_how_to_start_one(run, tmp_path, monkeypatch):
    from metaflow import metadata

    (tmp_path / ".metaflow").mkdir()
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(tmp_path))
    metadata(f"local@{tmp_path}")
    code, output = run("export", "-o", tmp_path)
    assert code == 1
    assert "start one with python flows/train_flow.py run" in output


def test_a_run_of_an_earlier_release_is_refused_with_the_way_on(run, tmp_path, monkeypatch):
    from metaflow import metadata

    flow = tmp_path / "earlier.py"
    flow.write_text(_EARLIER_FLOW)
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_LOCAL", str(tmp_path))
    monkeypatch.setenv("METAFLOW_USER", "tester")
    ran = subprocess.run(
        [sys.executable, flow, "--no-pylint", "run"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    metadata(f"local@{tmp_path}")
    code, output = run("export", "-o", tmp_path / "exported")
    assert code == 1
    assert "is a run of an earlier release, which this release cannot read: start a new one with python flows" in output
    assert not (tmp_path / "exported").exists()


@pytest.fixture
def newest_run(promoted, params, monkeypatch):
    """The newest run has version 2. Its files are not written."""
    version = ModelRegistry(connect(params.registry)).get_version("2")
    newest = SimpleNamespace(
        flow_run="TrainFlow/2", mlflow_run_id=version.run_id, params=params, outcome=SimpleNamespace(version="2")
    )
    monkeypatch.setattr(finished_run, "load_run", lambda _run: newest)
    monkeypatch.setattr(results, "export_results", lambda *_arguments: [])
    return newest


def test_export_says_that_the_version_is_not_in_production_and_how_to_export_the_one_that_is(run, newest_run):
    code, output = run("export")
    how = "to export version 1, which is in production: predictive-maintenance export --production\n"
    assert (code, output) == (0, f"TrainFlow/2: version 2 (not in production)\n{how}")


def test_export_says_that_the_version_is_in_production_or_was_rolled_back(run, newest_run):
    run("promote", "2", "--force")
    assert run("export") == (0, "TrainFlow/2: version 2 (in production)\n")
    run("rollback")
    assert run("export")[1].startswith("TrainFlow/2: version 2 (rolled back, not in production)\n")


def test_export_of_a_rejected_model_says_that_there_is_no_version(run, newest_run):
    newest_run.outcome.version = None
    assert run("export") == (0, "TrainFlow/2: no version, because the model was rejected\n")


def test_export_does_not_mistake_a_version_of_another_registry_for_its_own(run, newest_run):
    newest_run.mlflow_run_id = "of another registry"
    assert run("export")[1].startswith("TrainFlow/2: version 2 of another registry (sqlite:")


def test_export_succeeds_without_the_registry_and_says_what_is_unknown(run, newest_run, monkeypatch):
    newest_run.outcome.version = "9"
    code, output = run("export")
    assert code == 0
    assert "version 9 (unknown whether it is in production: predictive_maintenance has no version '9'" in output


def test_export_of_production_without_a_version_in_production_is_an_error(run, registry_uri):
    code, output = run("export", "--production")
    assert (code, output) == (1, "Error: no version is in production: train a model, or promote a version\n")


def test_export_takes_a_run_or_production(run):
    code, output = run("export", "--production", "--run", "17")
    assert code == 2
    assert "--production and --run exclude each other: leave one out" in output
