"""The command replay sends past readings and events to a running service, and shows the alarms."""

import re
import shutil
import threading
import time

import httpx
import pytest
import uvicorn
from click.testing import CliRunner

from app.factory import create_app
from app.settings import Settings
from predictive_maintenance.cli import replay as replay_command
from predictive_maintenance.cli.main import main
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.config.serving_params import ServingParams
from predictive_maintenance.errors import DataError
from predictive_maintenance.inference.replay import read_replay
from tests.fixtures.pumps import DESCRIPTION
from tests.paths import PARAMS_FILE

from .conftest import MemoryRegistry


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with the pump's description."""
    folder = tmp_path / "plant"
    (folder / "machines" / "pump").mkdir(parents=True)
    (folder / "machines" / "pump" / "machine.yaml").write_text(DESCRIPTION)
    shutil.copy(PARAMS_FILE, folder)
    monkeypatch.setenv("PDM_PROJECT_DIR", str(folder))
    monkeypatch.chdir(folder)


@pytest.fixture
def sources(pump_sources):
    return ",".join(str(source) for source in pump_sources)


@pytest.fixture
def url(small_pump, checked_files, tmp_path):
    """The address of a running service of the pumps."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "checked").symlink_to(checked_files)
    registry = MemoryRegistry(versions={"1": small_pump.files}, alias="1")
    settings = Settings(
        model_cache=models, registry_wait_seconds=60, store_url=f"sqlite:///{tmp_path / 'store.db'}",
        batch_deadline_seconds=60,
    )  # fmt: skip
    app = create_app(settings, ServingParams.of(small_pump.params), lambda _: registry)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def replay(*arguments):
    result = CliRunner().invoke(main, ["replay", "--machine", "pump", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_replay_sends_the_past_and_every_step_and_shows_alarms(project, sources, url):
    options = ("--url", url, "--sources", sources, "--start", "2024-01-09", "--days", "2", "--speed", "1e9")
    code, output = replay(*options, "--step-hours", "6")
    assert code == 0, output
    lines = [
        line for line in output.splitlines() if " [info" not in line and " [debug" not in line
    ]  # the service logs here, too
    assert re.fullmatch(r"history: [\d,]+ readings since 2024-01-\d\d \d\d:\d\d, [\d,]+ events", lines[0])
    assert "sending 8 steps of 6 h" in output
    assert lines[-2].startswith("2024-01-10 18:00; ")
    assert lines[-1] == "next: open the page Fleet of the dashboard, or ask the service for GET /alarms?state=all"
    assert "opened: P" in output
    assert "closed: P" in output
    again, repeated = replay(*options, "--step-hours", "6")
    assert again == 0
    assert "rejected" not in repeated


def test_a_service_that_is_not_there_is_an_error_with_the_way_out(project, sources):
    code, output = replay("--url", "http://user:secret@127.0.0.1:9", "--sources", sources)
    assert code == 1
    assert "Error: http://127.0.0.1:9: the service cannot be reached" in output
    assert "start it with python -m app" in output


def test_readings_and_events_are_in_steps_and_the_last_reading_is_sent(project, sources):
    params = load_params(None, "pump").override(sources)
    found = read_replay(params, "2024-01-05T06:00", days=1, step_hours=12, past_days=None)
    assert [step.begins[:16] for step in found.steps] == ["2024-01-05 06:00", "2024-01-05 18:00"]
    times = [reading["timestamp"] for step in found.steps for reading in step.readings]
    assert min(times) >= "2024-01-05T06:00"
    assert max(times) < "2024-01-06T06:00"
    past = [reading["timestamp"] for reading in found.past.readings]
    assert min(past) >= "2024-01-03T06:00"  # the longest span is 48 h
    assert {name for step in found.steps for name in step.events} <= {"errors", "service", "failures"}
    assert all(event["timestamp"] < "2024-01-05T06:00" for event in found.past.events["errors"])
    last = read_replay(params, None, days=0.5, step_hours=1, past_days=0)
    assert last.past.readings == []
    assert last.steps[-1].readings


def test_a_shift_changes_the_readings_from_the_start_on_only(project, sources):
    params = load_params(None, "pump").override(sources)

    def flows(**shifts):
        found = read_replay(params, "2024-01-05", days=1, step_hours=24, past_days=1, shifts=shifts)
        return [[row["flow"] for row in step.readings] for step in (found.past, *found.steps)]

    (past, sent), (shifted_past, shifted) = flows(), flows(flow=2.5)
    assert shifted_past == past
    assert shifted == [value + 2.5 for value in sent]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flaw=1", "--shift: 'flaw' is not a sensor; did you mean 'flow'?"),
        ("flow=much", "'flow=much': write the sensor and a number"),
        ("flow", "'flow': write the sensor and a number"),
    ],
)
def test_a_shift_that_cannot_be_used_is_named(project, sources, url, text, message):
    code, output = replay("--url", url, "--sources", sources, "--shift", text)
    assert code != 0
    assert message in output


@pytest.mark.parametrize(
    ("start", "message"), [("soon", "--start: 'soon' is not a time"), ("2030-01-01", "no readings from")]
)
def test_a_start_that_cannot_be_used_is_named(project, sources, start, message):
    params = load_params(None, "pump").override(sources)
    with pytest.raises(DataError, match=message):
        read_replay(params, start, days=1, step_hours=1, past_days=None)


def test_a_machine_without_history_has_nothing_to_replay(params):
    with pytest.raises(DataError, match="the milling machine has no history with timestamps"):
        read_replay(params, None, days=1, step_hours=1, past_days=None)


def test_a_service_that_loads_its_model_is_waited_for(capsys, monkeypatch):
    answers = iter([503, 503, 200])
    monkeypatch.setattr(replay_command.time, "sleep", lambda seconds: None)
    transport = httpx.MockTransport(lambda request: httpx.Response(next(answers)))
    with httpx.Client(transport=transport, base_url="http://service") as client:
        replay_command._wait_for_model(client)
    assert next(answers, None) is None
    assert capsys.readouterr().out == "waiting for the service at http://service, which has no model yet\n"
