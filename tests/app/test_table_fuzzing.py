"""Any table body is read or refused with a status of 4xx; no other exception comes out, and no limit is exceeded."""

from http import HTTPStatus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.http.batch_request import read_batch
from app.problems import Problem
from app.schemas.reading import ReadingSchema
from tests.fixtures.fuzzed_tables import csv_tables, damaged_tables, good_tables, typed_tables

MAX_ROWS, MAX_RECORD_BYTES, MAX_TABLE_BYTES = 60, 2**16, 2**20
ANSWERS = {
    HTTPStatus.OK,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}

bodies = st.one_of(damaged_tables(), typed_tables(), csv_tables())
fuzz = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


def read(params, body, media_type):
    schema, identity = ReadingSchema(params.machine), ("machine_id", "timestamp")
    return read_batch(
        body, media_type, MAX_ROWS, MAX_RECORD_BYTES, MAX_TABLE_BYTES, schema, params.columns.aliases, identity
    )


def check(params, body, media_type):
    try:
        batch = read(params, body, media_type)
    except Problem as problem:
        status = problem.status
    else:
        status = HTTPStatus.OK
        assert 0 < batch.rows <= MAX_ROWS
        assert {len(column) for column in batch.columns.values()} == {batch.rows}
        assert set(batch.errors) <= set(range(batch.rows))
    assert status in ANSWERS


@pytest.mark.parametrize(("body", "media_type"), good_tables())
def test_the_tables_that_are_damaged_are_read_when_they_are_not(params, body, media_type):
    assert read(params, body, media_type).rows >= 2


@settings(max_examples=300, **fuzz)
@given(bodies)
def test_any_table_is_read_or_refused(params, body):
    check(params, *body)


@pytest.mark.long
@settings(max_examples=4_000, **fuzz)
@given(bodies)
def test_any_of_many_tables_is_read_or_refused(params, body):
    check(params, *body)
