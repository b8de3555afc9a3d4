"""Tool lives are not divided, and held-out rows stay held out."""

import hashlib
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines.milling.simulator import simulate
from predictive_maintenance.config.params import SplitSettings
from predictive_maintenance.errors import DataError
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.training.splits import (
    assign_folds,
    forward_split,
    is_held_out,
    split,
    with_groups,
)
from predictive_maintenance.validation.cleaning import clean

SETTINGS = SplitSettings(test_share=0.3, forward_share=0.3, folds=3, salt="tests")


def readings(wear, failures=(), **columns):
    """Readings with numeric ids and the given wear; `failures` are the positions of the failed ones."""
    frame = pd.DataFrame({"reading_id": [str(number) for number in range(1, len(wear) + 1)], "tool_wear_min": wear})
    frame["machine_failure"] = np.isin(np.arange(len(wear)), list(failures)).astype(np.int8)
    return frame.assign(source_index=0, **columns)


def lives(count, length=10):
    """The wear of `count` tools with `length` readings each."""
    return [float(wear) for _ in range(count) for wear in range(length)]


def sides(frame):
    """Whether each reading id is held out."""
    rows = with_groups(frame, MILLING)
    return dict(zip(rows["reading_id"], is_held_out(rows["group"], 0.3, "tests"), strict=True))


wears = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=60)


def test_a_tool_life_ends_where_wear_falls():
    rows = with_groups(readings([0.0, 2.0, 2.0, 5.0, 1.0, 3.0, 0.0]), MILLING)
    assert rows["group"].tolist() == ["|1", "|1", "|1", "|1", "|5", "|5", "|7"]
    assert rows["position"].tolist() == list(range(7))


@given(wears)
@settings(max_examples=40, deadline=None)
def test_a_tool_life_is_on_one_side_only(wear):
    held_out = list(sides(readings(wear)).values())
    for (before, after), (side, next_side) in zip(itertools.pairwise(wear), itertools.pairwise(held_out), strict=True):
        assert side == next_side or after < before


@given(wears, wears)
@settings(max_examples=40, deadline=None)
def test_appended_rows_do_not_move_an_earlier_row(wear, more):
    before, after = sides(readings(wear)), sides(readings(wear + more))
    assert {reading: after[reading] for reading in before} == before


@given(wears, wears)
@settings(max_examples=30, deadline=None)
def test_an_appended_source_does_not_move_a_row_of_the_first(wear, more):
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
    rows = with_groups(readings(lives(1, 12))[::-1].reset_index(drop=True), MILLING)
    assert rows["reading_id"].tolist() == [str(number) for number in range(1, 13)]


def test_rows_are_ordered_by_timestamp_where_there_is_one():
    times = pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-02"], utc=True)
    rows = with_groups(readings([9.0, 5.0, 7.0], timestamp=times), MILLING)
    assert rows["tool_wear_min"].tolist() == [5.0, 7.0, 9.0]
    assert rows["group"].nunique() == 1


def test_machines_with_alternating_rows_have_separate_tool_lives():
    rows = with_groups(readings([0.0, 8.0, 1.0, 9.0, 2.0, 0.0], machine_id=["A", "B", "A", "B", "A", "B"]), MILLING)
    assert rows.groupby("group", observed=True)["reading_id"].apply(list).to_dict() == {
        "A|1": ["1", "3", "5"], "B|2": ["2", "4"], "B|6": ["6"],
    }  # fmt: skip


def test_the_salt_determines_which_tool_lives_are_held_out():
    tool_life = with_groups(readings(lives(100)), MILLING)["group"]
    held_out = is_held_out(tool_life, 0.3, "tests")
    assert (held_out == is_held_out(tool_life, 0.3, "tests")).all()
    assert (held_out != is_held_out(tool_life, 0.3, "others")).any()


def test_the_held_out_share_is_close_to_the_setting_and_a_larger_share_includes_a_smaller_one():
    tool_life = with_groups(readings(lives(1000)), MILLING)["group"]
    small, large = (is_held_out(tool_life, share, "tests") for share in (0.2, 0.4))
    assert small.mean() == pytest.approx(0.2, abs=0.04)
    assert large.mean() == pytest.approx(0.4, abs=0.04)
    assert large[small].all()


def test_split_puts_every_row_on_exactly_one_side(simulated):
    rows = split(simulated, MILLING, SETTINGS, seed=1)
    ids = [*rows.train["reading_id"], *rows.test["reading_id"]]
    assert sorted(ids) == sorted(simulated["reading_id"])
    assert not set(rows.train["group"]) & set(rows.test["group"])
    assert rows.notes == ()


def test_folds_keep_lives_whole_and_hold_failures_and_healthy_rows_each(simulated):
    rows = split(simulated, MILLING, SETTINGS, seed=1)
    assert set(rows.fold) == {0, 1, 2}
    assert (rows.train.assign(fold=rows.fold).groupby("group", observed=True)["fold"].nunique() == 1).all()
    failed = rows.train["machine_failure"] == 1
    assert set(rows.fold[failed]) == set(rows.fold[~failed]) == {0, 1, 2}


def test_the_same_seed_gives_the_same_folds(simulated):
    assert (split(simulated, MILLING, SETTINGS, seed=1).fold == split(simulated, MILLING, SETTINGS, seed=1).fold).all()


def test_the_real_data_set_has_120_tool_lives(ai4i_csv, ingest_uris, params):
    frame = clean(ingest_uris(ai4i_csv), params.machine, params.cleaning).frame
    rows = split(frame, params.machine, params.split, params.training.seed)
    assert len(set(rows.train["group"]) | set(rows.test["group"])) == 120
    assert rows.train["machine_failure"].sum() + rows.test["machine_failure"].sum() == 339


def test_rows_without_failures_are_an_error_with_the_counts():
    with pytest.raises(DataError, match="all rows: 0 failures in 100 rows; at least 11 are needed"):
        split(readings(lives(10)), MILLING, SETTINGS, seed=1)


def test_too_few_failures_are_an_error_with_the_counts():
    with pytest.raises(DataError, match="all rows: 10 failures in 100 rows; at least 11 are needed"):
        split(readings(lives(10), failures=range(0, 100, 10)), MILLING, SETTINGS, seed=1)


def test_rows_without_healthy_readings_are_an_error():
    with pytest.raises(DataError, match="all rows: 0 healthy readings in 100 rows"):
        split(readings(lives(10), failures=range(100)), MILLING, SETTINGS, seed=1)


def test_held_out_rows_with_too_few_failures_are_an_error():
    frame = readings(lives(40))
    held_out = sides(frame)
    frame["machine_failure"] = [int(not held_out[reading] and int(reading) % 2) for reading in frame["reading_id"]]
    with pytest.raises(DataError, match="the held-out rows: 0 failures in"):
        split(frame, MILLING, SETTINGS, seed=1)


def test_training_rows_with_too_few_failures_are_an_error():
    frame = readings(lives(40))
    held_out = sides(frame)
    frame["machine_failure"] = [int(held_out[reading] and int(reading) % 2) for reading in frame["reading_id"]]
    with pytest.raises(DataError, match="the training rows: 0 failures in"):
        split(frame, MILLING, SETTINGS, seed=1)


def test_fewer_tool_lives_than_folds_are_an_error_with_both_counts():
    train = with_groups(readings(lives(2, 50), failures=range(0, 100, 5)), MILLING)
    with pytest.raises(DataError, match="2 tool lives are too few for 3 folds"):
        assign_folds(train, MILLING, 3, seed=1)


def test_a_fold_of_one_class_is_an_error_with_its_counts():
    train = with_groups(readings(lives(4, 25), failures=range(5)), MILLING)
    with pytest.raises(DataError, match=r"fold \d of 3 has 0 failures in \d+ rows"):
        assign_folds(train, MILLING, 3, seed=1)


def test_rows_that_are_not_in_time_order_give_a_warning():
    frame = simulate(3000, seed=3).sample(frac=1, random_state=1).assign(source_index=0)
    (note,) = split(frame.assign(reading_id=[f"x{row}" for row in range(3000)]), MILLING, SETTINGS, seed=1).notes
    assert "do not seem to be in time order" in note


def test_the_forward_split_takes_the_latest_share_in_whole_tool_lives():
    rows = with_groups(readings(lives(10)), MILLING)
    later = forward_split(rows, 0.35)
    assert later.tolist() == [False] * 70 + [True] * 30


@given(wears, st.floats(0.05, 0.95))
@settings(max_examples=40, deadline=None)
def test_the_forward_split_divides_no_tool_life_and_takes_at_most_its_share(wear, share):
    rows = with_groups(readings(wear), MILLING)
    later = forward_split(rows, share)
    assert later.sum() <= np.ceil(len(rows) * share)
    assert (later[1:] >= later[:-1]).all()
    assert not set(rows["group"][later]) & set(rows["group"][~later])


def test_the_forward_split_is_by_time_across_machines():
    times = pd.date_range("2024-01-01", periods=100, freq="h", tz="UTC")
    one = readings(lives(10), timestamp=times, machine_id="A")
    other = readings(lives(10), timestamp=times, machine_id="B").assign(
        reading_id=lambda rows: "B" + rows["reading_id"]
    )
    rows = with_groups(pd.concat([one, other], ignore_index=True), MILLING)
    later = forward_split(rows, 0.3)
    assert set(rows["machine_id"][later]) == {"A", "B"}
    assert rows["timestamp"][later].min() > times[60]


@pytest.mark.parametrize(
    ("source", "rows", "digest"),
    [
        ("simulator", 580, "4aea3aa5c002648998633156d6efedb41c4c370f1babd1482017ee01b7fe2286"),
        ("ai4i", 1582, "522bf4de47dc9643b5afa530c6cc4ef924327709691becb6f470f9bca5e8e069"),
        ("ai4i without ids", 1936, "345e0e45354d48335d6efbf359baba8833687468da9c85533b44fe98827e7846"),
    ],
)
def test_the_held_out_rows_are_those_of_earlier_releases(request, write, ingest_uris, params, source, rows, digest):
    """The recorded ids, as a hash: a change moves rows between the sides of models that are in production."""
    if source == "simulator":
        uri = "simulator://?rows=2000&seed=3"
    elif source == "ai4i":
        uri = request.getfixturevalue("ai4i_csv")
    else:
        uri = write(request.getfixturevalue("ai4i_csv").read_text().replace("UDI", "whatever", 1))
    frame = clean(ingest_uris(uri), params.machine, params.cleaning).frame
    settings = SplitSettings(test_share=0.2, forward_share=0.3, folds=5, salt="predictive-maintenance")
    ids = sorted(split(frame, MILLING, settings, seed=7).test["reading_id"])
    assert (len(ids), hashlib.sha256("\n".join(ids).encode()).hexdigest()) == (rows, digest)
