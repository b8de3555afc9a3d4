"""The command monitor, on what a service has scored."""

import json
import os
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Feedback, Reading, Subject
from predictive_maintenance.store.store import Store
from tests.fixtures.servers import free_port
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
        assert seconds == 60
        if not before_next:
            raise EnoughError
        before_next.pop(0)()

    monkeypatch.setattr("predictive_maintenance.cli.monitoring.time.sleep", sleep)
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
    assert "version 1, 600 readings in the newest window" in output
    assert store.incidents("predictive_maintenance", most=1)[0].trained is not None


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
        monkeypatch.setattr("predictive_maintenance.cli.monitoring.time.time", lambda: now() + 7 * 86_400)
        assert store.incidents("predictive_maintenance", most=5) == []

    checks += [in_a_week, lambda: None]
    output = watch()
    assert output.count("incident 1: training (here)") == 1
    assert store.incidents("predictive_maintenance", most=5)[0].closed_by == "schedule"
