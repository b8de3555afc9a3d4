"""Formats of numbers and times."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.formatting import ago, duration, label_with_unit, latency_bound, money, percent, with_unit


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (0.0004, "< 0.1 %"), (0.0312, "3.1 %"), (0.93, "93.0 %"), (0.9996, "> 99.9 %"), (1, "100.0 %")],
)
def test_a_probability_is_never_rounded_to_0_or_100_percent(share, text):
    assert percent(share) == text


def test_durations_are_in_the_largest_whole_unit():
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert ago(now - timedelta(minutes=3), now) == "3 minutes ago"
    assert ago("2026-11-18T12:00:00+00:00", now) == "2 days ago"
    assert ago(None) == "never"
    assert duration(3601) == "1 hour"


def test_small_amounts_of_money_have_two_decimals():
    assert (money(4945.2, "EUR"), money(1.5, "EUR"), money(0, "EUR")) == ("4,945 EUR", "1.50 EUR", "0 EUR")


def test_a_latency_above_the_largest_bucket_has_no_number():
    assert (latency_bound(0.0025), latency_bound(2.5)) == ("≤ 2.5 ms", "≤ 2.5 s")
    assert latency_bound(float("inf")) == "above the largest bucket"


def test_units_are_shown_as_people_write_them():
    assert with_unit(48.25, "degC") == "48.2\N{NO-BREAK SPACE}°C"
    assert (label_with_unit("Flow", "m^3/h"), label_with_unit("Load", "")) == ("Flow (m³/h)", "Load")
