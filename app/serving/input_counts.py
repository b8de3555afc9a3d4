"""How many readings the service accepted and rejected, in intervals, until the log of predictions writes it to the store."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import InputCount

_INTERVAL_SECONDS = 600
_MOST_INTERVALS = 1_000
"""A week: if the store cannot be written for longer, the oldest counts are lost."""
_REMEMBERED = 3
"""Intervals with the latest readings: their counts go on when a clock that was wrong is set back into them."""


class InputCounts:
    """Counts by interval. Thread-safe. The number of fields is bounded by the machine's description."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: Counter[int] = Counter()
        self._rejected: Counter[int] = Counter()
        self._fields: dict[int, Counter[str]] = {}
        self._changed: dict[int, None] = {}  # in the order of time
        self._used: dict[int, None] = {}  # in the order of their latest readings

    def add(self, accepted: int = 0, rejected: int = 0, fields: Mapping[str, int] | None = None) -> None:
        """Add readings that came now; `fields` is how often each field was invalid."""
        began = int(time.time()) // _INTERVAL_SECONDS * _INTERVAL_SECONDS
        with self._lock:
            self._changed[began] = None
            self._used.pop(began, None)
            self._used[began] = None
            self._accepted[began] += accepted
            self._rejected[began] += rejected
            if fields:
                self._fields.setdefault(began, Counter()).update(fields)
            if len(self._changed) > _MOST_INTERVALS:
                self._forget(next(iter(self._changed)))

    def changed(self) -> list["InputCount"]:
        """The whole counts of the intervals that changed since they were written."""
        from predictive_maintenance.store.rows import InputCount

        with self._lock:
            return [
                InputCount(
                    began=began,
                    accepted=self._accepted[began],
                    rejected=self._rejected[began],
                    fields=dict(self._fields.get(began, {})),
                )
                for began in self._changed
            ]

    def written(self, counts: Sequence["InputCount"]) -> None:
        """Note what was written. An interval is forgotten when others have the latest readings, and all of it is written."""
        with self._lock:
            for one in counts:
                if (self._accepted[one.began], self._rejected[one.began]) == (one.accepted, one.rejected):
                    self._changed.pop(one.began, None)
            for began in [one for one in list(self._used)[:-_REMEMBERED] if one not in self._changed]:
                self._forget(began)

    def _forget(self, began: int) -> None:
        del self._accepted[began], self._rejected[began], self._used[began]
        self._fields.pop(began, None)
        self._changed.pop(began, None)
