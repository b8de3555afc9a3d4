"""Runs that a killed process left RUNNING are found and closed; runs in progress are not."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from predictive_maintenance.tracking.launcher import LAUNCHER_VARIABLE, Launcher
from predictive_maintenance.tracking.runs import FlowRun
from predictive_maintenance.tracking.unfinished_runs import close_abandoned_runs, unfinished_runs

PRINT_LAUNCHER = (
    "from predictive_maintenance.tracking.launcher import Launcher; print(Launcher.this_process(), flush=True)"
)


@pytest.fixture
def other_process():
    """A process that prints its launcher identity and waits: (process, identity)."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{PRINT_LAUNCHER}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.fixture
def start(connection, registry_uri, monkeypatch):
    """Start the MLflow run of a flow run, with the given launcher and hours ago."""

    def make(name, launcher="", hours_ago=0):
        monkeypatch.setenv(LAUNCHER_VARIABLE, launcher)
        run = FlowRun.start(connection, name, {})
        started = datetime.now(UTC) - timedelta(hours=hours_ago)
        with sqlite3.connect(registry_uri.removeprefix("sqlite:///")) as database:
            values = (int(started.timestamp() * 1000), run.run_id)
            database.execute("UPDATE runs SET start_time = ? WHERE run_uuid = ?", values)
        return run

    return make


def found(connection, run):
    return connection.client.get_run(run.run_id)


def kill(process):
    process.kill()
    process.wait()


def test_a_run_is_in_progress_while_its_launcher_exists(connection, start, other_process):
    _, launcher = other_process
    run = start("TrainFlow/1", launcher, hours_ago=1000)
    assert [unfinished.abandoned for unfinished in unfinished_runs(connection)] == [None]
    assert close_abandoned_runs(connection) == []
    assert found(connection, run).info.status == "RUNNING"


def test_a_run_whose_launcher_was_killed_is_closed_with_its_candidates_and_the_reason(connection, start, other_process):
    process, launcher = other_process
    run = start("TrainFlow/1", launcher)
    candidate = run.candidate("lightgbm")
    kill(process)
    (closed,) = close_abandoned_runs(connection)
    assert closed.run.flow_run == "TrainFlow/1"
    for each in (run, candidate):
        assert found(connection, each).info.status == "KILLED"
        assert f"its process {process.pid} on" in found(connection, each).data.tags["closed_because"]
    assert unfinished_runs(connection) == []


def test_only_the_abandoned_one_of_two_runs_is_closed(connection, start, other_process):
    process, launcher = other_process
    abandoned, running = start("TrainFlow/1", launcher), start("TrainFlow/2", str(Launcher.this_process()))
    kill(process)
    close_abandoned_runs(connection)
    assert [found(connection, run).info.status for run in (abandoned, running)] == ["KILLED", "RUNNING"]


@pytest.mark.parametrize("launcher", ["elsewhere boot:pid 17 123", ""], ids=["another machine", "unknown launcher"])
def test_a_run_of_another_machine_is_closed_only_when_it_is_old(connection, start, launcher):
    recent, old = start("TrainFlow/1", launcher, hours_ago=71), start("TrainFlow/2", launcher, hours_ago=73)
    (closed,) = close_abandoned_runs(connection)
    assert closed.abandoned == "it is older than 72 hours"
    assert [found(connection, run).info.status for run in (recent, old)] == ["RUNNING", "KILLED"]


def test_a_resumed_run_belongs_to_the_process_that_resumed_it(connection, start, other_process, monkeypatch):
    process, launcher = other_process
    run = start("TrainFlow/1", launcher)
    kill(process)
    monkeypatch.setenv(LAUNCHER_VARIABLE, str(Launcher.this_process()))
    run.reopen()
    assert [unfinished.abandoned for unfinished in unfinished_runs(connection)] == [None]


def test_a_process_with_a_reused_id_is_not_the_launcher():
    this = Launcher.this_process()
    assert this.exists
    assert Launcher.parse(str(this)) == this
    assert not Launcher.parse(f"{this.host} {this.machine} {this.pid} 1").exists


@pytest.mark.parametrize("text", ["", "host", "host machine pid 1", "host machine 1"])
def test_any_other_text_is_not_a_launcher(text):
    assert Launcher.parse(text) is None
