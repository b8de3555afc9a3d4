"""The closed loop of machines without time, whose predictions people report on."""

import time

import httpx
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.config.params_file import load_params
from tests.fixtures.servers import wait_for
from tests.paths import PARAMS_FILE

from .closed_loop import DAY_SECONDS, ClosedLoop

pytestmark = pytest.mark.long

SIMULATED = {"uri": "simulator://?rows=6000&seed=7"}
READINGS, AT_A_TIME, PAUSE_SECONDS = 80_000, 400, 2.0
WINDOW_SECONDS = 10
SHIFT_K = 8.0
SETTINGS = {
    "candidates": {
        "lightgbm": {"trials": 1, "fixed": {"n_estimators": 100}, "search": {"num_leaves": {"low": 15, "high": 31}}}
    },
    "split": {"folds": 3},
    "gate": {"max_mode_recall_loss": 0.3},  # few failures of a mode are held out
    "monitoring": {"window_days": WINDOW_SECONDS / DAY_SECONDS, "windows": 3, "least": 2},
}


def drifted_readings() -> list[dict]:
    """Labelled readings after the thermometers were replaced: both show too much, which changes no failure."""
    rows = simulate(READINGS, 99)
    rows[["air_temperature_k", "process_temperature_k"]] += SHIFT_K
    return rows.to_dict("records")


def send_until_another_version_serves(loop: ClosedLoop, rows: list[dict]) -> None:
    for start in range(0, len(rows), AT_A_TIME):
        if loop.serving_version() == "2":
            return
        send(loop.client, rows[start : start + AT_A_TIME], logged=start)
        time.sleep(PAUSE_SECONDS)
    raise AssertionError(f"version 1 still serves after {len(rows):,} readings")


def send(client: httpx.Client, rows: list[dict], logged: int) -> None:
    """Let the service score the readings, and report for each whether the machine failed. It has logged some before."""
    names = load_params(PARAMS_FILE).machine.input_names
    answer = client.post("/predict/batch", json=[{name: row[name] for name in names} for row in rows])
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
    assert client.post("/feedback", json=reports).status_code == 200


def test_drift_opens_an_incident_that_trains_once_and_ends_with_the_new_version(closed_loop):
    closed_loop.configure([SIMULATED], SETTINGS)
    closed_loop.train_first_version()
    closed_loop.serve()
    closed_loop.configure([SIMULATED, {"uri": "store://"}], SETTINGS)
    closed_loop.start_two_monitors(every_seconds=3)
    send_until_another_version_serves(closed_loop, drifted_readings())

    incident = closed_loop.wait_until_the_incident_is_closed()
    assert (incident["model_version"], incident["closed_by"]) == ("1", "another version")
    assert any("Air temperature" in reason for reason in incident["reasons"])
    assert closed_loop.rows_of_store_in_the_only_training() >= AT_A_TIME
    assert closed_loop.incident_of_production() == ("2", "1")
