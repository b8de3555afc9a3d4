"""The readings that a comparison knows: exactly the latest ones, in bounded memory."""

import pytest

from predictive_maintenance.shadow import counted_readings
from predictive_maintenance.shadow.counted_readings import CountedReadings


@pytest.fixture
def readings(monkeypatch):
    monkeypatch.setattr(counted_readings, "MOST_KNOWN", 100)
    return CountedReadings()


def test_each_name_is_new_once_and_readings_without_name_always_are(readings):
    assert readings.first(["a", None, "a", ("a", 1), None]).tolist() == [True, True, False, True, True]
    assert readings.first(["b", "a", None]).tolist() == [True, False, True]
    readings.keep()
    assert readings.first(["a", "b", ("a", 1), ("a", 2)]).tolist() == [False, False, False, True]


def test_what_was_not_counted_is_new_again(readings):
    readings.first(["a"])
    readings.drop()
    assert readings.first(["a"]).all()


def test_the_latest_are_known_and_the_oldest_are_forgotten(readings):
    for number in range(250):
        assert readings.first([str(number)]).all()
        readings.keep()
    assert not readings.first([str(number) for number in range(150, 250)]).any()
    assert readings.first(["0"]).all()
