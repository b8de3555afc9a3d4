"""JSON bodies: rows are counted before they are validated, and the number of errors that are built is bounded."""

import json
import tracemalloc
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.batch import MAX_ERRORS, NOT_DESCRIBED
from app.http.json_array import split_array
from app.http.json_batch import read_json_batch
from app.http.json_validation import validate_reading
from app.problems import Problem
from app.routes.predict import range_errors
from app.schemas.reading import ReadingSchema
from predictive_maintenance.machine.milling import MILLING
from tests.fixtures.pumps import pump

from .conftest import READING

MILLING_READING = ReadingSchema(MILLING)

MAX_ROWS, MAX_RECORD_BYTES = 100_000, 65_536
MIB = 2**20


def read(body, max_rows=MAX_ROWS):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_json_batch(content, MILLING_READING, max_rows, MAX_RECORD_BYTES)


def refusal(body, max_rows=MAX_ROWS):
    """Return the problem that refuses `body`."""
    with pytest.raises(Problem) as error:
        read(body, max_rows)
    return error.value


def unknown_keys(count):
    return {f"key {number}": number for number in range(count)}


def refusal_and_peak(body, max_rows):
    """Return the problem that refuses `body`, and the peak of the memory that Python allocates meanwhile, in MiB."""
    tracemalloc.start()
    try:
        return refusal(body, max_rows), tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def test_rows_are_counted_before_all_of_them_are_validated():
    problem, peak_mib = refusal_and_peak(b"[" + b",".join([b"{}"] * 99_000) + b"]", max_rows=1_000)
    assert "more than 1,000 rows (PDM_MAX_ROWS)" in problem.detail
    assert peak_mib < 10


@pytest.mark.parametrize("item", [b"{}", b"[]", b"1"])
def test_a_body_with_far_more_values_than_rows_allowed_is_refused_unparsed(item):
    problem, peak_mib = refusal_and_peak(b"[" + b",".join([item] * 1_500_000) + b"]", MAX_ROWS)
    assert "more than 1,000,000 values (10 for each of the 100,000 rows of PDM_MAX_ROWS)" in problem.detail
    assert peak_mib < 1


def test_a_record_larger_than_a_reading_may_be_is_rejected_alone():
    batch = read([READING, READING | unknown_keys(20_000), READING])
    assert batch.errors == {1: [("", "is larger than 65,536 bytes (PDM_MAX_READING_BYTES)")]}
    assert batch.columns["torque_nm"][[0, 2]].tolist() == [38.1, 38.1]


def test_at_most_a_hundred_unknown_keys_of_a_record_are_described():
    batch = read([READING | unknown_keys(3_000)])
    assert batch.errors[0] == [(f"key {number}", "is not a known field") for number in range(100)]


def test_at_most_a_hundred_unknown_columns_are_described_and_all_are_counted():
    problem = refusal({name: [value] for name, value in READING.items()} | unknown_keys(3_000))
    assert len(problem.errors) == 100
    assert problem.detail.endswith("and 2997 more")


def test_the_unknown_keys_of_a_large_reading_are_counted_and_a_hundred_are_described():
    with pytest.raises(Problem) as error:
        validate_reading(json.dumps(READING | unknown_keys(3_000)).encode(), MILLING_READING)
    assert len(error.value.errors) == 100
    assert error.value.detail.endswith("and 2997 more")


@pytest.mark.parametrize("field", ["history", "events"])
def test_so_are_those_of_an_entry_in_a_list(field):
    schema, entry = ReadingSchema(pump()), unknown_keys(3_000)
    lists = {"history": [entry], "events": {"errors": [entry]}}
    with pytest.raises(Problem) as error:
        validate_reading(json.dumps({"make": "A", "flow": 1.0, field: lists[field]}).encode(), schema)
    assert len(error.value.errors) == 100
    assert int(error.value.detail.rsplit(" ", 2)[1]) >= 2_997


def test_a_history_outside_of_the_limits_is_refused_at_its_first_entry():
    entries = [{"timestamp": f"2024-01-{day:02}", "flow": -1.0, "heat": -1.0} for day in range(1, 30)]
    model = SimpleNamespace(scorer=SimpleNamespace(machine=pump()))
    errors = range_errors(model, {"flow": 1.0, "history": entries})
    assert [name for _, name, _ in errors] == ["history.0.flow", "history.0.heat"]


def test_a_large_reading_with_blanks_is_valid():
    assert validate_reading(json.dumps(READING, indent=2_000).encode(), MILLING_READING) == READING


@pytest.mark.parametrize("columnar", [False, True])
def test_all_invalid_rows_are_found_when_there_are_too_many_errors_to_describe(columnar):
    rows = MAX_ERRORS // 6 + 2_000
    bad = dict.fromkeys(READING, "x")
    batch = read(
        {name: [*["x"] * rows, value] for name, value in READING.items()} if columnar else [bad] * rows + [READING]
    )
    assert sorted(batch.errors) == list(range(rows))
    assert batch.described == MAX_ERRORS
    assert batch.errors[rows - 1] == [("", NOT_DESCRIBED)]
    assert len(batch.errors[0]) == 6
    assert batch.columns["torque_nm"][rows] == 38.1
    assert batch.count_errors(MILLING_READING.names)["torque_nm"] >= 16_000


@pytest.mark.parametrize("columnar", [False, True])
def test_only_the_valid_cells_of_an_invalid_row_have_values(columnar):
    bad = READING | {"torque_nm": "x", "product_type": 7, "tool_wear_min": 10**400, "reading_id": "a"}
    batch = read({name: [value] for name, value in bad.items()} if columnar else [bad])
    assert {name for name, _ in batch.errors[0]} == {"torque_nm", "product_type", "tool_wear_min"}
    values = {name: values.tolist()[0] for name, values in batch.columns.items()}
    assert {name for name, value in values.items() if value is None or value != value} == {
        "torque_nm", "product_type", "tool_wear_min",
    }  # fmt: skip
    assert values["air_temperature_k"] == READING["air_temperature_k"]
    assert batch.reading_ids == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'[{"a":' + b"[" * 1_000_000,
        b'[{"a":' * 100_000,
        b"[1,]",
        b"[1 2]",
        b"[1] 2",
        b'["\\ud800"]',
        b"[nan]",
        b"\xff\xfe",
    ],
)
def test_invalid_json_is_refused(body):
    problem = refusal(body)
    assert problem.status == 400
    assert problem.detail.startswith("the body is not valid JSON: ")


def test_a_cell_that_is_not_a_number_in_json_rejects_its_row():
    batch = read([READING, READING | {"torque_nm": float("nan")}, READING | {"torque_nm": float("inf")}])
    assert batch.errors == {row: [("torque_nm", "is not a finite number")] for row in (1, 2)}


@pytest.mark.parametrize("digits", [400, 4_000])
def test_a_number_beyond_the_range_of_floats_rejects_its_row(digits):
    record = json.dumps(READING).replace("38.1", "9" * digits).encode()
    assert set(read(b"[" + record + b"]").errors) == {0}


def test_a_number_of_more_digits_than_the_parser_accepts_is_invalid_json():
    record = json.dumps(READING).replace("38.1", "9" * 60_000).encode()
    assert "number out of range" in refusal(b"[" + record + b"]").detail


values = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(values), st.sampled_from([None, 1]), st.booleans())
def test_an_array_is_split_into_its_items(items, indent, ascii_only):
    text = json.dumps(items, indent=indent, ensure_ascii=ascii_only)
    assert [json.loads(part) for _, part in split_array(text)] == items


@pytest.mark.parametrize("field", ["history", "events"])
def test_a_list_of_invalid_entries_is_refused_at_its_first_one(field):
    """The errors of all 20,000 entries would take seconds, in which no other request is answered."""
    schema = ReadingSchema(pump())
    entries = "[" + "{}," * 20_000 + "{}]"
    body = (
        f'{{"make": "A", "flow": 1.0, "{field}": {entries if field == "history" else f"""{{"errors": {entries}}}"""}}}'
    )
    with pytest.raises(Problem) as caught:
        validate_reading(body.encode(), schema)
    assert {name for _, name, _ in caught.value.errors} <= {
        f"{field}.{place}{name}" for place in ("0", "errors.0") for name in (".timestamp", ".flow", ".type")
    }
