"""Files of failures and feedback: valid rows are kept, the others come back with row, column and reason."""

import httpx
import pytest

from dashboard.uploads import REASON, UploadError, event_tables, failures_kind, feedback_kind, read_rows, upload
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.reporting.spreadsheet import spreadsheet_csv
from tests.app.conftest import MemoryRegistry, enter, start_client
from tests.app.test_kept_events import hot

from .conftest import ServiceTransport
from .stored_machines import turbofan

__all__ = ["enter"]

FAILURES = "machine_id,timestamp,type"


@pytest.fixture
def transport(small_pump, pump_params, checked_files, tmp_path, enter):
    registry = MemoryRegistry(versions={"1": dict(small_pump.files)}, alias="1")
    return ServiceTransport(lambda: enter(start_client(registry, pump_params, tmp_path, checked_files)))


@pytest.fixture
def machine(pump_params):
    return pump_params.machine


@pytest.fixture
def failures(api, machine):
    return failures_kind(api, machine, "failures", None)


@pytest.fixture
def with_alarm(transport):
    """The service with an alarm of P1."""
    for hour in range(3):
        transport.service.post("/readings", json=hot(hour))
    return transport.service


def send(kind, *lines):
    return upload(read_rows("\n".join(lines).encode(), kind), kind)


def reasons(result):
    return {place + 1: reason for place, reason in result.refused[REASON].items()}


def test_failures_are_the_first_table_and_a_machine_that_is_not_kept_has_none(machine):
    assert list(event_tables(machine).values()) == ["failures", "errors", "service"]
    assert event_tables(MILLING) == {}


def test_valid_failures_are_kept_and_the_others_come_back_with_their_column(failures, with_alarm):
    result = send(
        failures,
        FAILURES,
        "P1,2024-03-01T05:00:00Z,seal",
        "P1,yesterday,seal",
        "P1,2024-03-01T06:00:00Z,fire",
        ",2024-03-01T06:00:00Z,seal",
        "P2,2024-03-01 07:00,seal",
        "P2,2999-03-01T07:00:00Z,seal",
    )
    assert result.kept == 2
    found = reasons(result)
    assert list(found) == [2, 3, 4, 6]
    assert found[2] == "timestamp: 'yesterday' is not a time in ISO 8601"
    assert found[3] == "type: 'fire' is none of seal, bearing"
    assert found[4] == "machine_id: is missing"
    assert "s in the future" in found[6]
    (alarm,) = with_alarm.get("/alarms?state=all").json()["alarms"]
    assert alarm["closed_by"] == "failure"


def test_refused_rows_can_be_corrected_and_sent_again(failures, with_alarm):
    refused = send(failures, FAILURES, "P1,yesterday,seal").refused
    again = refused.assign(timestamp="2024-03-01T05:00:00Z").to_csv(index=False)
    assert send(failures, again).kept == 1


def test_an_id_that_looks_like_a_formula_stays_the_same_when_it_is_sent_again(failures, with_alarm):
    refused = send(failures, FAILURES, "@P1,yesterday,seal").refused
    again = spreadsheet_csv(refused.assign(timestamp="2024-03-01T05:00:00Z"))
    assert b"'@P1" in again
    assert list(read_rows(again, failures)["machine_id"]) == ["@P1"]


@pytest.mark.parametrize("number", ["nan", "inf", "-Infinity"])
def test_a_time_of_a_counter_is_a_finite_number(api, number):
    result = send(feedback_kind(api, turbofan(), None), "machine_id,alarm,verdict,by", f"U1,{number},false,Ana")
    assert reasons(result) == {1: f"alarm: {number!r} is not a number"}


def test_reports_are_kept_and_the_others_come_back_with_their_column(api, machine, with_alarm):
    kind = feedback_kind(api, machine, None)
    result = send(
        kind,
        "machine_id,alarm,verdict,failure_mode,by,reading_id,row",
        "P1,2024-03-01T00:00:00Z,confirmed,seal_failure,Ana,,",
        "P1,2024-03-01T01:00:00Z,false,,Ana,,",
        ",,false,,Ana,A-17,",
        ",,maybe,,Ana,A-18,",
        ",,false,,,A-19,",
        ",,false,,Ana,A-20,x",
        "P1,,false,,Ana,,",
    )
    found = reasons(result)
    assert result.kept == 2
    assert found[2] == "alarm: the store has no alarm of 'P1' that opened at this time"
    assert found[4].startswith("verdict: ")
    assert found[5] == "by: is missing"
    assert found[6] == "row: 'x' is not a number"
    assert "name one subject" in found[7]
    assert len(with_alarm.get("/feedback").json()["feedback"]) == 2


def test_the_person_who_is_signed_in_reports_rows_without_by(api, machine, monkeypatch):
    sent = []
    monkeypatch.setattr(api, "report", lambda reports, person: sent.append((reports, person)))
    kind = feedback_kind(api, machine, "Ana Ruíz")
    assert send(kind, "reading_id,verdict,by", "A-1,false,", "A-2,false,Ben").kept == 2
    ((reports, person),) = sent
    assert person == "Ana Ruíz"
    assert [report["by"] for report in reports] == ["Ana Ruíz", "Ben"]


def test_rows_that_the_service_could_not_answer_come_back(failures, transport):
    assert send(failures, FAILURES, "P1,2024-03-01T05:00:00Z,seal").kept == 1
    transport.fault = httpx.ConnectError("gone")
    result = send(failures, FAILURES, "P1,2024-03-01T06:00:00Z,seal", "P1,2024-03-01T07:00:00Z,fire")
    assert result.kept == 0
    assert reasons(result) == {
        1: "not sent: http://plant:8000 is not reachable: gone", 2: "type: 'fire' is none of seal, bearing"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "not CSV"),
        (b"\xff\xfe\x00", "not CSV"),
        (b"machine_id,type\nP1,seal", "The column timestamp is missing"),
        (b"machine_id,timestamp,type,torque\nP1,2024,seal,1", "The column torque is unknown"),
        (b"machine_id,timestamp,type\n" + b"P1,2024,seal\n" * 5001, "more than 5,000 rows: send it in parts"),
        (b"machine_id,timestamp,type\nP1,2024,seal,\n", "more cells than the header"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_the_column(failures, content, error):
    with pytest.raises(UploadError, match=error):
        read_rows(content, failures)
