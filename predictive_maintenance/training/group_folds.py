"""Divide groups among folds, from counts by group: the folds of scikit-learn's StratifiedGroupKFold.

That class makes lists of Python numbers with an entry for each row. Here, only the result has an entry for each row.

The algorithm is that of https://www.kaggle.com/jakubwasikowski/stratified-group-k-fold-cross-validation (Apache 2.0), as
scikit-learn has it: the groups with the most unequal counts first, each into the fold that makes the shares of the classes most
equal among the folds.
"""

import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_RELATIVE, _ABSOLUTE = 1e-5, 1e-8  # of numpy.isclose, which decides on ties
_ROWS = 2**20

V = TypeVar("V", bound=np.generic)
Counts = npt.NDArray[np.float64]


def counts_by_group(labels: npt.NDArray[np.integer], groups: npt.NDArray[np.integer]) -> Counts:
    """(g, 2) the numbers of rows of each group with the label 0 and with the label 1.

    `labels` (n,) are those of the rows, `groups` (n,) the numbers of their groups, from 0; a number may have no rows.
    """
    number = int(groups.max(initial=-1)) + 1
    counts = np.zeros((number, 2))
    for rows in _slices(len(groups), max(_ROWS, number)):
        for label in (0, 1):
            counts[:, label] += np.bincount(groups[rows][labels[rows] == label], minlength=number)
    return counts


def folds_of_groups(counts: Counts, folds: int, seed: int) -> npt.NDArray[np.int8]:
    """(g,) the fold of each group, -1 for one without rows, if there are at least as many groups as `folds`.

    It is that in which StratifiedGroupKFold(folds, shuffle=True, random_state=seed) holds out the rows of the group.
    """
    present, classes = counts.any(axis=1), counts.any(axis=0)
    fold_of_group = np.full(len(counts), -1, dtype=np.int8)
    fold_of_group[present] = _folds(counts[present][:, classes], folds, seed)
    return fold_of_group


def of_groups(values: npt.NDArray[V], groups: npt.NDArray[np.integer]) -> npt.NDArray[V]:
    """(n,) the value of each row's group, if `values` (g,) are those of the groups and `groups` (n,) their numbers."""
    found = np.empty(len(groups), dtype=values.dtype)
    for rows in _slices(len(groups), _ROWS):
        found[rows] = values[groups[rows]]  # numpy copies the index as 64-bit numbers
    return found


def _folds(counts: Counts, folds: int, seed: int) -> npt.NDArray[np.int8]:
    order = np.arange(len(counts))
    np.random.RandomState(seed).shuffle(order)
    order = order[np.argsort(-np.std(counts[order], axis=1), kind="stable")]
    total, in_fold = counts.sum(axis=0), np.zeros((folds, counts.shape[1]))
    fold = np.empty(len(counts), dtype=np.int8)
    for group in order:
        fold[group] = _best_fold(in_fold, counts[group], total)
        in_fold[fold[group]] += counts[group]
    return fold


def _best_fold(in_fold: Counts, own: Counts, total: Counts) -> int:
    """The fold in which a group with the counts `own` makes the shares of the classes most equal; of equal ones, the smallest.

    `in_fold` (folds, classes) are the counts of the folds so far.
    """
    folds = len(in_fold)
    with_group = np.repeat(in_fold[np.newaxis], folds, axis=0)
    with_group[np.arange(folds), np.arange(folds)] += own
    spreads = np.std(with_group / total, axis=1).mean(axis=1).tolist()
    best, least, fewest = 0, math.inf, math.inf
    for place, (spread, rows) in enumerate(zip(spreads, in_fold.sum(axis=1).tolist(), strict=True)):
        if spread < least or (abs(spread - least) <= _ABSOLUTE + _RELATIVE * least and rows < fewest):
            best, least, fewest = place, spread, rows
    return best


def _slices(length: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, length, size))
