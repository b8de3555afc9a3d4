"""GET /monitoring returns the latest check that monitoring kept, as the OpenAPI document describes it."""

import json
import time
from dataclasses import replace

import pytest

from app.schemas.monitoring import Monitoring
from predictive_maintenance.evaluation.intervals import Estimate
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.monitoring import production_check as check_module
from predictive_maintenance.monitoring.drift import Finding
from predictive_maintenance.monitoring.inputs import Inputs
from predictive_maintenance.monitoring.performance import MetricComparison, Performance
from predictive_maintenance.monitoring.production import SilentMachine, Window
from predictive_maintenance.monitoring.production_check import ProductionCheck, content, save_check
from predictive_maintenance.store.store import Store

MODEL = "predictive_maintenance"
CHECKED = 1_800_000_000
SILENT = [SilentMachine("M1", CHECKED - 90_000), SilentMachine("M2", CHECKED - 180_000)]


class Version:
    model, version, machine = MODEL, "1", MILLING


def finding(column="torque_nm", low=1.71, **values):
    fields = {"effect": 1.92, "high": 2.12, "limit": 0.33, "before": 40.0, "now": 65.0} | values
    return Finding(kind="distribution", column=column, low=low, **fields)


def window(begins, findings):
    metrics = (
        MetricComparison(metric="precision", count=40, now=Estimate(0.9, 0.8, 1.0, 0.82), at_evaluation=None),
        MetricComparison(
            metric="recall", count=0, now=None, at_evaluation=Estimate(0.8, 0.7, 0.9, 0.72), reason="*nobody* knows"
        ),
    )
    performance = Performance(
        begins=begins, ends=begins + 1, source="feedback", predictions=900, labelled=40, alarms=50, labelled_alarms=40,
        failures=36, metrics=metrics,
    )  # fmt: skip
    inputs = Inputs(accepted=900, rejected=100, fields={"torque_nm": 100})
    return Window(begins=begins, ends=begins + 1, rows=900, findings=findings, inputs=inputs, performance=performance)


def a_check(**changed):
    findings = [finding(), finding("tool_wear_min", low=0.0, before=float("nan"))]
    windows = [window(CHECKED - 2, findings), window(CHECKED - 1, findings)]
    return replace(ProductionCheck(watched=Version, windows=windows, lasting=findings[:1], silent=SILENT), **changed)


@pytest.fixture
def store(client, tmp_path):
    client.get("/incidents")  # the service makes the store
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    yield store
    store.close()


def test_without_a_check_there_are_no_windows(client):
    answer = client.get("/monitoring").json()
    assert (answer["model_name"], answer["checked"], answer["windows"]) == (MODEL, None, [])
    Monitoring.model_validate(answer)


def test_the_latest_check_is_returned_with_its_time(client, store):
    save_check(store, a_check(silent=[]), CHECKED - 60)
    save_check(store, a_check(), CHECKED)
    answer = client.get("/monitoring").json()
    assert (answer["model_version"], answer["checked"], answer["silent_count"]) == ("1", "2027-01-15T08:00:00Z", 2)
    assert answer["lasting"][0]["text"].startswith("distribution of Torque: mean 65 Nm, in training 40 Nm; PSI 1.92")
    earlier, newest = Monitoring.model_validate(answer).windows
    assert [one.column for one in earlier.findings] == ["torque_nm"]  # what does not count is left out
    assert [one.before for one in newest.findings] == [40.0, None]
    assert newest.performance.metrics[0].now.high == 1.0
    assert newest.performance.metrics[1].reason == "*nobody* knows"


def metric(client, name):
    return next(
        (float(line.split()[1]) for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")),
        None,
    )


def test_silent_machines_are_returned_and_counted_as_a_metric(client, store):
    assert metric(client, "pdm_silent_machines") is None  # never checked
    save_check(store, a_check(), CHECKED)
    assert client.get("/monitoring").json()["silent_machines"] == [
        {"machine_id": "M1", "received": "2027-01-14T07:00:00Z"},
        {"machine_id": "M2", "received": "2027-01-13T06:00:00Z"},
    ]
    assert metric(client, "pdm_silent_machines") == 2
    assert metric(client, "pdm_monitoring_check_age_seconds") == pytest.approx(time.time() - CHECKED, abs=60)
    save_check(store, a_check(silent=[]), CHECKED)
    assert metric(client, "pdm_silent_machines") == 0


def test_an_open_incident_is_a_metric(client, store):
    assert metric(client, "pdm_open_incidents") is None  # never checked
    save_check(store, a_check(), CHECKED)
    assert metric(client, "pdm_open_incidents") == 0
    with store.writing() as transaction:
        transaction.open_incident(MODEL, "1", ["warm"], CHECKED)
    assert metric(client, "pdm_open_incidents") == 1
    with store.writing() as transaction:
        transaction.close_incident(store.open_incident(MODEL), "resolved", CHECKED + 60)
    assert metric(client, "pdm_open_incidents") == 0


def test_metrics_are_answered_while_the_store_is_away(client, store, tmp_path):
    save_check(store, a_check(), CHECKED)
    (tmp_path / "store.db").rename(tmp_path / "away.db")
    assert metric(client, "pdm_silent_machines") is None
    assert metric(client, "pdm_registry_look_up_age_seconds") is not None


def test_a_service_that_has_not_used_its_store_does_not_make_one_for_its_metrics(client, tmp_path):
    assert metric(client, "pdm_silent_machines") is None
    assert not (tmp_path / "store.db").exists()


def test_the_size_of_a_kept_check_does_not_depend_on_machines_and_columns(monkeypatch):
    monkeypatch.setattr(check_module, "_MOST_FINDINGS", 3)
    machines = tuple(f"M{number}" for number in range(1_000))
    findings = [finding(low=0.0)] * 10 + [finding(machines=machines)]
    silent = [SilentMachine(name, 0) for name in machines]
    found = a_check(windows=[window(0, findings)], lasting=findings, silent=silent)
    kept = content(found, bounded=True)
    (newest,) = kept["windows"]
    assert [one["exceeds_limit"] for one in newest["findings"]] == [True, False, False]
    assert len(newest["findings"][0]["machines"]) == 10
    assert (len(kept["silent_machines"]), kept["silent_count"]) == (100, 1_000)
    whole = content(found)
    assert (len(whole["windows"][0]["findings"]), len(whole["silent_machines"])) == (11, 1_000)
    json.dumps(whole, allow_nan=False)
