"""Folds by group from counts: those of scikit-learn, in memory that grows with the groups."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from predictive_maintenance.training import group_folds
from predictive_maintenance.training.group_folds import counts_by_group, folds_of_groups, of_groups


def folds_of_sklearn(labels, groups, folds, seed):
    fold = np.empty(len(labels), dtype=np.int8)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
        fold[held_out] = number
    return fold


def stratified_group_folds(labels, groups, folds, seed):
    return of_groups(folds_of_groups(counts_by_group(labels, groups), folds, seed), groups)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    folds=st.integers(2, 7),
    groups=st.integers(7, 200),
    rows_per_group=st.integers(1, 30),
    failures=st.sampled_from([0.02, 0.2, 0.5, 1.0]),
    equal=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_the_folds_are_those_of_scikit_learn(seed, folds, groups, rows_per_group, failures, equal):
    rng = np.random.default_rng(seed)
    # Each number once, so that there are enough groups; some numbers have no rows.
    drawn = np.arange(groups) if equal else rng.zipf(1.5, groups * rows_per_group) % groups
    of_rows = (np.concatenate([np.repeat(drawn, rows_per_group), np.arange(folds)]) * 2).astype(np.int32)
    rng.shuffle(of_rows)
    labels = (rng.random(len(of_rows)) < failures).astype(np.int8)
    labels[: folds + 1] = 1
    expected = folds_of_sklearn(labels, of_rows, folds, seed)
    np.testing.assert_array_equal(stratified_group_folds(labels, of_rows, folds, seed), expected)


def test_counts_do_not_depend_on_how_many_rows_are_counted_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    groups, labels = rng.integers(0, 20, 1000).astype(np.int32), (rng.random(1000) < 0.1).astype(np.int64)
    whole = stratified_group_folds(labels, groups, 3, seed=1)
    monkeypatch.setattr(group_folds, "_ROWS", 7)
    np.testing.assert_array_equal(stratified_group_folds(labels, groups, 3, seed=1), whole)
    np.testing.assert_array_equal(of_groups(np.arange(20) * 2, groups), groups * 2)


def test_folds_of_many_rows_need_two_bytes_a_row():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(500, dtype=np.int32), 10_000)
    labels = (rng.random(len(groups)) < 0.02).astype(np.int8)
    stratified_group_folds(labels[:1000], groups[:1000] % 5, 3, seed=1)  # imports
    tracemalloc.start()
    fold = stratified_group_folds(labels, groups, 3, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * fold.nbytes + 2**20 * 16
    assert np.abs(np.bincount(fold) / len(fold) - 1 / 3).max() < 0.01
