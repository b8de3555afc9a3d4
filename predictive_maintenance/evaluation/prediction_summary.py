"""Predictions for rows, summarised by group and score in bounded memory: all that metrics and their intervals need.

Parts of a data set have a summary each. The merged summary is that of all rows, however they were cut into successive parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..training.score_summary import (
    MAX_SCORES,
    Counts,
    Keys,
    ScoreSummary,
    bit_lengths,
    bits_to_drop,
    score_keys,
    sums_from,
)
from ..validation.row_identity import row_hashes
from .intervals import BoolArray, FloatArray, IndexArray, sums_per_group

MAX_PAIRS = 2**20
"""With so many pairs of a group and a score, a summary takes 40 MiB, and 1,000 bootstrap samples of it some ten seconds."""
_ROWS_AT_ONCE = 2**20
_MAX_DROPPED = 48
"""Scores keep at least four bits of their significand: an interval is at most 6 % wide, and 3,000 groups need not be merged."""
_FIRST_MERGED, _MAX_MERGED = 44, 63
"""The first bits of a hash whose loss merges groups: a million groups, the next one half a million, and so on."""

Labels = npt.NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class GroupedScores:
    """The predictions by group, for a bootstrap over G groups.

    `groups` (G,) are hashes of the groups' names, in the order of their first rows. `sums` (5, G) are true positives, false
    positives, false negatives, true negatives, and squared differences between probability and label. `failures` and `rows` (k,)
    count the rows of each pair of a `group` (k,), a place in `groups`, and a score, whose bits are `keys` (k,).

    Beyond `limit` pairs, intervals of scores are counted, as in ScoreSummary: the keys lack their lowest `dropped` bits. If that
    is not enough, groups are merged at random: the hashes lack their lowest `merged_bits` bits. A bootstrap over random sets of
    groups has intervals of the same width on average.
    """

    groups: Keys
    sums: FloatArray
    group: IndexArray
    keys: Keys
    failures: Counts
    rows: Counts
    dropped: int
    merged_bits: int
    limit: int

    @classmethod
    def of(cls, labels: BoolArray, scores: FloatArray, decisions: BoolArray, groups: pd.Series, limit: int) -> Self:
        """The summary of rows (n,), of which each has a label, a score, a decision and the name of its group."""
        codes, names = pd.factorize(groups)
        values = (
            labels & decisions,
            ~labels & decisions,
            labels & ~decisions,
            ~labels & ~decisions,
            (scores - labels) ** 2,
        )
        return cls(
            groups=row_hashes(map(str, names)),
            sums=sums_per_group(codes, len(names), values),
            group=codes.astype(np.intp),
            keys=score_keys(scores),
            failures=labels.astype(np.int64),
            rows=np.ones(len(codes), dtype=np.int64),
            dropped=0,
            merged_bits=0,
            limit=limit,
        )._bounded()

    @property
    def exact(self) -> bool:
        """Whether each pair is of one group and one score."""
        return not (self.dropped or self.merged_bits)

    def plus(self, other: Self) -> Self:
        """The summary of the rows of both, of which those of `other` come later."""
        dropped, merged = max(self.dropped, other.dropped), max(self.merged_bits, other.merged_bits)
        both = [one._coarser(dropped, merged) for one in (self, other)]
        codes, groups = pd.factorize(np.concatenate([one.groups for one in both]))
        places = np.split(codes, [len(both[0].groups)])
        return replace(
            self,
            groups=groups,
            sums=_added(np.concatenate([one.sums for one in both], axis=1), codes, len(groups)),
            group=np.concatenate([place[one.group] for place, one in zip(places, both, strict=True)]).astype(np.intp),
            keys=np.concatenate([one.keys for one in both]),
            failures=np.concatenate([one.failures for one in both]),
            rows=np.concatenate([one.rows for one in both]),
            dropped=dropped,
            merged_bits=merged,
        )._bounded()

    def with_merged_groups(self, bits: int) -> Self:
        """The summary with groups whose hashes lack `bits` bits, at least as many as now."""
        return self._coarser(self.dropped, bits)._counted()

    def _bounded(self) -> Self:
        """Count equal pairs once, and merge as many of them as necessary: first scores, then groups.

        A part never needs a coarser summary than all rows, so parts can be made as coarse as all rows.
        """
        summary = self._counted()
        same = summary.group[1:] == summary.group[:-1]
        lengths = bit_lengths(summary.keys[1:][same] ^ summary.keys[:-1][same])
        dropped = summary.dropped + bits_to_drop(lengths, len(summary.groups), summary.limit)
        if dropped > summary.dropped:
            summary = summary._coarser(min(dropped, _MAX_DROPPED), summary.merged_bits)._counted()
        while len(summary.keys) > summary.limit and summary.merged_bits < _MAX_MERGED:
            merged_bits = max(_FIRST_MERGED, summary.merged_bits + 1)
            summary = summary._coarser(summary.dropped, merged_bits)._counted()
        return summary

    def _coarser(self, dropped: int, merged_bits: int) -> Self:
        keys = self.keys >> np.uint64(dropped - self.dropped)
        codes, groups = pd.factorize(self.groups >> np.uint64(merged_bits - self.merged_bits))
        return replace(
            self,
            groups=groups,
            sums=_added(self.sums, codes, len(groups)),
            group=codes[self.group].astype(np.intp),
            keys=keys,
            dropped=dropped,
            merged_bits=merged_bits,
        )

    def _counted(self) -> Self:
        """Sort by group and score, and count equal pairs once."""
        order = np.lexsort((self.keys, self.group))
        group, keys = self.group[order], self.keys[order]
        differs = (group[1:] != group[:-1]) | (keys[1:] != keys[:-1])
        first = np.flatnonzero(np.append(True, differs)) if len(keys) else np.empty(0, np.intp)
        return replace(
            self,
            group=group[first],
            keys=keys[first],
            failures=sums_from(self.failures[order], first),
            rows=sums_from(self.rows[order], first),
        )


@dataclass(frozen=True, kw_only=True)
class PredictionSummary:
    """Predictions by score, for values and curves, and by group, for intervals."""

    scores: ScoreSummary
    groups: GroupedScores

    @classmethod
    def of(
        cls, labels: Labels, scores: FloatArray, decisions: BoolArray, groups: pd.Series, limit: int = MAX_PAIRS
    ) -> Self:
        """The summary of rows (n,), of which each has a label, a score, a decision and the name of its group."""
        failed, cuts = labels.astype(bool), range(0, max(len(labels), 1), _ROWS_AT_ONCE)
        return cls.merged(
            cls(
                scores=ScoreSummary.of(failed[rows], scores[rows], min(limit, MAX_SCORES)),
                groups=GroupedScores.of(failed[rows], scores[rows], decisions[rows], groups.iloc[rows], limit),
            )
            for rows in (slice(start, start + _ROWS_AT_ONCE) for start in cuts)
        )

    @classmethod
    def merged(cls, summaries: Iterable[Self]) -> Self:
        """The summary of the rows of all `summaries`, of which there is at least one, in their order.

        One after the other, so that a generator of summaries needs the memory of three.
        """
        return reduce(cls._plus, summaries)

    def constant(self, alarm: bool) -> Self:
        """The summary of a model that always, or never, raises an alarm for the same rows."""
        tp, fp, fn, tn, _ = self.groups.sums
        failures, healthy, none = tp + fn, fp + tn, np.zeros(len(self.groups.groups))
        key = score_keys(np.array([float(alarm)]))
        groups = replace(
            self.groups,
            sums=np.stack(
                [failures, healthy, none, none, healthy] if alarm else [none, none, failures, healthy, failures]
            ),
            group=np.arange(len(none)),
            keys=np.repeat(key, len(none)),
            failures=failures.astype(np.int64),
            rows=(failures + healthy).astype(np.int64),
            dropped=0,
        )
        counts = (self.scores.failures.sum(keepdims=True), self.scores.rows.sum(keepdims=True))
        scores = replace(self.scores, keys=key, failures=counts[0], rows=counts[1], dropped=0)
        return type(self)(scores=scores, groups=groups)

    def _plus(self, other: Self) -> Self:
        scores = ScoreSummary.merged([self.scores, other.scores])
        return type(self)(scores=scores, groups=self.groups.plus(other.groups))


def _added(sums: FloatArray, codes: IndexArray, count: int) -> FloatArray:
    return sums if count == sums.shape[1] else sums_per_group(codes, count, sums)
