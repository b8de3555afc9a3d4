"""Whatever the quick reader takes, pydantic takes as well, and reads the same of it."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.http.msgspec_decoder import msgspec_decoder
from app.schemas.prediction import Reading, Readings

from .conftest import READING

ONE, MANY, COLUMNS = TypeAdapter(Reading), TypeAdapter(list[Reading]), TypeAdapter(Readings)
quick_one, quick_many, quick_columns = (
    msgspec_decoder(Reading),
    msgspec_decoder(Reading, many=True),
    msgspec_decoder(Readings),
)

cells = (
    st.sampled_from(["L", "M", "H", "X", "", "\ud800", "\0", "ä", "x" * 200, "x" * 201])
    | st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**320)
    | st.floats()
    | st.just([1.0])
    | st.just({})
)
names = st.sampled_from([*READING, "reading_id", "torque", ""])
bodies = st.lists(
    st.dictionaries(names, cells, max_size=2).map(lambda changes: READING | changes) | cells, max_size=3
).map(lambda records: json.dumps(records).encode())


def named(struct):
    """A struct as pydantic would give it: without what was left out."""
    return {name: value for name, value in msgspec.structs.asdict(struct).items() if value is not None}


def without_null_ids(record):
    return {name: value for name, value in record.items() if value is not None}


@given(bodies, st.integers(0, 400), st.binary(max_size=3))
@settings(max_examples=500, deadline=None)
def test_records_that_are_read_quickly_are_what_pydantic_reads(body, place, spoilt):
    for each in (body, body[:place] + spoilt + body[place + len(spoilt) :]):
        if (found := quick_many(each)) is not None:
            assert [named(record) for record in found] == list(map(without_null_ids, MANY.validate_json(each)))


@given(st.dictionaries(names, st.lists(cells, max_size=3) | cells, max_size=3))
@settings(max_examples=300, deadline=None)
def test_columns_that_are_read_quickly_are_what_pydantic_reads(changes):
    body = json.dumps({name: [value] for name, value in READING.items()} | changes).encode()
    if (found := quick_columns(body)) is not None:
        assert named(found) == COLUMNS.validate_json(body)


@pytest.mark.parametrize("reading", [READING, READING | {"reading_id": "a"}, READING | {"torque_nm": 40}])
def test_what_is_as_it_should_be_is_read_quickly(reading):
    columns = {name: [value] for name, value in reading.items()}
    assert named(quick_one(json.dumps(reading).encode())) == reading
    assert [named(record) for record in quick_many(json.dumps([reading, reading]).encode())] == [reading, reading]
    assert named(quick_columns(json.dumps(columns).encode())) == columns


@pytest.mark.parametrize(
    "changes", [{"torque": 1.0}, {"torque_nm": "1"}, {"product_type": "X"}, {"reading_id": "x" * 201}]
)
def test_what_is_not_is_left_to_pydantic(changes):
    assert quick_one(json.dumps(READING | changes).encode()) is None
