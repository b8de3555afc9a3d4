"""The page of the audit log, and its CSV."""

import csv
import io

import pytest

from app.schemas.audit import AuditEntry
from dashboard.audit import audit_csv, audit_table, newest_entries

from .conftest import page_text


def entry(number, **values):
    fields = {
        "entry": number, "time": "2026-11-30T09:00:00Z", "action": "feedback", "key": "board", "person": "Ana Ruíz",
        "subject": "alarm of P1", "detail": {"verdict": "false", "times": 2},
    }  # fmt: skip
    return fields | values


def page_of(*entries, following=None):
    return 200, {"model_name": "pump", "entries": list(entries), "next": following}


def test_the_page_shows_who_did_what(open_page, transport):
    transport.answers["/audit"] = page_of(entry(2), entry(1, person=None, action="refusal"))
    page = open_page("audit")
    assert "2 entries. Times are in UTC." in page_text(page)
    assert page.dataframe[0].value.to_dict("records") == [
        {"Time": "2026-11-30T09:00:00Z", "Action": "Feedback", "By": "Ana Ruíz", "Key": "board", "Subject": "alarm of P1",
         "Detail": "verdict: false; times: 2"},
        {"Time": "2026-11-30T09:00:00Z", "Action": "Key refused", "By": "board", "Key": "board", "Subject": "alarm of P1",
         "Detail": "verdict: false; times: 2"},
    ]  # fmt: skip


def test_keys_are_no_column_of_their_own_if_all_entries_are_by_keys(open_page, transport):
    transport.answers["/audit"] = page_of(entry(2, person=None), entry(1, person=None))
    assert list(open_page("audit").dataframe[0].value) == ["Time", "Action", "By", "Subject", "Detail"]


def test_the_page_names_the_role_that_its_key_has_not(open_page, transport):
    detail = "the API key board has the role read, and GET /audit needs operate: use another key"
    transport.answers["/audit"] = 403, {"status": 403, "detail": detail}
    assert detail in page_text(open_page("audit"))


def test_names_and_details_are_no_html_and_no_markdown(open_page, transport):
    hostile = "<img src=x onerror=alert(1)> [x](http://evil) **b**"
    transport.answers["/audit"] = page_of(entry(1, person=hostile, subject=hostile, detail={"by": hostile}))
    page = open_page("audit")
    assert "onerror" not in page_text(page)
    assert page.dataframe[0].value["By"].tolist() == [hostile]


def test_no_cell_of_the_csv_is_a_formula():
    hostile = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "x,=1"]
    entries = [
        AuditEntry(**entry(number, person=text, subject=text, key=text, detail={"": text}))
        for number, text in enumerate(hostile)
    ]
    rows = list(csv.reader(io.StringIO(audit_csv(audit_table(entries)).decode())))
    cells = [cell for row in rows[1:] for cell in row]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))]
    assert rows[1][2] == "'=1+1"


@pytest.mark.parametrize("pages", [1, 3])
def test_entries_of_all_pages_are_read(api, monkeypatch, pages):
    asked = []

    def audit(limit, actions, before):
        asked.append(before)
        number = len(asked)
        following = None if number == pages else 100 - number
        return type(api).audit.__annotations__["return"].model_validate(page_of(entry(number), following=following)[1])

    monkeypatch.setattr(api, "audit", audit)
    assert [one.entry for one in newest_entries(api, ())] == list(range(1, pages + 1))
    assert asked == [None, 99, 98][:pages]
