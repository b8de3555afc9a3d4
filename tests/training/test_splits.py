"""Tool lives stay whole, and what was held out once stays held out."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictive_maintenance.config.params import SplitSettings
from predictive_maintenance.errors import DataError
from predictive_maintenance.ingestion.simulator import simulate
from predictive_maintenance.training.splits import (
    assign_folds,
    forward_split,
    is_held_out,
    row_hashes,
    split,
    with_tool_lives,
)
from predictive_maintenance.validation.cleaning import clean

SETTINGS = SplitSettings(test_share=0.3, forward_share=0.3, folds=3, salt="tests")


def readings(wear, failures=(), **columns):
    """Readings with numbers for ids and a wear each; `failures` are the positions of those that failed."""
    frame = pd.DataFrame({"reading_id": [str(number) for number in range(1, len(wear) + 1)], "tool_wear_min": wear})
    frame["machine_failure"] = np.isin(np.arange(len(wear)), list(failures)).astype(np.int8)
    return frame.assign(source_index=0, **columns)


def lives(count, length=10):
    """The wear of `count` tools that last `length` readings each."""
    return [float(wear) for _ in range(count) for wear in range(length)]


def sides(frame):
    """Reading id -> whether it is held out."""
    rows = with_tool_lives(frame)
    return dict(zip(rows["reading_id"], is_held_out(rows["tool_life"], 0.3, "tests"), strict=True))


wears = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=60)


def test_a_life_ends_where_wear_falls():
    rows = with_tool_lives(readings([0.0, 2.0, 2.0, 5.0, 1.0, 3.0, 0.0]))
    assert rows["tool_life"].tolist() == ["|1", "|1", "|1", "|1", "|5", "|5", "|7"]
    assert rows["position"].tolist() == list(range(7))


@given(wears)
@settings(max_examples=40, deadline=None)
def test_a_tool_life_never_stands_on_both_sides(wear):
    held_out = list(sides(readings(wear)).values())
    for (before, after), (side, next_side) in zip(itertools.pairwise(wear), itertools.pairwise(held_out), strict=True):
        assert side == next_side or after < before


@given(wears, wears)
@settings(max_examples=40, deadline=None)
def test_appended_rows_never_move_an_earlier_row(wear, more):
    before, after = sides(readings(wear)), sides(readings(wear + more))
    assert {reading: after[reading] for reading in before} == before


@given(wears, wears)
@settings(max_examples=30, deadline=None)
def test_an_appended_source_never_moves_a_row_of_the_first(wear, more):
    other = readings(more).assign(source_index=1)
    other["reading_id"] = "B" + other["reading_id"]
    before, after = sides(readings(wear)), sides(pd.concat([readings(wear), other], ignore_index=True))
    assert {reading: after[reading] for reading in before} == before


@given(wears)
@settings(max_examples=30, deadline=None)
def test_the_order_of_a_file_does_not_matter_where_ids_are_numbers(wear):
    frame = readings(wear)
    assert sides(frame[::-1].reset_index(drop=True)) == sides(frame)


def test_ids_are_ordered_as_numbers_not_as_text():
    rows = with_tool_lives(readings(lives(1, 12))[::-1].reset_index(drop=True))
    assert rows["reading_id"].tolist() == [str(number) for number in range(1, 13)]


def test_timestamps_come_before_the_order_of_the_file():
    times = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"], utc=True)
    rows = with_tool_lives(readings([9.0, 5.0, 7.0], timestamp=times))
    assert rows["tool_wear_min"].tolist() == [5.0, 7.0, 9.0]
    assert rows["tool_life"].nunique() == 1


def test_machines_have_lives_of_their_own_where_their_rows_alternate():
    rows = with_tool_lives(readings([0.0, 8.0, 1.0, 9.0, 2.0, 0.0], machine_id=["A", "B", "A", "B", "A", "B"]))
    assert rows.groupby("tool_life", observed=True)["reading_id"].apply(list).to_dict() == {
        "A|1": ["1", "3", "5"], "B|2": ["2", "4"], "B|6": ["6"],
    }  # fmt: skip


def test_the_same_rows_and_salt_give_the_same_split_and_another_salt_another():
    tool_life = with_tool_lives(readings(lives(100)))["tool_life"]
    held_out = is_held_out(tool_life, 0.3, "tests")
    assert (held_out == is_held_out(tool_life, 0.3, "tests")).all()
    assert (held_out != is_held_out(tool_life, 0.3, "others")).any()


def test_about_the_asked_share_is_held_out_and_a_larger_share_keeps_what_a_smaller_held_out():
    tool_life = with_tool_lives(readings(lives(1000)))["tool_life"]
    small, large = (is_held_out(tool_life, share, "tests") for share in (0.2, 0.4))
    assert small.mean() == pytest.approx(0.2, abs=0.04)
    assert large.mean() == pytest.approx(0.4, abs=0.04)
    assert large[small].all()


def test_split_gives_every_row_to_just_one_side(simulated):
    rows = split(simulated, SETTINGS, seed=1)
    ids = [*rows.train["reading_id"], *rows.test["reading_id"]]
    assert sorted(ids) == sorted(simulated["reading_id"])
    assert not set(rows.train["tool_life"]) & set(rows.test["tool_life"])
    assert rows.notes == ()


def test_folds_keep_lives_whole_and_hold_failures_and_healthy_rows_each(simulated):
    rows = split(simulated, SETTINGS, seed=1)
    assert set(rows.fold) == {0, 1, 2}
    assert (rows.train.assign(fold=rows.fold).groupby("tool_life", observed=True)["fold"].nunique() == 1).all()
    failed = rows.train["machine_failure"] == 1
    assert set(rows.fold[failed]) == set(rows.fold[~failed]) == {0, 1, 2}


def test_the_same_seed_gives_the_same_folds(simulated):
    assert (split(simulated, SETTINGS, seed=1).fold == split(simulated, SETTINGS, seed=1).fold).all()


def test_the_real_data_set_has_120_tool_lives(ai4i_csv, pull, params):
    frame = clean(pull(ai4i_csv), params.columns.limits, params.cleaning).frame
    rows = split(frame, params.split, params.training.seed)
    assert len(set(rows.train["tool_life"]) | set(rows.test["tool_life"])) == 120
    assert rows.train["machine_failure"].sum() + rows.test["machine_failure"].sum() == 339


def test_no_failures_at_all_are_refused_with_the_numbers():
    with pytest.raises(DataError, match="all rows: 0 failures in 100 rows; at least 11 are needed"):
        split(readings(lives(10)), SETTINGS, seed=1)


def test_too_few_failures_are_refused_with_the_numbers():
    with pytest.raises(DataError, match="all rows: 10 failures in 100 rows; at least 11 are needed"):
        split(readings(lives(10), failures=range(0, 100, 10)), SETTINGS, seed=1)


def test_failures_alone_are_refused_for_want_of_healthy_readings():
    with pytest.raises(DataError, match="all rows: 0 healthy readings in 100 rows"):
        split(readings(lives(10), failures=range(100)), SETTINGS, seed=1)


def test_a_held_out_side_without_enough_failures_is_refused_by_name():
    frame = readings(lives(40))
    held_out = sides(frame)
    frame["machine_failure"] = [int(not held_out[reading] and int(reading) % 2) for reading in frame["reading_id"]]
    with pytest.raises(DataError, match="the held-out rows: 0 failures in"):
        split(frame, SETTINGS, seed=1)


def test_a_training_side_without_enough_failures_is_refused_by_name():
    frame = readings(lives(40))
    held_out = sides(frame)
    frame["machine_failure"] = [int(held_out[reading] and int(reading) % 2) for reading in frame["reading_id"]]
    with pytest.raises(DataError, match="the training rows: 0 failures in"):
        split(frame, SETTINGS, seed=1)


def test_fewer_tool_lives_than_folds_are_refused_with_both_numbers():
    train = with_tool_lives(readings(lives(2, 50), failures=range(0, 100, 5)))
    with pytest.raises(DataError, match="2 tool lives cannot be spread over 3 folds"):
        assign_folds(train, 3, seed=1)


def test_a_fold_of_one_class_is_refused_with_its_numbers():
    train = with_tool_lives(readings(lives(4, 25), failures=range(5)))
    with pytest.raises(DataError, match=r"fold \d of 3 has 0 failures in \d+ rows"):
        assign_folds(train, 3, seed=1)


def test_rows_that_are_not_in_time_order_are_noted():
    frame = simulate(3000, seed=3).sample(frac=1, random_state=1).assign(source_index=0)
    (note,) = split(frame.assign(reading_id=[f"x{row}" for row in range(3000)]), SETTINGS, seed=1).notes
    assert "do not look like machines' readings in time order" in note


def test_the_forward_split_takes_the_latest_share_as_whole_lives():
    rows = with_tool_lives(readings(lives(10)))
    later = forward_split(rows, 0.35)
    assert later.tolist() == [False] * 70 + [True] * 30


@given(wears, st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_the_forward_split_never_cuts_a_life_and_never_takes_more_than_its_share(wear, share):
    rows = with_tool_lives(readings(wear))
    later = forward_split(rows, share)
    assert later.sum() <= np.ceil(len(rows) * share)
    assert (later[1:] >= later[:-1]).all()
    assert not set(rows["tool_life"][later]) & set(rows["tool_life"][~later])


def test_the_forward_split_is_by_time_across_machines():
    times = pd.date_range("2024-01-01", periods=100, freq="h", tz="UTC")
    one = readings(lives(10), timestamp=times, machine_id="A")
    other = readings(lives(10), timestamp=times, machine_id="B").assign(
        reading_id=lambda rows: "B" + rows["reading_id"]
    )
    rows = with_tool_lives(pd.concat([one, other], ignore_index=True))
    later = forward_split(rows, 0.3)
    assert set(rows["machine_id"][later]) == {"A", "B"}
    assert rows["timestamp"][later].min() > times[60]


def test_a_reading_s_hash_is_the_same_in_every_run():
    assert row_hashes(["1", "S7-0000001"]).tolist() == [15289156711003816966, 17936170427820073665]


def test_a_reading_s_hash_does_not_depend_on_the_others():
    assert row_hashes(["a", "b", "a"])[2] == row_hashes(["a"])[0]
    assert row_hashes(pd.Series(["a"], dtype="str"))[0] == row_hashes(["a"])[0]


def test_hashes_of_many_readings_differ():
    assert len(np.unique(row_hashes(simulate(2000)["reading_id"]))) == 2000
