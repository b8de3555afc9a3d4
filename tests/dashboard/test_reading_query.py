"""A reading in a URL."""

from app.schemas.reading import ReadingSchema
from dashboard.reading_query import query_from_reading, reading_from_query
from predictive_maintenance.machine.milling import MILLING

from .conftest import READING


def test_a_reading_survives_the_url_to_the_last_digit():
    reading = READING | {"rotational_speed_rpm": 1455.123456}
    query = query_from_reading(MILLING, reading, "press & Co")
    assert reading_from_query(MILLING, query, READING) == (reading, [])
    assert query["machine"] == "press & Co"


def test_an_optional_sensor_without_a_value_is_not_in_the_url_and_stays_without_one(compressor):
    example = next(iter(ReadingSchema(compressor).examples.values()))[1]
    required = {name: example[name] for name in compressor.required_input_names}
    query = query_from_reading(compressor, required | dict.fromkeys(compressor.optional_sensor_names))
    assert set(query) == set(required)
    assert reading_from_query(compressor, query, example) == (required, [])
