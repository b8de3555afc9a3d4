"""The closed loop, in its own processes: train, serve, drift, labels, an incident, one training, the gate, a new version."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from machines.milling.simulator import simulate
from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for
from tests.paths import PARAMS_FILE, REPOSITORY

pytestmark = pytest.mark.long

SIMULATED = {"uri": "simulator://?rows=6000&seed=7"}
READINGS, AT_A_TIME, PAUSE_SECONDS = 30_000, 1_000, 3.0
WINDOW_SECONDS = 15
SHIFT_K = 8.0


@pytest.fixture
def project(tmp_path):
    """A project folder with the flow. Its windows are short, and an incident trains on this machine."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flows").symlink_to(REPOSITORY / "flows")
    write_settings(folder, [SIMULATED])
    return folder


def write_settings(folder: Path, sources: list[dict]) -> None:
    settings = yaml.safe_load(PARAMS_FILE.read_text())
    settings["data"]["sources"] = sources
    for candidate in settings["candidates"].values():
        candidate["trials"] = 1
    settings["gate"]["max_mode_recall_loss"] = 0.3  # few failures of a mode are held out
    settings["monitoring"] |= {
        "window_days": WINDOW_SECONDS / 86_400, "windows": 3, "least": 2, "retrain": "here",
    }  # fmt: skip
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))


@pytest.fixture
def environment(tmp_path, project):
    return clean_environment(
        PDM_PROJECT_DIR=str(project), PDM_STORE_URL=f"sqlite:///{tmp_path / 'store.db'}",
        PDM_MODEL_CACHE=str(tmp_path / "models"), PDM_POLL_SECONDS="0.2", PDM_PREDICTION_LOG_SECONDS="0.2",
        MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}", METAFLOW_DATASTORE_SYSROOT_LOCAL=str(tmp_path),
        METAFLOW_USER="tester",
    )  # fmt: skip


@pytest.fixture
def start(tmp_path, environment):
    """A function that starts `python -m ARGUMENTS`; all are killed after the test."""
    started = []

    def start(*arguments: str) -> Process:
        log = tmp_path / f"{arguments[0]}-{len(started)}.log"
        started.append(Process([sys.executable, "-m", *arguments], log, environment))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()


def drifted_readings() -> list[dict]:
    """Labelled readings after the thermometers were replaced: both show too much, which changes no failure."""
    rows = simulate(READINGS, 99)
    rows[["air_temperature_k", "process_temperature_k"]] += SHIFT_K
    return rows.to_dict("records")


def send_until_an_incident_opens(client: httpx.Client, rows: list[dict]) -> None:
    for start in range(0, len(rows), AT_A_TIME):
        send(client, rows[start : start + AT_A_TIME], logged=start)
        if client.get("/incidents").json()["incidents"]:
            return
        time.sleep(PAUSE_SECONDS)
    raise AssertionError(f"no incident after {len(rows):,} readings")


def send(client: httpx.Client, rows: list[dict], logged: int) -> None:
    """Let the service score the readings, and report for each whether the machine failed. It has logged some before."""
    names = load_params(PARAMS_FILE).machine.input_names
    answer = client.post("/predict/batch", json=[{name: row[name] for name in names} for row in rows], timeout=60)
    assert (answer.status_code, answer.json()["rejected_rows"]) == (200, 0)
    request = answer.headers["X-Request-ID"]
    reports = [
        {
            "request_id": request,
            "row": place,
            "verdict": "confirmed" if row["machine_failure"] else "false",
            "by": "the closed loop",
        }
        for place, row in enumerate(rows, start=1)
    ]
    wait_for(lambda: f"pdm_predictions_logged_total {float(logged + len(rows))}" in client.get("/metrics").text)
    assert client.post("/feedback", json=reports, timeout=60).status_code == 200


def test_drift_opens_an_incident_that_trains_once_and_ends_with_the_new_version(
    project, environment, start, tmp_path, monkeypatch
):
    flow = [sys.executable, str(project / "flows" / "train_flow.py"), "run"]
    trained = subprocess.run(
        flow, cwd=project, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert "version 1 is in production" in trained.stdout, trained.stdout + trained.stderr

    port = free_port()
    start("app", "--port", str(port))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        wait_for(lambda: client.get("/ready").status_code == 200)
        write_settings(project, [SIMULATED, {"uri": "store://"}])
        monitors = [start("predictive_maintenance", "monitor", "--watch", "--every", "0.05") for _ in range(2)]
        send_until_an_incident_opens(client, drifted_readings())
        wait_for(lambda: client.get("/health").json()["serving_version"] == "2", seconds=400)
        wait_for(lambda: client.get("/incidents").json()["incidents"][0]["closed"], seconds=60)
        (incident,) = client.get("/incidents").json()["incidents"]

    assert (incident["model_version"], incident["closed_by"]) == ("1", "another version")
    assert any("Air temperature" in reason for reason in incident["reasons"])
    logs = "".join(monitor.log.read_text() for monitor in monitors)
    assert logs.count("incident 1 opened") == 1
    assert logs.count("incident 1: training (here)") == 1
    assert logs.count("incident 1 closed (another version)") == 1
    kept = re.search(r"([\d,]+) rows from store://", logs)
    assert kept is not None
    assert int(kept[1].replace(",", "")) >= AT_A_TIME

    monkeypatch.setenv("MLFLOW_TRACKING_URI", environment["MLFLOW_TRACKING_URI"])
    registry = ModelRegistry(connect(load_params(PARAMS_FILE).registry))
    production = registry.production_version()
    assert production.version == "2"
    run = registry.connection.client.get_run(production.run_id)
    assert run.data.tags["incident"] == "1"
