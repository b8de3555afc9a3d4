"""The command monitor, on what a service has scored."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.monitoring.incidents import may_train
from predictive_maintenance.monitoring.retraining import NotStartedError, start_training
from predictive_maintenance.monitoring.training_run import TrainingRun
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Feedback, Reading, Subject
from predictive_maintenance.store.store import Store
from tests.app.conftest import wait_until
from tests.fixtures.servers import free_port, is_running
from tests.paths import PARAMS_FILE


@pytest.fixture
def store(empty_store_url, monkeypatch):
    monkeypatch.setenv("PDM_STORE_URL", empty_store_url)
    store = Store.open(empty_store_url, timeout_seconds=5)
    yield store
    store.close()


def log(store, small, weeks, **changed):
    """Log the predictions of 600 held-out rows an hour before the end of each of the last complete weeks."""
    machine, now = small.params.machine, int(time.time())
    monday = now - (now - 4 * 86_400) % (7 * 86_400)
    for week in range(weeks):
        frame = small.rows.test.sample(600, random_state=week).assign(**changed)
        probabilities = small.scorer.probabilities(frame)
        logged = Predictions(
            scored=int((monday - 7 * 86_400 * week - 3_600) * 1e6),
            request_id="r",
            failure_probability=probabilities.tolist(),
            predicted_failure=small.scorer.decisions(probabilities).tolist(),
            inputs={name: frame[name].tolist() for name in machine.input_names},
        )
        with store.writing() as transaction:
            transaction.log(
                "predictive_maintenance", 1, [LoggedBlock(number=week, version="1", block=logged.as_block())]
            )


def test_windows_without_a_difference(run, promoted, store, small):
    log(store, small, 5)
    code, output = run("monitor", "--fail-on-drift")
    assert code == 0, output
    assert output.startswith("predictive_maintenance version 1, windows of 7 days:\n")
    assert output.count("600 readings  no difference") == 5
    assert "no difference exceeds its limit in 3 of 5 windows" in output


def test_a_check_without_readings_says_that_nothing_was_compared(run, promoted, store):
    code, output = run("monitor")
    assert code == 0, output
    assert "nothing was compared: no window has" in output
    assert "no difference exceeds" not in output


def test_the_model_of_the_service_is_that_of_the_registry_and_of_the_store(run, promoted, store, small, monkeypatch):
    log(store, small, 5)
    monkeypatch.setenv("PDM_MODEL_NAME", "of_another_plant")
    assert "no version is in production" in run(*("monitor",))[1]


def test_a_difference_that_lasts_is_shown_with_the_way_on(run, promoted, store, small):
    log(store, small, 3, torque_nm=65.0)
    code, output = run("monitor", "--fail-on-drift")
    assert code == 4
    assert "0 readings  not compared: fewer than 200 readings" in output
    assert "differences above their limit in at least 3 of 5 windows:\n" in output
    assert "  distribution of Torque: mean 65 Nm, in training " in output
    assert "python flows/train_flow.py run" in output
    assert run("monitor")[0] == 0


def test_the_performance_is_shown_with_the_reason_why_it_is_not_available(run, promoted, store, small):
    log(store, small, 1)
    code, output = run("monitor")
    assert code == 0, output
    assert ": 0 of 600 predictions have a label from feedback, 0 of them failures\n" in output
    assert "  Precision: not available: 0 of " in output
    assert "predicted failures have a label: at least 10 are needed; at evaluation 0." in output
    assert "missed failures are unknown; at evaluation 0." in output


def test_a_metric_below_that_at_evaluation_is_a_reason(run, promoted, store, small):
    """All that was predicted as a failure was none."""
    log(store, small, 3)
    alarms = 0
    for number, (_, block) in enumerate(store.predictions("predictive_maintenance")):
        assert number < 3
        alarms += sum(block.predicted_failure)
    with store.writing() as transaction:
        for row in range(1, 601):
            transaction.add_feedback(
                "predictive_maintenance",
                Feedback(
                    subject=Subject("request", "r", row),
                    verdict="false",
                    mode=None,
                    failed=None,
                    comment="",
                    author="A",
                ),
                1,
            )
    code, output = run("monitor", "--fail-on-drift")
    assert code == 4, output
    assert "1,800 of 1,800 predictions have a label from feedback, 0 of them failures" in output
    assert "  Precision: 0.000 [0.000, 0." in output
    assert f" of {alarms} predicted failures; at evaluation 0." in output
    assert "  loss of Precision: 0.000, at evaluation 0." in output


def test_json(run, promoted, store, small):
    log(store, small, 3, torque_nm=65.0)
    found = json.loads(run("monitor", "--json")[1])
    assert (found["model_version"], [window["readings"] for window in found["windows"]]) == ("1", [0, 0, 600, 600, 600])
    assert "torque_nm" in {reason["column"] for reason in found["lasting"]}
    assert found["windows"][0]["findings"] is None


def test_silent_machines_are_named(run, promoted, store):
    received = int(time.time()) - 3 * 86_400
    with store.writing() as transaction:
        machine = transaction.machines("predictive_maintenance", ["M7"])["M7"]
        reading = Reading(time=1, received=received, sensors={"torque_nm": 40.0}, score=None)
        transaction.add([(machine, reading)])
    assert "1 machine without a reading for 24 hours: M7 (since 20" in run("monitor")[1]


def test_without_a_store_there_is_nothing_to_watch(run, promoted, tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    code, output = run("monitor")
    assert code == 1
    assert "none.db" in output
    assert not (tmp_path / "none.db").exists()


def test_without_a_version_the_way_on_is_to_train(run, registry_uri, store):
    code, output = run("monitor")
    assert (code, "no version is in production: run `python flows/train_flow.py run`" in output) == (1, True)


class EnoughError(Exception):
    """Ends the endless loop of --watch."""


@pytest.fixture
def checks(monkeypatch):
    """Ends --watch after so many checks as the list has values; each is called before the next check."""
    before_next = []

    def sleep(seconds):
        assert 0 <= seconds <= 60
        if not before_next:
            raise EnoughError
        before_next.pop(0)()

    own_time = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=sleep)
    monkeypatch.setattr("predictive_maintenance.cli.watching.time", own_time)
    return before_next


def watch():
    result = CliRunner().invoke(main, ["monitor", "--watch", "--every", "1"])
    assert isinstance(result.exception, EnoughError), result.output
    return result.output


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project that trains on this machine, with a flow that does nothing."""
    settings = PARAMS_FILE.read_text().replace("retrain: never", "retrain: here")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "train_flow.py").touch()
    (tmp_path / "params.yaml").write_text(settings)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))


def test_watch_opens_an_incident_and_trains_once(promoted, store, small, checks, project):
    log(store, small, 3, torque_nm=65.0)
    checks += [lambda: None]
    output = watch()
    checked, content = store.production_check("predictive_maintenance")
    assert time.time() - checked < 60
    assert json.loads(content)["lasting"][0]["column"] == "torque_nm"
    assert output.count("incident 1 opened: ") == 1
    assert "distribution of Torque: mean 65 Nm" in output
    assert output.count("incident 1: training (here)") == 1
    assert output.count("incident 1: the training was successful") == 1
    assert "version 1, 600 readings in the newest window" in output
    (incident,) = store.incidents("predictive_maintenance", most=1)
    assert incident.trained <= incident.training_ended
    assert incident.training_result == "was successful"


@pytest.fixture
def hanging_flow(project, tmp_path):
    """A flow that hangs; returns the file with its process id."""
    (tmp_path / "flows" / "train_flow.py").write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'flow')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    return tmp_path / "flow"


def change_settings(folder, old, new):
    settings = (folder / "params.yaml").read_text()
    assert old in settings
    (folder / "params.yaml").write_text(settings.replace(old, new))


def test_checks_go_on_while_a_training_hangs_and_its_deadline_ends_it(
    promoted, store, small, checks, hanging_flow, tmp_path
):
    """Checks every 0.6 s, and a deadline of 2 s."""
    change_settings(tmp_path, "retrain_max_hours: 24 ", f"retrain_max_hours: {2 / 3_600}")
    change_settings(tmp_path, "cool_down_days: 7", "cool_down_days: 0")
    log(store, small, 3, torque_nm=65.0)
    while_it_runs = []

    def note():
        while_it_runs.append(store.incidents("predictive_maintenance", most=1)[0].training_result)

    checks += [note] * 6
    result = CliRunner().invoke(main, ["monitor", "--watch", "--every", "0.01"])
    assert isinstance(result.exception, EnoughError), result.output
    output = result.output
    assert while_it_runs[0] is None
    text = "was stopped: it took longer than 0.000555556 hours (monitoring.retrain_max_hours)"
    assert while_it_runs[-1] == text
    way_on = "no other one is started for it: run `python flows/train_flow.py run`"
    assert output.count(f"incident 1: the training {text}; {way_on}") == 1
    assert output.count("incident 1: training (here)") == 1
    assert output.count("600 readings in the newest window") == 6
    with pytest.raises(ProcessLookupError):
        os.kill(int(hanging_flow.read_text()), 0)


def test_another_incident_waits_for_the_training_that_runs(promoted, store, small, checks, hanging_flow, tmp_path):
    change_settings(tmp_path, "retrain_max_hours: 24 ", f"retrain_max_hours: {2 / 3_600}")
    change_settings(tmp_path, "cool_down_days: 7", "cool_down_days: 0")
    log(store, small, 3, torque_nm=65.0)

    def end_incident():
        with store.writing() as transaction:
            transaction.close_incident(store.open_incident("predictive_maintenance"), "resolved", int(time.time()))

    checks += [end_incident, *[lambda: None] * 6]
    result = CliRunner().invoke(main, ["monitor", "--watch", "--every", "0.01"])
    assert isinstance(result.exception, EnoughError), result.output
    assert "incident 2 opened" in result.output
    ended, started = "incident 1: the training was stopped: ", "incident 2: training (here)"
    assert result.output.index(ended) < result.output.index(started)


def test_a_result_that_cannot_be_noted_is_noted_at_the_next_check(
    promoted, store, small, checks, project, outage, monkeypatch
):
    away, back = outage
    original, outages = TrainingRun.wait, [away]

    def wait(self, seconds):
        result = original(self, seconds)
        if result and outages:
            outages.pop()()
        return result

    monkeypatch.setattr(TrainingRun, "wait", wait)
    log(store, small, 3, torque_nm=65.0)
    checks += [back, lambda: None]
    output = watch()
    assert output.count("; the next check is in 1 min") == 1
    assert output.count("incident 1: the training was successful") == 1
    assert store.incidents("predictive_maintenance", most=1)[0].training_result == "was successful"


def has_content(file):
    return file.exists() and file.read_text() != ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda it: it.name)
def test_a_monitor_that_is_stopped_while_it_starts_a_training_ends_it(
    promoted, store, small, checks, hanging_flow, monkeypatch, number
):
    def start(*arguments):
        training = start_training(*arguments)
        wait_until(lambda: has_content(hanging_flow))
        signal.raise_signal(number)
        return training

    monkeypatch.setattr("predictive_maintenance.monitoring.retraining.start_training", start)
    log(store, small, 3, torque_nm=65.0)
    result = CliRunner().invoke(main, ["monitor", "--watch", "--every", "1"])
    assert isinstance(result.exception, SystemExit), result.output
    assert store.incidents("predictive_maintenance", most=1)[0].training_result == "was stopped with the monitor"
    with pytest.raises(ProcessLookupError):
        os.kill(int(hanging_flow.read_text()), 0)


@pytest.fixture
def start_monitor(hanging_flow):
    """Start `monitor --watch` as a process, whose training hangs, and wait until it does."""
    started = []

    def start():
        command = [sys.executable, "-m", "predictive_maintenance", "monitor", "--watch", "--every", "60"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda it: it.name)
def test_a_monitor_that_is_stopped_ends_its_training_and_the_next_one_does_not_repeat_it(
    promoted, store, small, start_monitor, hanging_flow, checks, number
):
    log(store, small, 3, torque_nm=65.0)
    monitor = start_monitor()
    wait_until(lambda: has_content(hanging_flow), seconds=120)
    monitor.send_signal(number)
    output, _ = monitor.communicate(timeout=120)
    assert "incident 1: the training was stopped with the monitor" in output
    with pytest.raises(ProcessLookupError):
        os.kill(int(hanging_flow.read_text()), 0)
    assert store.incidents("predictive_maintenance", most=1)[0].training_result == "was stopped with the monitor"
    assert "training (here)" not in watch()


def test_a_monitor_that_is_killed_leaves_no_training_and_does_not_train_again_after_its_restart(
    promoted, store, small, start_monitor, hanging_flow, checks
):
    log(store, small, 3, torque_nm=65.0)
    monitor = start_monitor()
    wait_until(lambda: has_content(hanging_flow), seconds=120)
    monitor.kill()
    monitor.wait()
    wait_until(lambda: not is_running(int(hanging_flow.read_text())))
    assert "training (here)" not in watch()


def test_a_training_has_the_settings_that_are_watched(promoted, store, small, checks, project, tmp_path):
    flow, arguments = tmp_path / "flows" / "train_flow.py", tmp_path / "arguments"
    flow.write_text(f"import pathlib, sys; pathlib.Path({str(arguments)!r}).write_text(' '.join(sys.argv[1:]))")
    settings = tmp_path / "plant.yaml"
    settings.write_text((tmp_path / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text("machine: another")
    log(store, small, 3, torque_nm=65.0)
    result = CliRunner().invoke(main, ["--params", str(settings), "monitor", "--watch", "--every", "1"])
    assert isinstance(result.exception, EnoughError), result.output
    assert arguments.read_text() == f"--config settings {settings} run --tag incident:1"


def test_the_next_command_has_the_settings_that_were_given(promoted, store, small, run, tmp_path):
    settings = tmp_path / "plant.yaml"
    settings.write_text(PARAMS_FILE.read_text())
    log(store, small, 3, torque_nm=65.0)
    assert f"train_flow.py --config settings {settings} run`" not in run("monitor")[1]
    assert f"python flows/train_flow.py --config settings {settings} run" in run("--params", settings, "monitor")[1]


def test_a_workflow_that_could_not_be_requested_is_requested_at_the_next_check(
    promoted, store, small, checks, project, tmp_path, monkeypatch
):
    settings = tmp_path / "params.yaml"
    settings.write_text(settings.read_text().replace("retrain: here", "retrain: repository_dispatch"))
    port, requested = free_port(), []
    for name, value in {
        "GITHUB_API_URL": f"http://127.0.0.1:{port}", "GITHUB_REPOSITORY": "plant/maintenance", "GITHUB_TOKEN": "secret",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)

    class GitHub(BaseHTTPRequestHandler):
        def do_POST(self):
            requested.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    servers = ExitStack()

    def start():
        server = servers.enter_context(HTTPServer(("127.0.0.1", port), GitHub))
        Thread(target=server.handle_request, daemon=True).start()

    log(store, small, 3, torque_nm=65.0)
    checks += [start, lambda: None]
    with servers:
        output = watch()
    assert output.count("no training was started; the next check is in 1 min") == 1
    assert output.count("incident 1: the training was requested") == 1
    assert requested == ["/repos/plant/maintenance/dispatches"]


def test_a_training_that_was_not_started_while_the_store_was_away_is_started_at_the_next_check(
    promoted, store, small, checks, project, outage, monkeypatch
):
    away, back = outage
    outages = [away]

    def start(*arguments):
        if outages:
            outages.pop()()
            raise NotStartedError("no memory: no training was started")
        return start_training(*arguments)

    monkeypatch.setattr("predictive_maintenance.monitoring.retraining.start_training", start)
    log(store, small, 3, torque_nm=65.0)
    checks += [back, lambda: None]
    output = watch()
    assert output.count("no memory: no training was started; the next check is in 1 min") == 1
    assert output.count("incident 1: the training was successful") == 1


@pytest.fixture
def no_start(monkeypatch):
    """What happens before the first training is not started, as a list; the next one is started."""
    before = []

    def start(*arguments):
        if not before:
            return start_training(*arguments)
        while before:
            before.pop()()
        raise NotStartedError("no memory: no training was started")

    monkeypatch.setattr("predictive_maintenance.monitoring.retraining.start_training", start)
    return before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda it: it.name)
def test_a_training_that_was_not_started_when_the_monitor_was_stopped_is_started_by_the_next_one(
    promoted, store, small, checks, project, no_start, number
):
    no_start += [lambda: signal.raise_signal(number)]
    log(store, small, 3, torque_nm=65.0)
    result = CliRunner().invoke(main, ["monitor", "--watch", "--every", "1"])
    assert isinstance(result.exception, SystemExit), result.output
    assert store.open_incident("predictive_maintenance").trained is None
    assert "incident 1: the training was successful" in watch()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda it: it.name)
def test_a_monitor_that_is_stopped_before_a_training_is_started_leaves_it_to_the_next_one(
    promoted, store, small, checks, project, monkeypatch, number
):
    def claim(*arguments):
        claimed = may_train(*arguments)
        signal.raise_signal(number)
        return claimed

    log(store, small, 3, torque_nm=65.0)
    with monkeypatch.context() as patch:
        patch.setattr("predictive_maintenance.monitoring.incidents.may_train", claim)
        result = CliRunner().invoke(main, ["monitor", "--watch", "--every", "1"])
    assert isinstance(result.exception, SystemExit), result.output
    assert "training (here)" not in result.output
    assert "incident 1: the training was successful" in watch()


def test_a_training_that_was_not_started_is_given_back_at_the_end_of_the_monitor_if_the_store_is_back(
    promoted, store, small, checks, project, outage, no_start
):
    away, back = outage
    no_start += [away]

    def end():
        back()
        raise EnoughError

    checks += [end]
    log(store, small, 3, torque_nm=65.0)
    assert "no training was started; no other one" not in watch()
    assert "incident 1: the training was successful" in watch()


def test_a_training_that_was_not_started_and_cannot_be_given_back_is_lost_with_the_way_on(
    promoted, store, small, checks, project, outage, no_start
):
    away, back = outage
    no_start += [away]
    log(store, small, 3, torque_nm=65.0)
    output = watch()
    back()
    way_on = "no other one is started for it: run `python flows/train_flow.py run`; the store does not have this: "
    assert output.count(f"incident 1: no training was started; {way_on}") == 1
    assert "training (here)" not in watch()


def test_a_request_is_noted_when_the_monitor_is_stopped_meanwhile(
    promoted, store, small, checks, project, tmp_path, monkeypatch
):
    change_settings(tmp_path, "retrain: here", "retrain: repository_dispatch")
    monkeypatch.setenv("GITHUB_REPOSITORY", "plant/maintenance")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")

    def start(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("predictive_maintenance.monitoring.retraining.start_training", start)
    log(store, small, 3, torque_nm=65.0)
    CliRunner().invoke(main, ["monitor", "--watch", "--every", "1"])
    assert store.open_incident("predictive_maintenance").training_result == "was requested"


def test_a_retention_that_is_too_short_is_a_warning_beside_the_json(promoted, store, small, monkeypatch):
    log(store, small, 1)
    monkeypatch.setenv("PDM_PREDICTION_LOG_DAYS", "30")
    result = CliRunner().invoke(main, ["monitor", "--json"])
    assert "warning: PDM_PREDICTION_LOG_DAYS of the service is 30 days, and monitoring reads 63: " in result.stderr
    assert json.loads(result.stdout)["lasting"] == []


def test_watch_warns_once_of_a_retention_that_is_too_short(promoted, store, small, checks, project, monkeypatch):
    log(store, small, 1)
    monkeypatch.setenv("PDM_PREDICTION_LOG_DAYS", "30")
    checks += [lambda: None]
    output = watch()
    assert output.count("600 readings in the newest window") == 2
    assert output.count("warning: PDM_PREDICTION_LOG_DAYS of the service is 30 days") == 1


def test_watch_does_not_start_if_it_would_train_another_model(project, monkeypatch):
    monkeypatch.setenv("PDM_MODEL_NAME", "of_another_plant")
    result = CliRunner().invoke(main, ["monitor", "--watch"])
    assert result.exit_code == 1
    assert "PDM_MODEL_NAME is 'of_another_plant', and monitoring.retrain is 'here'" in result.output
    assert "would register a version of 'predictive_maintenance'" in result.output


def test_watch_goes_on_while_the_store_is_away(promoted, tmp_path, monkeypatch, checks):
    monkeypatch.setenv("PDM_STORE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    checks += [lambda: None]
    output = watch()
    assert output.count("none.db") == 2
    assert output.count("; the next check is in 1 min") == 2


def test_watch_goes_on_after_a_disk_was_full(promoted, store, small, checks, monkeypatch):
    log(store, small, 1)
    original, full = tempfile.TemporaryDirectory, [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

    def folder(**options):
        if full:
            raise full.pop()
        return original(**options)

    monkeypatch.setattr("predictive_maintenance.cli.production.tempfile", SimpleNamespace(TemporaryDirectory=folder))
    checks += [lambda: None]
    output = watch()
    assert output.count("No space left on device; the next check is in 1 min") == 1
    assert output.count("600 readings in the newest window") == 1


@pytest.fixture
def outage(empty_store_url, request):
    """Functions that take the database away and bring it back: an SQLite file, or a server."""
    if empty_store_url.startswith("postgresql"):
        server = request.getfixturevalue("postgres_server")
        return server.stop, server.start
    path = Path(empty_store_url.removeprefix("sqlite:///"))
    folder = path.parent
    return lambda: folder.rename(folder.with_name("away")), lambda: folder.with_name("away").rename(folder)


@pytest.mark.parametrize(
    ("method", "call"), [("predictions_of", 3), ("writing", 1), ("writing", 2)], ids=["reading", "opening", "claiming"]
)
def test_a_database_that_goes_away_during_a_check_costs_no_incident_and_no_training(
    promoted, store, small, checks, project, monkeypatch, outage, method, call
):
    log(store, small, 3, torque_nm=65.0)
    away, back = outage
    original, calls = getattr(Store, method), count(1)

    def goes_away(self, *arguments, **options):
        if next(calls) == call:
            away()
        return original(self, *arguments, **options)

    monkeypatch.setattr(Store, method, goes_away)
    checks += [back, lambda: None]
    output = watch()
    assert output.count("; the next check is in 1 min") == 1
    assert output.count("incident 1 opened: ") == 1
    assert output.count("incident 1: training (here)") == 1


def test_watch_trains_when_the_last_run_is_as_old_as_the_schedule_says(promoted, store, checks, project, monkeypatch):
    settings = Path(os.environ["PDM_PROJECT_DIR"]) / "params.yaml"
    settings.write_text(settings.read_text().replace("retrain_every_days: null", "retrain_every_days: 7"))
    now = time.time  # the registry has runs of today

    def in_a_week():
        monkeypatch.setattr("predictive_maintenance.cli.watching.time.time", lambda: now() + 7 * 86_400)
        assert store.incidents("predictive_maintenance", most=5) == []

    checks += [in_a_week, lambda: None]
    output = watch()
    assert output.count("incident 1: training (here)") == 1
    assert store.incidents("predictive_maintenance", most=5)[0].closed_by == "schedule"
