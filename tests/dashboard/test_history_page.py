"""The page of one machine in the store over time."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from app.schemas.machines import MachineHistory
from dashboard.machine_history import latest_with_past, shown_windows, timeline, window_values
from predictive_maintenance.history.features import complete
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.machine_json import to_plain
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.pumps import pump
from tests.fixtures.run_to_failure import engine

from .conftest import page_text
from .stored_machines import alarm, history, problem, stored, summary, turbofan


@pytest.fixture
def small(small_engine):
    return small_engine


@pytest.fixture
def hours(transport):
    """Readings of E7 every hour from 00:00 to 09:00, of which the 4th has no value of the optional sensor."""
    readings = [
        {
            "time": f"2024-05-01T0{hour}:00:00Z",
            "failure_probability": hour / 10,
            "values": {"heat": 500.0 + hour, "ratio": 0.5},
        }
        for hour in range(10)
    ]
    del readings[3]["values"]["ratio"]
    transport.answers["/machines"] = stored(summary("E7"), summary("E8"))
    return readings[::-1]


@pytest.fixture
def described(monitor):
    """A function that makes the service describe another machine."""

    def describe(machine):
        card = monitor.snapshot().model_card
        monitor.api.model_card = lambda: card.model_copy(update={"machine": to_plain(machine)})
        monitor._registry_polled_at = float("-inf")

    return describe


def charts(page):
    return [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]


def titles(page):
    return [chart["title"]["text"] for chart in charts(page)]


def test_a_posted_reading_is_shown_with_its_sensors(open_page, transport):
    for hour in (10, 11, 12):
        reading = {"machine_id": "E 7/a", "timestamp": f"2024-05-01T{hour}:00:00Z", "heat": 500.0 + hour}
        last = transport.service.post("/readings", json=reading).json()
    page = open_page("history", machine="E 7/a")
    text = page_text(page)
    assert "2024-05-01 12:00 UTC" in text
    assert f"{last['failure_probability']:.1%}".replace("%", " %") in text
    assert "The latest 3 of 3 readings are shown." in text
    assert titles(page)[1:] == ["Heat (K)"]  # the optional sensor has no value


def test_the_latest_reading_is_explained_with_the_kept_ones_on_demand(open_page, transport):
    for hour in (8, 10, 11, 12):
        reading = {
            "machine_id": "E7",
            "timestamp": f"2024-05-01T{hour:02}:00:00Z",
            "heat": 500.0 + 4 * hour,
            "ratio": 0.1,
        }
        last = transport.service.post("/readings", json=reading).json()
    page = open_page("history", machine="E7")
    assert "/predict" not in transport.requested_paths
    text = page_text(page.toggle[0].set_value(True).run()).replace("\N{NO-BREAK SPACE}", " ")
    assert f"Version 1 predicts {last['failure_probability']:.1%}".replace("%", " %") in text
    assert "Exact Shapley values. Reference: 64 healthy readings" in text
    assert re.search(r"\| Heat, (mean|slope) of 12 h \| [0-9.]+ K", text)
    page.run()
    assert transport.requested_paths.count("/predict") == 1  # the answer is kept, because the service counts readings


def test_a_reading_that_cannot_be_explained_is_an_error_with_the_reason(open_page, transport, hours):
    transport.answers["/machines/E7"] = history("E7", hours)
    transport.answers["/predict"] = 413, problem(413, "the body is larger than 65,536 bytes")
    page = open_page("history", machine="E7")
    text = page_text(page.toggle[0].set_value(True).run())
    assert "The latest reading could not be explained." in text
    assert "the body is larger than 65,536 bytes" in text


def test_the_reading_that_is_explained_has_the_readings_in_its_windows_and_the_events_of_features(hours):
    hours[5]["values"] = {"ratio": 0.5}  # of a description in which the heat was not required
    happened = [("errors", "over-heat"), ("failures", "seal"), ("service", "seal")]
    events = [{"table": table, "time": "2024-05-01T02:00:00Z", "type": kind} for table, kind in happened]
    old = [
        {"time": f"2024-04-{day}T00:00:00Z", "failure_probability": 0.1, "values": {"heat": 1.0}} for day in (30, 29)
    ]
    _, body = history("E7", [*hours, *old], events=events)
    found = MachineHistory.model_validate(body)
    reading = latest_with_past(found, engine())
    assert (reading["machine_id"], reading["timestamp"], reading["heat"]) == ("E7", "2024-05-01T09:00:00Z", 509.0)
    assert "events" not in reading
    times = [one["timestamp"] for one in reading["history"]]
    assert times == [f"2024-05-01T0{hour}:00:00Z" for hour in (8, 7, 6, 5, 3, 2, 1, 0)]  # within 12 h, without the 4th
    assert latest_with_past(found, pump())["events"] == {
        "errors": [{"timestamp": "2024-05-01T02:00:00Z", "type": "over-heat"}],
        "service": [{"timestamp": "2024-05-01T02:00:00Z", "type": "seal"}],
    }
    assert latest_with_past(found, MILLING) == {}


def test_without_a_machine_in_the_url_one_is_selected_and_the_url_names_it(open_page, transport, hours):
    transport.answers["/machines/E8"] = history("E8", hours)
    page = open_page("history")
    assert "Select a machine" in page_text(page)
    page.selectbox[0].set_value("E8").run()
    assert page.query_params["machine"] == "E8"
    assert titles(page)[1:] == ["Heat (K)", "Ratio"]


def test_the_first_reading_appears_without_a_reload(open_page, transport, hours):
    transport.answers["/machines"] = stored()
    page = open_page("history")
    assert "The store has no readings yet" in page_text(page)
    transport.answers["/machines"] = stored(summary("E7"))
    assert "Select a machine" in page_text(page.run())


def test_a_machine_without_readings_in_the_store_shows_its_state_alone(open_page, transport, hours):
    transport.answers["/machines/E7"] = 200, summary("E7") | {"model_name": "test", "latest": []}
    page = open_page("history", machine="E7")
    assert "older than its retention" in page_text(page)
    assert not charts(page)


def test_an_open_alarm_is_shown_with_its_age(open_page, transport, hours):
    transport.answers["/machines/E7"] = history(
        "E7",
        hours,
        alarm={
            "opened": "2024-05-01T06:00:00Z",
            "failure_probability": 0.6,
            "failure_mode": "bearing",
            "failure_mode_probability": 0.71,
        },
        alarms=[alarm("2024-05-01T06:00:00Z"), alarm("2024-05-01T01:00:00Z", "2024-05-01T03:00:00Z", "decisions")],
    )
    page = open_page("history", machine="E7")
    text = page_text(page)
    assert "🔔 Open for 3 hours" in text
    assert "since 2024-05-01 06:00 UTC, at 60.0 %; likeliest: bearing (71%)" in text
    assert "| 2024-05-01 06:00 UTC | **open** | 3 hours | — |" in text
    assert "| 2024-05-01 01:00 UTC | 2024-05-01 03:00 UTC | 2 hours | readings below the threshold |" in text
    assert "Alarms and events" in titles(page)


def test_a_statistic_of_earlier_readings_is_that_of_the_model(hours):
    _, body = history("E7", hours, readings=10)
    machine = engine()
    shown = timeline(MachineHistory.model_validate(body), machine)
    values = window_values(shown, shown_windows(machine)["mean of 12 h"], machine)
    table = pd.DataFrame(
        {
            "machine_id": "E7",
            "timestamp": pd.to_datetime([reading["time"] for reading in hours], utc=True),
            "heat": [500.0 + n for n in range(9, -1, -1)],
        }
    )
    expected = complete(machine, table.assign(ratio=np.nan))["heat_mean_12h"]
    assert values["heat"].tolist() == expected[::-1].tolist()


def test_a_window_that_begins_before_the_shown_readings_has_no_statistic(hours):
    _, body = history("E7", hours, readings=11)
    machine = engine()
    shown = timeline(MachineHistory.model_validate(body), machine)
    windows = shown_windows(machine)
    assert list(windows) == ["mean of 12 h", "mean of 3 readings"]
    assert window_values(shown, windows["mean of 12 h"], machine)["heat"].isna().all()
    assert (
        window_values(shown, windows["mean of 3 readings"], machine)["heat"].isna().tolist() == [True] * 2 + [False] * 8
    )


def test_the_statistic_of_a_window_can_be_drawn_beside_its_sensor(open_page, transport, hours):
    transport.answers["/machines/E7"] = history("E7", hours)
    page = open_page("history", machine="E7")
    before = [len(chart["layer"]) for chart in charts(page)]
    page.selectbox[2].set_value("mean of 3 readings").run()
    after = [len(chart["layer"]) for chart in charts(page)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, 1, 1]


def test_events_have_the_labels_of_their_tables(open_page, transport, hours, described):
    transport.answers["/machines/E7"] = history(
        "E7", hours, events=[{"table": "service", "time": "2024-05-01T02:00:00Z", "type": "seal"}]
    )
    described(pump())
    page = open_page("history", machine="E7")
    chart = charts(page)[titles(page).index("Alarms and events")]
    assert '"Service"' in json.dumps(chart)


def test_the_unit_of_a_sensor_is_shown_as_people_write_it(open_page, transport, hours, described):
    readings = [reading | {"values": {"flow": 52.0}} for reading in hours]
    transport.answers["/machines/E7"] = history("E7", readings)
    described(pump())
    assert "Flow (m³/h)" in titles(open_page("history", machine="E7"))


def test_a_machine_that_the_store_does_not_have_is_named(open_page, transport, hours):
    transport.answers["/machines/E[9](x)"] = 404, problem(404, "the store has no readings of a machine 'E[9](x)'")
    page = open_page("history", machine="E[9](x)")
    assert "The history of E[9](x) is not available" in page_text(page)
    assert "[9](x)" not in page.error[0].value


def test_the_page_of_a_machine_with_a_counter_has_an_axis_in_its_unit(open_page, transport, described):
    readings = [
        {"time": float(cycle), "failure_probability": 0.1, "values": {"t24": 640.0 + cycle}} for cycle in (5, 4, 3)
    ]
    transport.answers["/machines"] = stored(summary("engine 1", time=5.0))
    transport.answers["/machines/engine 1"] = history(
        "engine 1", readings, alarm={"opened": 4.0, "failure_probability": 0.9}, alarms=[alarm(4.0)]
    )
    described(turbofan())
    page = open_page("history", machine="engine 1")
    text = page_text(page).replace("\N{NO-BREAK SPACE}", " ")
    assert "🔔 Open for 1 cycle" in text
    assert "since 4 cycle, at 90.0 %" in text
    layers = charts(page)[0]["layer"]
    assert layers[0]["encoding"]["x"]["title"] == "cycle"
    assert layers[0]["encoding"]["x"]["type"] == "quantitative"


def test_a_machine_without_a_time_has_no_page(open_page, described):
    described(Machine(MILLING.description.model_copy(update={"machine": None, "time": None}), MILLING.conversions))
    assert "of the milling machine describes no machine or no time" in page_text(open_page("history"))


def test_a_machine_that_is_scored_without_history_has_its_log(open_page, transport, described):
    described(MILLING)
    readings = [
        {"time": f"2024-05-01T{hour:02}:00:00Z", "failure_probability": 0.1, "values": {"torque_nm": 40.0 + hour}}
        for hour in (3, 2, 1)
    ]
    transport.answers["/machines/M1"] = history("M1", readings)
    page = open_page("history", machine="M1")
    assert charts(page)
    assert "Readings in the store" in page_text(page)


def test_an_alarm_before_the_readings_is_clipped_and_what_ended_before_them_is_counted(hours):
    _, body = history(
        "E7",
        hours,
        alarms=[
            alarm("2024-04-30T20:00:00Z", "2024-05-01T02:00:00Z", "failure"),
            alarm("2024-04-30T10:00:00Z", "2024-04-30T12:00:00Z", "decisions"),
        ],
        events=[
            {"table": "failures", "time": "2024-05-01T02:00:00Z", "type": "seal"},
            {"table": "failures", "time": "2024-04-01T02:00:00Z", "type": "seal"},
            {"table": "errors", "time": "2024-05-01T11:00:00Z", "type": ""},
        ],
    )
    shown = timeline(MachineHistory.model_validate(body), pump())
    assert shown.earlier == 2
    assert shown.marks["row"].tolist() == ["Alarms", "Failures", "Errors"]
    first, last = shown.span
    assert shown.alarms["start"].tolist() == [first]
    assert len(shown.failures) == 1
    assert shown.marks["kind"].tolist() == ["alarm", "failure", "event"]
    assert shown.marks["what"].tolist()[0] == "closed after a failure, 6 hours"
    assert (last - first) / 3_600_000 == 11  # to the event after the last reading
