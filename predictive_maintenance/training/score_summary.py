"""Counts of rows and failures by score: all that thresholds, calibration and ranking metrics need, in bounded memory.

A summary is exact up to MAX_SCORES distinct scores. With more, it counts intervals of scores: all scores whose numbers agree
but for their lowest bits, of which it drops as few as necessary. Parts of a data set have a summary each, and their merged
summary is that of all rows, however they were cut into parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

MAX_SCORES = 2**20
"""With so many distinct scores, a summary takes 24 MiB."""

Counts = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """Rows and failures, each (k,), by score in ascending order.

    `keys` (k,) are the bits of the scores as 64-bit numbers without their lowest `dropped` bits. `limit` is the largest k; None
    for no limit.
    """

    keys: Keys
    failures: Counts
    rows: Counts
    dropped: int
    limit: int | None

    @classmethod
    def of(cls, labels: npt.NDArray[np.generic], scores: Vector, limit: int | None = MAX_SCORES) -> Self:
        """The summary of rows with `labels`, 0 or 1, and `scores` of 0 or more, both (n,)."""
        keys = score_keys(scores)
        return cls._counted(keys, np.asarray(labels, dtype=np.int64), np.ones(len(keys), np.int64), 0, limit)

    @classmethod
    def merged(cls, summaries: Iterable[Self]) -> Self:
        """The summary of the rows of all `summaries`, which have the same limit."""
        total: Self | None = None
        for summary in summaries:
            total = summary if total is None else total._plus(summary)
        return cls.of(np.empty(0), np.empty(0)) if total is None else total

    @property
    def exact(self) -> bool:
        """Whether each count is of one score."""
        return self.dropped == 0

    @property
    def lowest(self) -> Vector:
        """(k,) the lowest score that each count may have. As many rows as counted have at least this score."""
        return scores_of(self.keys << np.uint64(self.dropped))

    @property
    def highest(self) -> Vector:
        """(k,) the highest score that each count may have."""
        return scores_of((self.keys << np.uint64(self.dropped)) | np.uint64((1 << self.dropped) - 1))

    @property
    def typical(self) -> Vector:
        """(k,) the score of each count; the middle of its interval, if it is one of several scores."""
        return self.lowest if self.exact else (self.lowest + self.highest) / 2

    def mapped(self, scores: Vector) -> Self:
        """The summary with other `scores` (k,) in the same order, each in place of the one that was counted."""
        return self._counted(score_keys(scores), self.failures, self.rows, 0, self.limit)

    def _plus(self, other: Self) -> Self:
        dropped = max(self.dropped, other.dropped)
        keys = np.concatenate([one.keys >> np.uint64(dropped - one.dropped) for one in (self, other)])
        failures, rows = (np.concatenate(both) for both in ((self.failures, other.failures), (self.rows, other.rows)))
        return self._counted(keys, failures, rows, dropped, self.limit)

    @classmethod
    def _counted(cls, keys: Keys, failures: Counts, rows: Counts, dropped: int, limit: int | None) -> Self:
        """Add up the counts of equal `keys`, and of more of them if there are more than `limit`."""
        order = np.argsort(keys, kind="stable")
        keys, failures, rows = keys[order], failures[order], rows[order]
        # Fewer keys are needed for a part than for all rows, so a part never drops more bits than all rows do.
        more = bits_to_drop(bit_lengths(keys[1:] ^ keys[:-1]), min(len(keys), 1), limit)
        keys, dropped = keys >> np.uint64(more), dropped + more
        first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.empty(0, np.intp)
        return cls(
            keys=keys[first],
            failures=sums_from(failures, first),
            rows=sums_from(rows, first),
            dropped=dropped,
            limit=limit,
        )


def score_keys(scores: Vector) -> Keys:
    """(n,) the bits of scores as numbers in the same order. Raises ValueError for a negative score and for NaN."""
    scores = np.asarray(scores, dtype=np.float64) + 0.0  # 0.0 for -0.0
    if len(scores) and not scores.min() >= 0:
        raise ValueError(f"a score must be 0 or more, not {scores.min()}")
    return scores.view(np.uint64)


def scores_of(keys: Keys) -> Vector:
    """(n,) the scores with the bits `keys`."""
    return keys.view(np.float64)


def bit_lengths(numbers: Keys) -> Counts:
    """(n,) the bits that each number needs: 0 for 0, 1 for 1, 2 for 2 and 3."""
    high, low = (numbers >> np.uint64(32)).astype(np.float64), (numbers & np.uint64(0xFFFFFFFF)).astype(np.float64)
    return np.where(high > 0, 32 + np.frexp(high)[1], np.frexp(low)[1]).astype(np.int64)


def bits_to_drop(differences: Counts, first: int, limit: int | None) -> int:
    """The fewest lowest bits without which at most `limit` distinct keys are left.

    `differences` are the bit lengths of the XOR of neighbouring sorted keys, and `first` keys have no neighbour before them.
    """
    if limit is None or first + len(differences) <= limit:
        return 0
    counts = np.bincount(differences, minlength=65)
    distinct = first + len(differences) - np.cumsum(counts)  # by number of dropped bits
    return int(np.argmax(distinct <= limit)) if (distinct <= limit).any() else 64


def sums_from(values: npt.NDArray[np.int64], first: npt.NDArray[np.intp]) -> Counts:
    """The sums of stretches of `values` that begin at `first`."""
    return np.add.reduceat(values, first) if len(first) else np.empty(0, dtype=np.int64)
