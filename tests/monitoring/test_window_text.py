"""What a check found, as text."""

from predictive_maintenance.monitoring.window_text import window_text

MONDAY = 1_799_625_600


def test_a_week_is_shown_to_the_minute():
    assert window_text(MONDAY, MONDAY + 7 * 86_400) == "2027-01-11 00:00 to 2027-01-18 00:00"


def test_a_window_shorter_than_an_hour_is_shown_to_the_second():
    assert window_text(MONDAY + 1, MONDAY + 44) == "2027-01-11 00:00:01 to 2027-01-11 00:00:44"
