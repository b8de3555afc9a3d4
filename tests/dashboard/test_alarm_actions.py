"""What a user does about an alarm on the page of its machine: acknowledge it, and report what was found out."""

import pytest

from tests.app.conftest import enter

from .conftest import page_text
from .test_uploads import transport, with_alarm

__all__ = ["enter", "transport", "with_alarm"]


@pytest.fixture
def page(with_alarm, open_page):
    return open_page("history", machine="P1")


def button(page, label):
    return next(one for one in page.button if one.label == label)


def test_the_open_alarm_is_acknowledged_once(page, with_alarm):
    page = button(page, "Acknowledge the alarm").click().run()
    assert "Acknowledged by anonymous" in page_text(page)
    assert [alarm["acknowledged_by"] for alarm in with_alarm.get("/alarms").json()["alarms"]] == ["anonymous"]
    page = page.run()
    assert "Acknowledged by anonymous, " in page_text(page)
    assert "Acknowledge the alarm" not in [one.label for one in page.button]


def test_an_alarm_is_reported_with_what_failed_and_by_whom(page, with_alarm):
    assert button(page, "Send the report").disabled
    page = next(one for one in page.text_input if one.label == "Reported by").input("Ana Ruíz").run()
    assert button(page, "Send the report").disabled  # a confirmed alarm is a failure of a type
    failed = next(one for one in page.selectbox if one.label == "What failed")
    assert "Seal failure" in failed.options
    assert "Reported as" not in page_text(page)
    page = failed.select("seal_failure").run()
    page = button(page, "Send the report").click().run()
    assert "The report is kept." in page_text(page)
    text = page_text(page.run())
    assert "Reported as: Confirmed: the machine failed, or would have failed" in text
    assert "| confirmed |" in text
    (report,) = with_alarm.get("/feedback").json()["feedback"]
    assert (report["verdict"], report["failure_mode"], report["by"]) == ("confirmed", "seal_failure", "Ana Ruíz")
