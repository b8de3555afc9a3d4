"""The closed loop of a fleet: train, serve, traffic over time, a drift, late reports, an incident, one training, a new version.

A day of the pumps takes a second: see fast_fleet.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.fixtures import fast_fleet
from tests.fixtures.fast_fleet import FastFleet
from tests.fixtures.servers import Process, wait_for

from .closed_loop import DAY_SECONDS, ClosedLoop

pytestmark = pytest.mark.long

PUMPS, PAST_DAYS, DAYS_TO_COME, HOURS_APART = 40, 150, 400, 6
CALM_DAYS, WINDOW_DAYS, HORIZON_DAYS, REPORTED_AFTER_DAYS = 12, 5, 7, 4
WINDOWS, LEAST = 5, 3
SENSOR, CHANGE = "vibration_mm_s", 2
SETTINGS = {
    "machine": fast_fleet.NAME,
    "candidates": {
        "lightgbm": {"trials": 1, "fixed": {"n_estimators": 40}, "search": {"num_leaves": {"low": 7, "high": 15}}}
    },
    "split": {"folds": 2, "by": "group"},
    "threshold": {"optimise": "f_beta"},
    "evaluation": {"bootstrap_samples": 100, "alarm_policies": []},
    "gate": {  # intervals are wide: few pumps are held out, and few fail
        "min_recall": 0.2, "min_f1": 0.15, "max_f1_loss": 0.5, "max_mode_recall_loss": 0.9, "min_failures_caught": 0.2,
    },
    "monitoring": {
        "window_days": WINDOW_DAYS / DAY_SECONDS, "windows": WINDOWS, "least": LEAST, "performance_windows": 8,
        # A report takes some seconds where the machine is slow, and so few pumps do not show that they are as in training.
        "label_days": (REPORTED_AFTER_DAYS + 2) / DAY_SECONDS, "max_performance_loss": 0.5, "failures_are_reported": True,
    },
}  # fmt: skip


@dataclass
class LateReports:
    """People who report each failure since `reported` to the service, some days after it."""

    client: httpx.Client
    failures: pd.DataFrame
    reported: pd.Timestamp

    def send(self) -> None:
        until = pd.Timestamp.now("UTC") - pd.Timedelta(seconds=REPORTED_AFTER_DAYS)
        times = self.failures["timestamp"]
        due = self.failures[(times >= self.reported) & (times < until)].rename(columns={"component": "type"})
        if len(due):
            events = json.loads(due.to_json(orient="records", date_format="iso", date_unit="us"))
            answer = self.client.post("/events", json={"failures": events})
            assert answer.status_code == 200, answer.text
        self.reported = until


def start_replay(loop: ClosedLoop, sources: Sequence[Mapping[str, str]], days: float, *options: str) -> Process:
    """Send the readings, errors and maintenance of the pumps from now on, when they happen."""
    texts = [
        source["uri"] if source["table"] == "readings" else f"{source['table']}:{source['uri']}" for source in sources
    ]
    return loop.start(
        "predictive_maintenance", "replay", "--url", str(loop.client.base_url), "--sources", ",".join(texts),
        "--start", pd.Timestamp.now("UTC").isoformat(), "--days", str(days / DAY_SECONDS), "--speed", "1",
        "--step-hours", str(0.5 / 3600), *options,
    )  # fmt: skip


def test_a_drift_in_several_windows_is_trained_again_while_failures_are_reported_late(closed_loop, tmp_path):
    loop, fleet = closed_loop, FastFleet.simulated(PUMPS, PAST_DAYS, DAYS_TO_COME, HOURS_APART)
    fast_fleet.write_description(loop.project)
    past, to_come = fleet.past().write(tmp_path / "past"), fleet.to_come().write(tmp_path / "to-come")
    loop.configure(past, SETTINGS)
    loop.train_first_version()

    loop.serve()
    loop.configure([*past, {"uri": "store://"}], SETTINGS)
    loop.start_two_monitors(every_seconds=3)
    reports = LateReports(loop.client, fleet.tables["failures"], fleet.now)
    calm = start_replay(loop, to_come, CALM_DAYS)
    while calm.running.poll() is None:
        reports.send()
        time.sleep(0.2)
    assert calm.running.returncode == 0, calm.log.read_text()
    assert loop.first_incident() is None

    drift_began = time.time()
    start_replay(loop, to_come, DAYS_TO_COME, "--past-days", "0", "--shift", f"{SENSOR}={CHANGE:+}")
    seen, checks = set(), []

    def another_version_serves() -> bool:
        time.sleep(0.2)
        reports.send()
        incident, check = loop.first_incident(), loop.client.get("/monitoring").json()
        if check["model_version"] == "1":
            seen.add((shifted_windows(check), incident is not None))
            checks.append(check)
        return loop.serving_version() == "2"

    wait_for(another_version_serves, seconds=400)
    incident = loop.wait_until_the_incident_is_closed()

    assert any("Vibration" in reason for reason in incident["reasons"]), incident
    assert seen & {(1, False), (2, False)}, seen
    assert seconds(incident["opened"]) >= int(drift_began + (LEAST - 1) * WINDOW_DAYS)
    assert (incident["model_version"], incident["closed_by"]) == ("1", "another version")
    assert loop.rows_of_store_in_the_only_training() > 0
    assert loop.incident_of_production() == ("2", "1")

    performance = checks[-1]["windows"][-1]["performance"]
    assert seconds(performance["ends"]) <= seconds(checks[-1]["checked"]) - HORIZON_DAYS - REPORTED_AFTER_DAYS
    assert performance["source"] == "failures"
    assert {one["metric"] for one in performance["metrics"] if one["now"]} >= {"recall", "precision"}, performance


def shifted_windows(check: Mapping[str, Any]) -> int:
    """The number of windows in which the shifted sensor exceeds its limit."""
    exceeded = [
        {(finding["kind"], finding["column"]) for finding in window["findings"] or () if finding["exceeds_limit"]}
        for window in check["windows"]
    ]
    return sum(("distribution", SENSOR) in one for one in exceeded)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
