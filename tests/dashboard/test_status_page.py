"""The status page."""

from dashboard.api_client import ApiError
from predictive_maintenance.store.rows import Alarm
from predictive_maintenance.store.store import Store
from tests.app.conftest import wait_until

from .conftest import READING, page_text, training_run
from .test_every_page import NOT_REACHABLE


def fail(message):
    """Return a request that fails."""

    def request():
        raise ApiError(message)

    return request


def test_metrics_have_intervals_rows_and_the_value_that_the_quality_gate_requires(open_page):
    text = page_text(open_page("status"))
    assert "0.850" in text
    assert "0.750 to 0.900; required: >= 0.7" in text
    assert "1,505 held-out rows with 39 failures" in text
    assert "Recall on held-out rows | 0.850 | >= 0.7 | it is *enough*" in text
    assert "plant*.csv, 9,000 rows, DVC md5 0a; and 2 more" in text


def test_the_last_training_run_has_its_verdict(open_page, full_registry, clock):
    page = open_page("status")
    assert "is rejected, because a check failed: F1 on held-out rows" in page_text(page)
    full_registry.runs.insert(0, training_run(4, "RUNNING", None, None))
    clock.now += 31
    assert "Running" in page_text(page.run())


def test_readings_alarms_and_rejected_readings_are_counted(open_page, transport, clock):
    page = open_page("status")
    assert "No readings were rejected" in page_text(page)
    clock.now += 60
    transport.service.post("/predict", json=READING)
    assert transport.service.post("/predict", json=READING | {"torque_nm": 900.0}).status_code == 422
    text = page_text(page.run())
    assert "2.0 per minute" in text
    assert "2 in the last 1.0 minutes" in text
    assert "| Torque | 1 |" in text
    assert "1 invalid requests (4xx), 0 server errors (5xx)" in text


def test_predictions_in_the_log_and_lost_ones_are_counted(open_page, transport, make_client, clock):
    transport.start = lambda: make_client(prediction_log=True, prediction_log_seconds=0.02, prediction_log_rows=2)
    page = open_page("status")
    transport.service.post("/predict/batch", json=[READING] * 3)
    transport.service.post("/predict", json=READING)
    wait_until(lambda: "pdm_predictions_logged_total 1.0" in transport.service.get("/metrics").text)
    clock.now += 60
    assert "because the store could not be written for too long" in page_text(page.run())
    assert [element.value for element in page.subheader][-4:] == ["Prediction log", "1", "0", "🔴 3"]


def test_an_open_incident_is_shown_with_its_reasons_and_training(open_page, transport, make_client, clock, tmp_path):
    transport.start = lambda: make_client(prediction_log=True)
    page = open_page("status")
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    with store.writing() as transaction:
        transaction.open_incident("predictive_maintenance", "1", ["Torque: mean *65* Nm"], 1_800_000_000)
    (incident,) = store.incidents("predictive_maintenance", most=1)
    with store.writing() as transaction:
        transaction.claim_training(incident, 1_800_000_060, 0)
        transaction.add_scheduled_training("predictive_maintenance", "1", "a week is over", 1_800_000_090)
    clock.now += 31
    page.run()
    clock.now += 31
    text = page_text(page.run())
    assert "**Incident 1 is open** since 2027-01-15 08:00 UTC" in text
    assert "A training was started at 2027-01-15 08:01 UTC (no result yet)." in text
    assert "- Torque: mean *65* Nm" in text
    assert "| 2027-01-15 08:01 UTC (scheduled training) |" in text
    with store.writing() as transaction:
        transaction.end_training(incident, "ended with exit code 1", 1_800_000_115)
        transaction.close_incident(incident, "resolved", 1_800_000_120)
    store.close()
    clock.now += 31
    text = page_text(page.run())
    assert "is open" not in text
    assert (
        "| 1 | 1 | 2027-01-15 08:00 UTC | 2027-01-15 08:02 UTC (no difference any more) | 2027-01-15 08:01 UTC "
        "(ended with exit code 1, 2027-01-15 08:01 UTC) |"
    ) in text


def test_messages_about_alarms_that_were_given_up_are_shown_with_the_way_out(
    open_page, transport, make_client, clock, tmp_path, monkeypatch
):
    transport.start = lambda: make_client(prediction_log=True)
    page = open_page("status")
    assert "Messages about alarms" not in page_text(page)
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", timeout_seconds=5)
    with store.writing() as transaction:
        (machine,) = transaction.machines("predictive_maintenance", ["M*1"]).values()
        transaction.save_alarm(machine, Alarm(opened=1_719_748_800_000_000, probability=0.75, version="1"))
        transaction.begin_deliveries("predictive_maintenance", 1_800_000_000)
    (due,) = store.due_deliveries("predictive_maintenance", now=1_800_000_000, most=5)
    with store.writing() as transaction:
        transaction.claim_delivery(due, 1_800_000_000)
        transaction.end_delivery(due, "dead", reason="answer 400: no |such| field")
    store.close()
    monkeypatch.setenv("PDM_COMMAND_PREFIX", "docker compose run --rm train")
    clock.now += 31
    page.run()
    clock.now += 31
    text = page_text(page.run())
    assert "`docker compose run --rm train predictive-maintenance notify --repeat-dead`" in text
    assert "M*1 | 2024-06-30 12:00 UTC | opened | 1 | given up | answer 400: no |such| field" in text


def test_a_service_without_log_says_how_to_have_one(open_page):
    assert "Predictions are not logged: set PDM_STORE_URL or PDM_PREDICTION_LOG" in page_text(open_page("status"))


def test_the_last_known_state_stays_with_its_age_while_the_service_is_not_reachable(open_page, transport):
    page = open_page("status")
    transport.fault = NOT_REACHABLE
    text = page_text(page.run())
    assert "The service is not reachable" in text
    assert "s old" in text
    assert "Version 1" in text
    assert "0.850" in text
    transport.fault = None
    assert "Version 1 is served" in page_text(page.run())


def test_a_promotion_is_shown_in_the_same_session(open_page, transport, full_registry):
    page = open_page("status")
    full_registry.alias = "2"
    transport.poll_registry()
    text = page_text(page.run())
    assert "Version 2 is served" in text
    assert "0.650" in text


def test_a_registry_that_is_not_reachable_is_reported_and_the_version_is_still_served(
    open_page, transport, full_registry
):
    page = open_page("status")
    full_registry.down = "out to lunch"
    transport.poll_registry()
    text = page_text(page.run())
    assert "Version 1 is served, with a warning" in text
    assert "out to lunch" in text
    assert "Degraded" in text


def test_failed_registry_requests_are_shown_as_a_degraded_registry(open_page, monitor):
    monitor.api.versions = monitor.api.training_runs = fail("the registry is not reachable")
    text = page_text(open_page("status"))
    assert "Some data is missing: the registry is not reachable" in text
    assert "🟡 Degraded" in text


def test_a_version_without_recorded_metrics_and_gate_can_be_shown(open_page, full_registry):
    full_registry.tags["1"] = {}
    text = page_text(open_page("status"))
    assert "No metrics on held-out rows are recorded for this version" in text
    assert "No checks are recorded for this version" in text
    assert "Previous version | —" in text
