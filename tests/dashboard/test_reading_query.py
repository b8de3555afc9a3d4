"""A reading in a URL."""

from dashboard.reading_query import query_from_reading, reading_from_query

from .conftest import READING


def test_a_reading_survives_the_url_to_the_last_digit(small):
    reading = READING | {"rotational_speed_rpm": 1455.123456}
    query = query_from_reading(reading, "press & Co")
    assert reading_from_query(query, READING, small.scorer.spec.limits) == ({**reading}, [])
    assert query["machine"] == "press & Co"
