"""Every body that the msgspec decoder accepts, pydantic accepts with the same values."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.http.msgspec_decoder import records_decoder
from app.schemas.reading import ReadingSchema
from predictive_maintenance.machine.milling import MILLING

from .conftest import READING

MILLING_READING = ReadingSchema(MILLING)

RECORDS = TypeAdapter(list[MILLING_READING.type])
decode = records_decoder(MILLING_READING.type)

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


def given_fields(struct):
    """Return the fields of a struct that the body has, as pydantic returns them."""
    return {name: value for name, value in msgspec.structs.asdict(struct).items() if value is not msgspec.UNSET}


@given(bodies, st.integers(0, 400), st.binary(max_size=3))
@settings(max_examples=500, deadline=None)
def test_decoded_records_are_those_of_pydantic(body, place, damage):
    for each in (body, body[:place] + damage + body[place + len(damage) :]):
        if (found := decode(each)) is not None:
            assert [given_fields(record) for record in found] == RECORDS.validate_json(each)


@pytest.mark.parametrize("reading", [READING, READING | {"reading_id": "a"}, READING | {"torque_nm": 40}])
def test_valid_records_are_decoded(reading):
    assert [given_fields(record) for record in decode(json.dumps([reading, reading]).encode())] == [reading, reading]


@pytest.mark.parametrize(
    "changes", [{"torque": 1.0}, {"torque_nm": "1"}, {"product_type": "X"}, {"reading_id": "x" * 201}]
)
def test_invalid_records_are_left_to_pydantic(changes):
    assert decode(json.dumps([READING | changes]).encode()) is None
