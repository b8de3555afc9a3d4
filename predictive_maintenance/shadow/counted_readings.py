"""The readings that a comparison has counted lately, so that one that is scored again does not count again."""

from collections.abc import Sequence

import numpy as np

from ..store.outcomes import Hashes, Mask, is_among, reading_hashes
from ..store.predictions import ReadingKey

MOST_KNOWN = 2**21
"""Readings in each of two parts, of which the older one is forgotten: 16 MiB each, and half an hour at 1,000 a second."""


class CountedReadings:
    """The hashes of the names of at least the latest MOST_KNOWN readings that were counted.

    Those that `first` has found wait until `keep` says that they are counted, or `drop` that they are not.
    """

    def __init__(self) -> None:
        self._older = self._recent = np.empty(0, dtype=np.int64)
        self._waiting: list[Hashes] = []

    def first(self, keys: Sequence[ReadingKey]) -> Mask:
        """(n,) whether each reading counts: the first one of each name that is not known, and those without a name."""
        hashes = reading_hashes(keys)
        has_name = np.array([key is not None for key in keys], dtype=bool)
        is_new = np.zeros(len(keys), dtype=bool)
        is_new[np.unique(hashes, return_index=True)[1]] = True
        for known in (self._older, self._recent, *self._waiting):
            is_new &= ~is_among(hashes, known)
        self._waiting.append(np.sort(hashes[is_new & has_name]))
        return is_new | ~has_name

    def keep(self) -> None:
        """What `first` has found since the last time is counted."""
        # Stable, because it merges parts that are in order.
        self._recent = np.sort(np.concatenate([self._recent, *self._waiting]), kind="stable")
        self._waiting = []
        if len(self._recent) >= MOST_KNOWN:
            self._older, self._recent = self._recent, self._recent[:0]

    def drop(self) -> None:
        """What `first` has found since the last time is not counted."""
        self._waiting = []
