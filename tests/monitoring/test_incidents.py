"""An incident opens once, closes by itself, and starts one training in the configured way."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from predictive_maintenance.config.params import MonitoringSettings
from predictive_maintenance.errors import ConfigError, StoreError
from predictive_maintenance.monitoring.drift import Finding
from predictive_maintenance.monitoring.incidents import (
    LOST,
    end_lost_trainings,
    end_training,
    follow,
    give_back,
    may_train,
    open_incident,
)
from predictive_maintenance.monitoring.retraining import NotStartedError, check_retraining, start_training
from predictive_maintenance.monitoring.rule import lasting
from predictive_maintenance.store.rows import Incident
from predictive_maintenance.store.store import Store

INCIDENT = Incident(key=7, version="3", opened=1, reasons=("warm",))


def version(number="3"):
    return SimpleNamespace(model="pumps", version=number)


def check(store, reasons, now, number="3", findings=()):
    """What one check of production changes."""
    windows, settings = [SimpleNamespace(findings=findings)], MonitoringSettings(windows=1, least=1)
    return [
        (change.what, change.incident.key, change.incident.closed_by)
        for change in follow(store, version(number), windows, reasons, settings, now)
    ]


def test_an_incident_lasts_until_nothing_lasts(store):
    assert check(store, [], 1) == []
    assert check(store, ["warm"], 2) == [("opened", 1, None)]
    assert check(store, ["warm", "wet"], 3) == []
    assert check(store, [], 4, findings=None) == []  # too few readings to be compared
    assert open_incident(store, version()).reasons == ("warm",)
    assert check(store, [], 5) == [("closed", 1, "resolved")]
    assert open_incident(store, version()) is None


def test_another_version_in_production_closes_it_and_may_have_its_own(store):
    check(store, ["warm"], 2)
    assert check(store, [], 3, number="4", findings=None) == [("closed", 1, "another version")]
    check(store, ["warm"], 4, number="4")
    assert check(store, ["warm"], 5, number="5") == [("closed", 2, "another version"), ("opened", 3, None)]


def test_a_training_is_started_once(store):
    check(store, ["warm"], 2)
    incident = open_incident(store, version())
    assert [may_train(store, incident, MonitoringSettings(), now) for now in (3, 4, 10**9)] == [True, False, False]


def test_a_further_incident_trains_when_the_cool_down_is_over(store):
    settings, day = MonitoringSettings(cool_down_days=3), 86_400
    check(store, ["warm"], 2)
    assert may_train(store, open_incident(store, version()), settings, 3)
    check(store, [], 4)
    check(store, ["wet"], 5)
    further = open_incident(store, version())
    assert [may_train(store, further, settings, 3 + after) for after in (10, 3 * day - 1, 3 * day)] == [
        False,
        False,
        True,
    ]


def test_incidents_and_trainings_of_another_model_do_not_count(store):
    windows, settings = [SimpleNamespace(findings=[])], MonitoringSettings(windows=1, least=1)
    for model in ("pumps", "fans"):
        watched = SimpleNamespace(model=model, version="3")
        (change,) = follow(store, watched, windows, ["warm"], settings, 2)
        assert (change.what, may_train(store, change.incident, settings, 3)) == ("opened", True)


def test_a_training_whose_monitor_was_killed_has_a_result_when_its_time_is_over(store):
    check(store, ["warm"], 2)
    settings = MonitoringSettings(retrain_max_hours=1)
    assert may_train(store, open_incident(store, version()), settings, 3)
    end_lost_trainings(store, version(), settings, 3 + 7_200)
    assert open_incident(store, version()).training_result is None
    end_lost_trainings(store, version(), settings, 4 + 7_200)
    incident = open_incident(store, version())
    assert (incident.training_result, incident.training_ended) == (LOST, 4 + 7_200)
    end_training(store, incident, "was successful", 9_000)
    end_lost_trainings(store, version(), settings, 99_000)
    incident = open_incident(store, version())
    assert (incident.training_result, incident.training_ended) == ("was successful", 9_000)


def test_a_training_that_is_given_back_late_has_no_result(store):
    """Another monitor has noted meanwhile that there is no known one."""
    check(store, ["warm"], 2)
    incident = open_incident(store, version())
    assert may_train(store, incident, MonitoringSettings(), 3)
    end_lost_trainings(store, version(), MonitoringSettings(), 10**6)
    give_back(store, incident)
    assert open_incident(store, version()) == incident
    assert may_train(store, incident, MonitoringSettings(), 10**6)


def difference(low):
    return Finding(kind="distribution", column="a", effect=2.0, low=low, high=9.0, limit=1.0, before=0.0, now=0.0)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("+-" * 15, (1, 1, 0)),
        ("++--" * 8, (1, 1, 0)),
        ("+++--" * 6, (1, 1, 0)),
        ("+" * 30, (1, 1, 0)),
        ("+++++" + "-" * 25, (1, 1, 1)),
        ("--+--" * 6, (0, 0, 0)),
        ("++++---" * 4, (4, 4, 4)),
    ],
)
def test_an_effect_that_alternates_around_its_limit_is_one_incident_and_one_training(store, days, expected):
    """Windows of a day, checked each hour for 30 days."""
    settings, windows = MonitoringSettings(window_days=1), []
    opened, trained, closed = 0, 0, 0
    for day, sign in enumerate(days[:30]):
        windows.append([difference(1.1 if sign == "+" else 0.9)])
        reasons = [finding.column for finding in lasting(windows, least=settings.least, among=settings.windows)]
        for hour in range(24):
            now = (24 * day + hour) * 3_600
            recent = [SimpleNamespace(findings=findings) for findings in windows[-settings.windows :]]
            changes = follow(store, version(), recent, reasons, settings, now)
            opened += sum(change.what == "opened" for change in changes)
            closed += sum(change.what == "closed" for change in changes)
            incident = open_incident(store, version())
            trained += incident is not None and may_train(store, incident, settings, now)
    assert (opened, trained, closed) == expected


def test_two_monitors_at_once_open_one_incident_and_start_one_training(stores):
    def monitor(store):
        changes = check(store, ["warm"], 2)
        return len(changes), may_train(store, open_incident(store, version()), MonitoringSettings(), 3)

    with ThreadPoolExecutor(2) as pool:
        opened, trained = zip(*pool.map(monitor, stores), strict=True)
    assert (sum(opened), sum(trained)) == (1, 1)
    with ThreadPoolExecutor(2) as pool:
        closed = list(pool.map(lambda store: check(store, [], 4), stores))
    assert sorted(map(len, closed)) == [0, 1]


def test_an_incident_opens_once_the_full_disk_has_space_again(make_disk):
    disk = make_disk(1024)
    store = Store.open(f"sqlite:///{disk.path / 'store.db'}", timeout_seconds=5)
    disk.fill()
    with pytest.raises(StoreError, match="the disk of the store is full"):
        check(store, ["warm" * 100_000], 2)  # larger than what is free in the files
    assert open_incident(store, version()) is None
    disk.free()
    assert check(store, ["warm"], 3) == [("opened", 1, None)]
    store.close()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose flow writes its arguments."""
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    flow = tmp_path / "flows" / "train_flow.py"
    flow.parent.mkdir()
    flow.write_text(
        "import json, pathlib, sys\n"
        f"pathlib.Path({str(tmp_path / 'arguments.json')!r}).write_text(json.dumps(sys.argv[1:]))\n"
    )
    (tmp_path / "params.yaml").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("how", "machine", "expected"),
    [
        ("here", "", ["run", "--tag", "incident:7"]),
        ("batch", "fleet", ["run", "--tag", "incident:7", "--machine", "fleet", "--with", "batch"]),
    ],
)
def test_the_flow_runs_with_the_incident_as_its_tag(project, how, machine, expected):
    assert start_training(INCIDENT, MonitoringSettings(retrain=how), machine).wait(30).succeeded
    assert json.loads((project / "arguments.json").read_text()) == expected


@pytest.mark.parametrize("how", ["here", "batch"])
def test_the_flow_has_the_settings_that_are_watched(project, how, monkeypatch):
    monkeypatch.chdir(project)
    settings = MonitoringSettings(retrain=how)
    check_retraining(settings, "pumps", "pumps", Path("plant.yaml"))
    assert start_training(INCIDENT, settings, "", Path("plant.yaml")).wait(30).succeeded
    arguments = json.loads((project / "arguments.json").read_text())
    assert arguments[:4] == ["--config", "settings", str(project / "plant.yaml"), "run"]


def test_a_workflow_on_github_cannot_have_settings_of_this_machine(project, github):
    settings = MonitoringSettings(retrain="repository_dispatch")
    check_retraining(settings, "pumps", "pumps", project / "params.yaml")
    with pytest.raises(
        ConfigError, match=r"--params is plant\.yaml: the workflow on GitHub trains with the params\.yaml of"
    ):
        check_retraining(settings, "pumps", "pumps", Path("plant.yaml"))


def test_a_process_that_cannot_be_started_is_no_training(project, monkeypatch):
    monkeypatch.setattr("predictive_maintenance.monitoring.retraining.sys.executable", str(project / "no-python"))
    with pytest.raises(NotStartedError, match="no-python: No such file or directory: no training was started"):
        start_training(INCIDENT, MonitoringSettings(retrain="here"), "")


class GitHub(BaseHTTPRequestHandler):
    """Answers 204 to a dispatch with the right token, as GitHub does."""

    received: list = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((self.path, body))
        self.send_response(204 if self.headers["Authorization"] == "Bearer secret-token" else 401)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def github(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "plant/maintenance")
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token")
    GitHub.received = []
    yield GitHub.received
    server.shutdown()
    server.server_close()


def test_a_workflow_is_requested_with_the_incident(github):
    start_training(INCIDENT, MonitoringSettings(retrain="repository_dispatch"), "fleet")
    payload = {"event_type": "drift", "client_payload": {"incident": 7, "machine": "fleet", "promote": "true"}}
    assert github == [("/repos/plant/maintenance/dispatches", payload)]


def test_a_workflow_trains_the_machine_in_the_environment_of_the_monitor(github, monkeypatch):
    monkeypatch.setenv("PDM_MACHINE", "turbofan")
    start_training(INCIDENT, MonitoringSettings(retrain="repository_dispatch"), "")
    ((_, payload),) = github
    assert payload["client_payload"]["machine"] == "turbofan"


def test_a_training_can_leave_its_model_to_shadow(github):
    start_training(INCIDENT, MonitoringSettings(retrain="repository_dispatch", retrain_promote=False), "fleet")
    ((_, payload),) = github
    assert payload["client_payload"]["promote"] == "false"


def test_a_workflow_for_a_scheduled_training_is_no_drift(github):
    scheduled = Incident(key=8, version="3", opened=1, reasons=("old",), closed=1, closed_by="schedule", trained=1)
    start_training(scheduled, MonitoringSettings(retrain="repository_dispatch"), "fleet")
    ((_, payload),) = github
    assert payload["event_type"] == "new-data"
    assert payload["client_payload"]["incident"] == 8


def test_a_refused_request_is_an_error_without_the_token(github, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "wrong-token")
    with pytest.raises(NotStartedError, match="401") as error:
        start_training(INCIDENT, MonitoringSettings(retrain="repository_dispatch"), "")
    assert "wrong-token" not in str(error.value)


def test_what_is_missing_to_train_is_named_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setenv("PDM_PROJECT_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=r"train_flow\.py does not exist"):
        check_retraining(MonitoringSettings(retrain="here"), "pumps", "pumps")
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    with pytest.raises(ConfigError, match=r"set GITHUB_REPOSITORY .* and GITHUB_TOKEN"):
        check_retraining(MonitoringSettings(retrain="repository_dispatch"), "pumps", "pumps")
    check_retraining(MonitoringSettings(), "pumps", "pumps")


@pytest.mark.parametrize(
    "address", ["api.github.com", "ftp://github.plant", "https://", "https://github.plant:84430", "https://github:port"]
)
def test_an_address_of_github_that_cannot_be_used_is_named_at_the_start(github, monkeypatch, address):
    monkeypatch.setenv("GITHUB_API_URL", address)
    with pytest.raises(ConfigError, match=r"GITHUB_API_URL is '.*': set the https:// address .*, or unset it"):
        check_retraining(MonitoringSettings(retrain="repository_dispatch"), "pumps", "pumps")


def test_a_password_in_the_address_of_github_is_not_shown(github, monkeypatch):
    address = os.environ["GITHUB_API_URL"]
    monkeypatch.setenv("GITHUB_API_URL", address.replace("http://", "http://robot:hidden-word@"))
    with pytest.raises(NotStartedError) as refused:
        start_training(INCIDENT, MonitoringSettings(retrain="repository_dispatch"), "")
    assert "hidden-word" not in str(refused.value)
    monkeypatch.setenv("GITHUB_API_URL", "https://robot:hidden-word@github.plant:84430")
    with pytest.raises(ConfigError) as wrong:
        check_retraining(MonitoringSettings(retrain="repository_dispatch"), "pumps", "pumps")
    assert "hidden-word" not in str(wrong.value)


@pytest.mark.parametrize("token", ["hidden-wörd", "hidden-word\nX: 1"])
def test_a_token_that_no_header_can_have_is_refused_at_the_start_and_not_shown(github, monkeypatch, token):
    monkeypatch.setenv("GITHUB_TOKEN", token)
    with pytest.raises(ConfigError) as refused:
        check_retraining(MonitoringSettings(retrain="repository_dispatch"), "pumps", "pumps")
    assert str(refused.value) == "GITHUB_TOKEN must be printable ASCII: copy it again"


def test_a_token_from_a_file_that_ends_with_a_line_feed_is_used(github, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token\n")
    start_training(INCIDENT, MonitoringSettings(retrain="repository_dispatch"), "")
    assert len(github) == 1


def test_an_empty_address_of_github_counts_as_not_set(github, monkeypatch):
    monkeypatch.setenv("GITHUB_API_URL", "")
    check_retraining(MonitoringSettings(retrain="repository_dispatch"), "pumps", "pumps")


@pytest.mark.parametrize("repository", ["maintenance", "https://github.com/plant/maintenance", "plant/main\ntenance"])
def test_a_repository_that_is_no_owner_and_name_is_refused_at_the_start(github, monkeypatch, repository):
    monkeypatch.setenv("GITHUB_REPOSITORY", repository)
    with pytest.raises(ConfigError, match=r"set GITHUB_REPOSITORY \(owner/name\)"):
        check_retraining(MonitoringSettings(retrain="repository_dispatch"), "pumps", "pumps")


@pytest.mark.parametrize("how", ["here", "batch", "repository_dispatch"])
def test_a_training_of_another_model_than_the_watched_one_is_refused_at_the_start(project, github, how):
    settings = MonitoringSettings(retrain=how)
    check_retraining(settings, watched="pumps", trained="pumps")
    with pytest.raises(
        ConfigError, match=f"PDM_MODEL_NAME is 'fans', and monitoring.retrain is '{how}': .* of 'pumps'"
    ):
        check_retraining(settings, watched="fans", trained="pumps")


def test_a_model_that_is_never_trained_may_be_watched(project):
    check_retraining(MonitoringSettings(retrain="never"), watched="fans", trained="pumps")
