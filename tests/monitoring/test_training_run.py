"""A training that a monitor has started ends in time, with all its processes, and says how."""

import os
import signal
import subprocess
import sys
import time

import pytest

from predictive_maintenance.monitoring import training_run
from predictive_maintenance.monitoring.training_run import TrainingRun
from predictive_maintenance.store.rows import Incident
from tests.app.conftest import wait_until
from tests.fixtures.servers import is_running

INCIDENT = Incident(key=7, version="3", opened=1, reasons=("warm",))
HANGS_WITH_A_TASK = (
    "import os, pathlib, subprocess, sys, time\n"
    "pathlib.Path('training').write_text(str(os.getpid()))\n"
    "task = subprocess.Popen([sys.executable, '-c', 'import signal, time; {ignore}time.sleep(600)'])\n"
    "pathlib.Path('task').write_text(str(task.pid))\n"
    "try: time.sleep(600)\n"
    "except KeyboardInterrupt: pathlib.Path('asked').touch(); raise\n"
)
IGNORES_INTERRUPTS = "signal.signal(signal.SIGINT, signal.SIG_IGN); "


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start some code as a training, with one second from the request to end to the end by force."""
    monkeypatch.setattr(training_run, "_GRACE_SECONDS", 1.0)
    runs = []

    def start(code, max_hours=1.0):
        runs.append(TrainingRun(INCIDENT, [sys.executable, "-c", code], tmp_path, max_hours))
        return runs[-1]

    yield start
    for run in runs:
        run.stop("")


def task_of(tmp_path):
    wait_until(lambda: (tmp_path / "task").exists() and (tmp_path / "task").read_text())
    return int((tmp_path / "task").read_text())


@pytest.mark.parametrize(
    ("code", "text", "succeeded"),
    [
        ("", "was successful", True),
        ("raise SystemExit(3)", "ended with exit code 3", False),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL", False),
    ],
)
def test_the_result_says_how_it_ended(start, code, text, succeeded):
    result = start(code).wait(30)
    assert (result.text, result.succeeded) == (text, succeeded)


def test_a_training_that_runs_is_waited_for_as_long_as_asked(start):
    run = start("import time; time.sleep(600)")
    began = time.monotonic()
    assert run.wait(0.2) is None
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("ignore", ["", IGNORES_INTERRUPTS])
def test_after_its_deadline_it_is_ended_with_all_its_processes(start, tmp_path, ignore):
    run = start(HANGS_WITH_A_TASK.format(ignore=ignore), max_hours=2 / 3_600)
    task = task_of(tmp_path)
    result = run.wait(30)
    assert result.text == "was stopped: it took longer than 0.000555556 hours (monitoring.retrain_max_hours)"
    assert not result.succeeded
    assert (tmp_path / "asked").exists()  # so that Metaflow can end its jobs on AWS Batch
    wait_until(lambda: not is_running(task))
    assert run.wait(30) is result


def test_the_tasks_of_a_training_that_was_killed_do_not_go_on(start, tmp_path):
    run = start(HANGS_WITH_A_TASK.format(ignore=""))
    task = task_of(tmp_path)
    os.kill(int((tmp_path / "training").read_text()), signal.SIGKILL)
    assert run.wait(30).text == "was ended by SIGKILL"
    wait_until(lambda: not is_running(task))


def test_a_training_whose_guard_was_killed_does_not_go_on(start, tmp_path):
    run = start(HANGS_WITH_A_TASK.format(ignore=""))
    task = task_of(tmp_path)
    os.kill(run._process.pid, signal.SIGKILL)
    assert run.wait(30).text == "was ended by SIGKILL"
    training = int((tmp_path / "training").read_text())
    wait_until(lambda: not is_running(task) and not is_running(training))


MONITOR = (
    "import pathlib, sys, time\n"
    "from predictive_maintenance.monitoring import training_run\n"
    "from predictive_maintenance.store.rows import Incident\n"
    "training_run._GRACE_SECONDS = 1.0\n"
    "incident = Incident(key=7, version='3', opened=1, reasons=())\n"
    "run = training_run.TrainingRun(incident, [sys.executable, '-c', sys.argv[1]], pathlib.Path(sys.argv[2]), 1.0)\n"
    "time.sleep(600)\n"
)


@pytest.mark.parametrize("ignore", ["", IGNORES_INTERRUPTS])
def test_a_training_ends_with_all_its_processes_when_its_monitor_is_killed(tmp_path, ignore):
    code = HANGS_WITH_A_TASK.format(ignore=ignore)
    with subprocess.Popen([sys.executable, "-c", MONITOR, code, str(tmp_path)]) as monitor:
        task = task_of(tmp_path)
        training = int((tmp_path / "training").read_text())
        monitor.kill()
    try:
        wait_until(lambda: not is_running(task) and not is_running(training))
    finally:
        for pid in filter(is_running, (task, training)):
            os.kill(pid, signal.SIGKILL)
    assert (tmp_path / "asked").exists()  # so that Metaflow can end its jobs on AWS Batch
