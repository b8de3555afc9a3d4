"""CSV that a person opens in a spreadsheet contains no formula."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictive_maintenance.reporting.spreadsheet import spreadsheet_csv, without_apostrophe

FORMULA_CHARACTERS = "=+-@\uff1d\uff0b\uff0d\uff20"


def rows_of(content, separator=","):
    return list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator))


def cell_of(text):
    ((_,), (cell,)) = rows_of(spreadsheet_csv(pd.DataFrame({"id": [text]})))
    return cell


@pytest.mark.parametrize("first", [*FORMULA_CHARACTERS, "\t=", "\r=", "\n=", "\t", "\r", " =", "\u00a0="])
def test_a_text_that_starts_like_a_formula_gets_an_apostrophe(first):
    assert cell_of(f"{first}HYPERLINK(1)").lstrip()[:1] == "'"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_formula_behind_a_separator_gets_an_apostrophe(separator):
    assert cell_of(f"press{separator}=HYPERLINK(1)") == f"press{separator}'=HYPERLINK(1)"


@pytest.mark.parametrize(
    "text", ["=1+1", "@pump", "- seal ordered", "\t=1", "\tpress", " =1", "a;=1,@b|-c", "-3.5", "l'-17", ""]
)
def test_an_apostrophe_can_be_removed_again(text):
    assert without_apostrophe(cell_of(text)) == text


@pytest.mark.parametrize("text", ["press 1", "L-17", "a=b", "-3.5", "+1", "-3,5", "-1e-05", "", "'=1"])
def test_other_texts_and_numbers_are_not_changed(text):
    assert cell_of(text) == text


def test_numbers_times_and_missing_cells_are_not_changed():
    frame = pd.DataFrame(
        {"torque_nm": [-1.0, None], "at": pd.to_datetime(["2026-01-01", None]), "id": ["=1", None], "n": [-1, 2]}
    )
    assert spreadsheet_csv(frame) == b"torque_nm,at,id,n\r\n-1.0,2026-01-01,'=1,-1\r\n,,,2\r\n"


def test_categories_headers_and_repeated_headers_are_escaped():
    frame = pd.DataFrame([["@a", "@b"]], columns=["=x", "=x"]).astype("category")
    assert spreadsheet_csv(frame) == b"'=x,'=x\r\n'@a,'@b\r\n"
    assert list(frame.columns) == ["=x", "=x"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_no_cell_starts_with_a_formula_for_any_separator(texts):
    content = spreadsheet_csv(pd.DataFrame({"id": texts}))
    assert len(rows_of(content)) == len(texts) + 1
    for separator in ",;\t|":
        for row in csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator):
            for cell in row:
                assert cell[:1] not in tuple(FORMULA_CHARACTERS) or cell.replace(".", "").replace(",", "")[1:].isdigit()
