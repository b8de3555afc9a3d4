"""A table for /invocations may have a header or not: the first line is recognised by the numbers of its sensors."""

import pytest

from app.http.invocation_bodies import _has_header
from tests.fixtures.wide_machines import wide_machine


@pytest.mark.parametrize(
    ("categories", "line", "header"),
    [
        (0, "s0,s1", True),
        (0, "0.25,0.5", False),
        (0, ",0.5", False),  # the first sensor is optional
        (0, "0.5", True),  # another number of cells: a header of the required sensors
        (1, "c0,s0,s1", True),
        (1, "a,0.25,0.5", False),
        (1, "unseen,,0.5", False),  # counts as another value of the category
    ],
)
def test_a_first_line_with_a_number_among_its_sensors_is_a_reading(categories, line, header):
    body = f"{line}\n0.1,0.2\n".encode()
    assert _has_header(body, wide_machine(2, categories=categories)) is header
