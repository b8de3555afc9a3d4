"""Elements that several pages use."""

from dashboard.components import common


def test_a_short_table_has_the_height_of_its_rows():
    assert common.table_height(15, most=15) == "content"


def test_a_long_table_shows_whole_rows():
    assert common.table_height(16, most=15) == common.table_height(10_000, most=15) == 33 * (15 + 1) + 2
