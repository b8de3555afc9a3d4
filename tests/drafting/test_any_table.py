"""A draft of any table loads and matches the headers of the table, or the user gets an error with a way out."""

import csv

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.drafting.draft import draft
from predictive_maintenance.drafting.readings_table import read_tables
from predictive_maintenance.errors import DataError

CELLS = st.one_of(
    st.floats(allow_nan=False, width=32).map(str),
    st.integers(-(10**9), 10**9).map(str),
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "yes",
            "no",
            "True",
            "L",
            "M",
            "H",
            "-999",
            "1,5",
            "1.234",
            "2024-01-31",
            "inf",
            "1e-300",
            "'",
            "#",
            "\x07",
        ]
    ),
)
HEADERS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.sampled_from(
        [
            "id", "ID", "reading id", "machine", "machine_id", "time", "timestamp", "cycle", "class", "class value", "class_code",
            "type", "type_code", "temp_c", "Temp [K]", "temp", "Temp (max)", "pi", "on", "yes", "RNF", "failure type", "batch",
            "tool wear",
            "a" * 200, "Öl (bar)", "x [a.u.]", "load [%]", "% load", "t (", "µ", "1", "2nd",
        ]
    ),
)  # fmt: skip

SEPARATORS = st.sampled_from(",;\t|")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(HEADERS, max_size=6),
    st.lists(st.lists(CELLS, min_size=6, max_size=6), min_size=2, max_size=12),
    SEPARATORS,
)
def test_a_draft_of_any_table_loads(tmp_path, headers, rows, separator):
    path = tmp_path / "any.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(["label", "load kN", *headers])
        for place, row in enumerate(rows):
            writer.writerow([place % 2, place + 0.5, *row[: len(headers)]])
    drafted = draft(read_tables([path]), "label", "any")
    assert parse_machine(drafted.text).description == drafted.machine.description
    assert "load_kn" in drafted.machine.sensor_names or "load" in " ".join(headers).lower()


def test_a_file_that_cannot_be_drafted_is_an_error_with_a_way_out(write, draft_of):
    path = write(["a", "b"], [["x", 1], ["y", 0]])
    with pytest.raises(DataError, match="no column can be a sensor"):
        draft_of(path, label="b")
