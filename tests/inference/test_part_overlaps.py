"""Which files the features of another file's rows depend on."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.config.machine_file import parse_machine
from predictive_maintenance.inference.part_overlaps import Reach, are_in, extent_of, needed_parts, reach_of
from tests.fixtures.pumps import pump
from tests.fixtures.run_to_failure import DESCRIPTION, engine

COUNTED = parse_machine(
    DESCRIPTION.replace("time: {kind: timestamp}", "time: {kind: counter, unit: cycle}")
    .replace("heat_mean_12h", "heat_mean_12cycle")
    .replace("12h", "12")
    .replace("horizon: 24h", "horizon: 24")
)


def _extents(*files):
    """The extents of files, each a list of (machine, counter)."""
    rows = [pd.DataFrame(file, columns=["machine_id", "counter"]) for file in files]
    return [extent_of(frame, COUNTED) for frame in rows]


def needed_places(files, reach):
    """The places of the files that each file needs."""
    return [np.flatnonzero(are_in(needed, len(files))).tolist() for needed in needed_parts(_extents(*files), reach)]


def test_the_reach_of_a_machine_is_that_of_its_longest_windows():
    assert reach_of(engine()) == Reach(length=12 * 3600e6, readings=2)
    assert reach_of(pump()) == Reach(length=12 * 3600e6, readings=0)


def test_a_file_needs_those_within_reach_before_it_and_at_the_same_times():
    files = [[("A", 0), ("A", 9)], [("A", 20), ("A", 29)], [("A", 30), ("A", 39)], [("A", 39), ("A", 50)]]
    assert needed_places(files, Reach(length=10, readings=0)) == [[], [], [1, 3], [1, 2]]


def test_a_file_needs_those_with_the_readings_of_a_window_before_it():
    files = [[("A", 0)], [("A", 100), ("A", 101)], [("A", 200)], [("A", 300)]]
    assert needed_places(files, Reach(length=0, readings=1)) == [[], [0], [1], [2]]
    assert needed_places(files, Reach(length=0, readings=2)) == [[], [0], [1], [1, 2]]


def test_readings_that_two_files_may_both_have_do_not_fill_a_window():
    files = [[("A", 0), ("A", 1)], [("A", 10), ("A", 12)], [("A", 11), ("A", 13)], [("A", 100)]]
    assert needed_places(files, Reach(length=0, readings=2))[3] == [0, 1, 2]


def test_a_file_does_not_need_one_with_other_machines():
    assert needed_places([[("A", 0)], [("B", 0)], []], Reach(length=9, readings=9)) == [[], [], []]


rows = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 30)), min_size=0, max_size=8)


@settings(deadline=None, max_examples=200)
@given(st.lists(rows, min_size=1, max_size=6), st.integers(0, 12), st.integers(0, 4))
def test_every_row_that_a_feature_depends_on_is_in_the_file_or_in_one_that_it_needs(files, length, readings):
    needed = needed_places(files, Reach(length=length, readings=readings))
    every = pd.DataFrame(
        [(machine, time, part) for part, file in enumerate(files) for machine, time in file],
        columns=["machine", "time", "part"],
    )
    unique = every[~every.duplicated(["machine", "time"], keep=False)]  # repeated rows are rejected
    for row in every.itertuples():
        same_time = every[(every["machine"] == row.machine) & (every["time"] == row.time)]
        earlier = unique[(unique["machine"] == row.machine) & (unique["time"] <= row.time)]
        within = earlier[earlier["time"] >= row.time - length]
        last = earlier[earlier["time"] < row.time].sort_values("time").tail(readings)
        expected = {*same_time["part"], *within["part"], *last["part"]}
        assert expected <= {row.part, *needed[row.part]}


def needed_by_definition(extents, reach):
    """For each file and machine, file by file: the files that overlap or are within reach, and those with the readings before."""
    needed = [set() for _ in extents]
    for machine in "ABC":
        found = [
            (place, list(extent.machines).index(machine))
            for place, extent in enumerate(extents)
            if machine in extent.machines
        ]
        spans = {
            place: (extents[place].first[own], extents[place].last[own], extents[place].rows[own])
            for place, own in found
        }
        by_first = sorted(spans, key=lambda place: spans[place][0])
        for place, (first, last, _) in spans.items():
            needed[place] |= {
                other for other, span in spans.items() if span[0] <= last and span[1] >= first - reach.length
            }
            before = 0
            for other in sorted(by_first, key=lambda other: -spans[other][1]):
                if spans[other][1] < first and before < reach.readings:
                    needed[place].add(other)
                    before += 0 if _overlaps(spans, by_first, other) else spans[other][2]
    return [sorted(places - {place}) for place, places in enumerate(needed)]


def _overlaps(spans, by_first, place):
    """Whether the rows of a file may be those of one that begins earlier, or of the one that begins next."""
    own = by_first.index(place)
    is_later = any(spans[other][1] >= spans[place][0] for other in by_first[:own])
    return is_later or (own + 1 < len(by_first) and spans[by_first[own + 1]][0] <= spans[place][1])


@settings(deadline=None, max_examples=100)
@given(st.lists(rows, min_size=1, max_size=9), st.integers(0, 12), st.integers(0, 6))
def test_no_file_is_needed_but_those_that_may_have_a_row_that_a_feature_depends_on(files, length, readings):
    reach = Reach(length=length, readings=readings)
    assert needed_places(files, reach) == needed_by_definition(_extents(*files), reach)


def test_times_in_a_zone_are_microseconds():
    frame = pd.DataFrame({"machine_id": ["A"], "timestamp": pd.to_datetime(["2024-01-01T00:00:01Z"])})
    assert extent_of(frame, engine()).first == np.array([1_704_067_201_000_000])
