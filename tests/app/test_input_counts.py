"""Counts of accepted and rejected readings take bounded memory, and nothing that was counted is lost at a write."""

from types import SimpleNamespace

import pytest

from app.serving import input_counts
from app.serving.input_counts import InputCounts


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=6_000.0)
    monkeypatch.setattr(input_counts.time, "time", lambda: clock.now)
    return clock


def numbers(counts):
    return [(one.began, one.accepted, one.rejected) for one in counts.changed()]


def test_an_interval_is_written_again_while_it_goes_on(clock):
    counts = InputCounts()
    counts.add(accepted=3)
    written = counts.changed()
    counts.add(rejected=1, fields={"flow": 2})
    counts.written(written)
    assert numbers(counts) == [(6_000, 3, 1)]
    counts.written(counts.changed())
    assert numbers(counts) == []
    counts.add(accepted=1)
    assert numbers(counts) == [(6_000, 4, 1)]
    assert counts.changed()[0].fields == {"flow": 2}


def test_ended_intervals_are_forgotten_when_they_are_written(clock):
    counts = InputCounts()
    for _ in range(5):
        counts.add(accepted=1)
        counts.written(counts.changed())
        clock.now += 600
    assert len(counts._accepted) == input_counts._REMEMBERED


@pytest.mark.parametrize("ahead", [600, 86_400])
def test_counts_go_on_after_a_clock_that_was_ahead_is_set_back(clock, ahead):
    counts = InputCounts()
    counts.add(accepted=5)
    counts.written(counts.changed())
    clock.now += ahead
    counts.add(accepted=1)
    counts.written(counts.changed())
    clock.now -= ahead
    for _ in range(2):
        counts.add(accepted=1)
        written = counts.changed()
        counts.written(written)
    assert [(one.began, one.accepted) for one in written] == [(6_000, 7)]


def test_the_oldest_counts_are_lost_if_nothing_can_be_written(clock, monkeypatch):
    monkeypatch.setattr(input_counts, "_MOST_INTERVALS", 3)
    counts = InputCounts()
    for _ in range(5):
        counts.add(accepted=1)
        clock.now += 600
    assert numbers(counts) == [(7_200, 1, 0), (7_800, 1, 0), (8_400, 1, 0)]
