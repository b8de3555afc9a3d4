"""The fleet page with the machines in the store of the service."""

import json
import re
import shlex

import pytest
from fastapi.testclient import TestClient

from .conftest import page_text
from .stored_machines import problem, stored, summary
from .test_every_page import NOT_REACHABLE


@pytest.fixture
def small(small_engine):
    return small_engine


@pytest.fixture
def service(transport) -> TestClient:
    return transport.service


@pytest.fixture
def three_machines(transport):
    """Machines of which one is silent for two days, and another one has an open alarm at a low risk."""
    transport.answers["/machines"] = stored(
        summary("E1", time="2024-05-01T12:00:00Z", failure_probability=0.9, predicted_failure=True),
        summary("E2", time="2024-05-03T11:00:00Z", failure_probability=0.0001),
        summary(
            "E3",
            time="2024-05-03T12:00:00Z",
            failure_probability=0.0002,
            alarm={"opened": "2024-05-03T09:00:00Z", "failure_probability": 0.8, "failure_mode": "bearing"},
        ),
    )


def ids(page):
    return page.dataframe[0].value["machine"].tolist()


def tiles(page):
    """The value of each tile by its label."""
    labels = ("Machines", "Open alarms", "High risk", "Silent")
    return dict(zip(labels, [element.value for element in page.subheader], strict=False))


def test_an_open_alarm_names_the_likeliest_failure(open_page, three_machines):
    shown = open_page("fleet").dataframe[0].value
    assert shown.set_index("machine")["mode"].to_dict() == {"E1": "", "E2": "", "E3": "bearing"}


def test_an_empty_store_shows_the_command_that_sends_a_reading(open_page, service):
    page = open_page("fleet")
    assert "The store has no readings yet" in page_text(page)
    arguments = shlex.split(page.code[0].value)
    assert arguments[2] == "http://plant:8000/readings"
    answer = service.post("/readings", json=json.loads(arguments[-1]))
    assert answer.status_code == 200, answer.text
    assert ids(page.run()) == ["machine 1"]


def test_a_reading_that_is_posted_appears_with_its_risk(open_page, service):
    page = open_page("fleet")
    reading = {"machine_id": "E7", "timestamp": "2024-05-01T12:00:00Z", "heat": 540.0}
    probability = service.post("/readings", json=reading).json()["failure_probability"]
    shown = page.run().dataframe[0].value.iloc[0]
    assert shown["machine"] == "E7"
    assert shown["probability"] == pytest.approx(probability * 100)
    assert shown["readings"] == 1


def test_open_alarms_are_first_and_machines_behind_the_newest_reading_are_silent(open_page, three_machines):
    page = open_page("fleet")
    assert ids(page) == ["E3", "E1", "E2"]
    table = page.dataframe[0].value
    assert table["alarm"].tolist() == ["🔔 3 hours", "", ""]
    assert table["silent"].tolist() == ["", "2 days", ""]
    assert tiles(page) == {"Machines": "3", "Open alarms": "🔔 1", "High risk": "1", "Silent": "1"}
    page.number_input[0].set_value(0.5).run()
    assert page.dataframe[0].value["silent"].tolist() == ["", "2 days", "1 hour"]


def test_a_machine_whose_clock_is_behind_is_not_silent(open_page, transport, three_machines):
    status, body = transport.answers["/machines"]
    machines = [
        one | ({"late_since": "2024-05-03T06:30:00Z"} if one["machine_id"] == "E1" else {}) for one in body["machines"]
    ]
    transport.answers["/machines"] = status, body | {"machines": machines}
    page = open_page("fleet")
    assert page.dataframe[0].value["silent"].tolist() == ["", "clock behind since 2024-05-03 06:30", ""]
    assert tiles(page)["Silent"] == "0"


def test_filters_reduce_the_machines_and_may_match_nothing(open_page, three_machines):
    page = open_page("fleet")
    page.text_input(key="machine filter").set_value("e1").run()
    assert ids(page) == ["E1"]
    page.text_input(key="machine filter").set_value("").run()
    page.toggle[0].set_value(True).run()
    assert ids(page) == ["E3"]
    page.toggle[0].set_value(False).run()
    page.multiselect[0].set_value(["high"]).run()
    assert ids(page) == ["E1"]
    page.text_input(key="machine filter").set_value("E2").run()
    assert "No machines match the filters" in page_text(page)


def test_a_click_offers_the_page_of_the_machine_whose_row_was_drawn(open_page, transport, three_machines):
    page = open_page("fleet")
    assert not page.get("page_link")
    newer = summary("A new one", failure_probability=1.0, predicted_failure=True)
    status, body = transport.answers["/machines"]
    page.session_state["selected machine id"] = page.session_state["shown machine ids"][1]
    transport.answers["/machines"] = status, body | {"machines": [newer, *body["machines"]]}
    page.run()
    (link,) = page.get("page_link")
    assert link.proto.label == "History of E1"
    assert link.proto.query_string == "machine=E1"


def test_the_upload_remains_beside_the_machines(open_page, three_machines):
    page = open_page("fleet")
    page.file_uploader[0].set_value(
        ("plant.csv", b"machine_id,timestamp,heat\nE9,2024-05-01T12:00:00Z,540\n", "")
    ).run()
    assert page.dataframe[1].value["machine_id"].tolist() == ["E9"]


@pytest.mark.parametrize("status", [404, 409])
def test_without_a_store_the_page_is_that_of_a_file(open_page, transport, status):
    transport.answers["/machines"] = status, problem(status, "no store")
    page = open_page("fleet")
    assert "Upload a file with the latest readings" in page_text(page)
    assert not page.tabs
    assert not page.error


def test_a_store_that_fails_is_reported_and_a_file_can_be_ranked(open_page, transport):
    transport.answers["/machines"] = 503, problem(503, "the store is locked")
    page = open_page("fleet")
    text = page_text(page)
    assert "The store could not be read.** the store is locked" in text
    assert "Upload a file with the latest readings" in text
    assert "The store has no readings yet" not in text


def test_the_last_known_machines_are_shown_while_the_service_is_not_reachable(open_page, transport, three_machines):
    page = open_page("fleet")
    transport.fault = NOT_REACHABLE
    page.run()
    text = page_text(page)
    assert "The store could not be read.** http://plant:8000 is not reachable" in text
    assert "The machines below are those of 0 s ago" in text
    assert ids(page) == ["E3", "E1", "E2"]


def test_rates_of_readings_of_one_machine_have_no_interval_for_independent_rows(open_page):
    text = page_text(open_page("models"))
    (note,) = re.findall(r".*failures caught", text)
    assert " to " not in note
