"""Shapley values of the inputs of one reading: exact, or estimated from permutations.

The value of an input is its mean contribution over all orders in which the inputs of the reading can replace those of a
reference reading (L. Shapley, "A Value for n-Person Games", 1953; the interventional form of E. Strumbelj and
I. Kononenko, "Explaining prediction models and individual predictions with feature contributions", 2014). The estimate
uses pairs of a random order and its reverse (R. Mitchell et al., "Sampling Permutations for Shapley Value Estimation",
2022). An input may have several parts, which replace those of the reference reading one after the other, before and after the
other inputs as a whole (G. Owen, "Values of Games with a Priori Unions", 1977). This module uses numpy only.
"""

from collections.abc import Callable
from functools import cache
from itertools import product
from math import factorial

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.integer]

Score = Callable[[Mask, Rows], Table]
"""The probabilities (...) of mixed readings: input i is that of the reading where `mask` (..., n) is true, and that of the
reference reading with the number `rows` (...) elsewhere. The shapes broadcast."""


def exact_values(score: Score, references: Table, own: float, inputs: int) -> Table:
    """The Shapley values (inputs,) by all 2**inputs coalitions, each scored with every reference reading.

    `references` (r,) and `own` are the probabilities of the reference readings and of the reading.
    """
    coalitions = _coalitions(inputs)
    means = score(coalitions[1:-1, None], np.arange(len(references))).mean(axis=1)
    # Not a product of matrices: BLAS sums in an order that depends on the processor, and so does the last digit.
    values: Table = (_weights(inputs) * np.array([references.mean(), *means, own])).sum(axis=1)
    return values


def estimated_values(
    score: Score, references: Table, own: float, inputs: int, pairs: int, random: np.random.Generator
) -> tuple[Table, Table]:
    """Estimates (inputs,) of the Shapley values, and their standard errors (inputs,).

    Each reference reading gets `pairs` random orders with their reverses; each pair scores 2 * (inputs - 1) rows. The
    standard error is that of the mean over all pairs. It is an upper bound for most readings, because the differences
    between the reference readings are part of it.
    """
    rows = np.repeat(np.arange(len(references)), pairs)
    place = random.permuted(np.tile(np.arange(inputs), (len(rows), 1)), axis=1)
    first = place[:, None] < np.arange(1, inputs)[:, None]
    with_first, without_first = score(np.stack([first, ~first]), rows[:, None])
    # The first s inputs replaced, and all but these: half of the difference grows at each s by the mean of what the
    # input at s contributes in the order and in its reverse.
    halves = np.empty((len(rows), inputs + 1))
    halves[:, 1:-1] = (with_first - without_first) / 2
    halves[:, -1] = (own - references[rows]) / 2
    halves[:, 0] = -halves[:, -1]
    values = np.take_along_axis(np.diff(halves, axis=1), place, axis=1)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(rows))


def estimated_parts(
    score: Score, references: int, value: float, owners: Rows, own: int, pairs: int, random: np.random.Generator
) -> tuple[Table, Table]:
    """Estimates (k,) of how the `value` of the input `own` divides among its k parts, and their standard errors (k,).

    `owners` (n,) are the inputs of all parts, which are the inputs of `score`. Each of the `pairs`, with one of the `references`
    reference readings, scores 2 * (k + 1) rows. The estimates add up to `value`.
    """
    rows = random.choice(references, pairs, replace=pairs > references)
    parts, before = np.flatnonzero(owners == own), random.random((pairs, owners.max() + 1))
    place = random.permuted(np.tile(np.arange(len(parts)), (pairs, 1)), axis=1)
    first = np.repeat((before < before[:, [own]])[:, None, owners], len(parts) + 1, axis=1)
    first[..., parts] = place[:, None] < np.arange(len(parts) + 1)[:, None]
    with_first, without_first = score(np.stack([first, ~first]), rows[:, None])
    found = np.take_along_axis(np.diff((with_first - without_first) / 2, axis=1), place, axis=1)
    # The sum of the parts is an estimate of `value`, which is known better.
    found += (value - found.sum(axis=1, keepdims=True)) / len(parts)
    return found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(pairs)


@cache
def _coalitions(inputs: int) -> Mask:
    """(2**inputs, inputs): which inputs are those of the reading. None in the first row, all in the last."""
    return np.array(list(product([False, True], repeat=inputs)))


@cache
def _weights(inputs: int) -> Table:
    """The weights (inputs, 2**inputs) of the coalitions for each input: positive for those with it, else negative."""
    coalitions = _coalitions(inputs)
    sizes = coalitions.sum(axis=1)
    included = [factorial(size - 1) * factorial(inputs - size) if size else 0 for size in sizes]
    excluded = [factorial(size) * factorial(inputs - size - 1) if size < inputs else 0 for size in sizes]
    return np.where(coalitions.T, np.array(included), -np.array(excluded)) / factorial(inputs)
