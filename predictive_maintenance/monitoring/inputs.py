"""The share of readings that the service rejected in a window, compared with what is usual."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..config.params import MonitoringSettings
from ..store.store import Store
from .drift import Finding

_DRAWS = 200
_TAILS = 0.025, 0.975
_MIN_INTERVALS = 10
_MOST_FIELDS = 20


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Readings that the service accepted and rejected, and how often each field was invalid, the most frequent first."""

    accepted: int = 0
    rejected: int = 0
    fields: Mapping[str, int]


def rejected_readings(
    store: Store, model: str, settings: MonitoringSettings, *, first: int, begins: int, ends: int, seed: int = 0
) -> tuple[Inputs, Finding | None]:
    """The counts of a window [begins, ends), and the share of rejected readings; None without enough intervals with readings.

    Times are in seconds since 1970. What was rejected before `first`, the beginning of the oldest window, is usual. An interval
    draws the intervals in which the service counts: a client that sends invalid readings sends many of them.
    """
    counts = store.inputs(model, since=begins, until=ends)
    fields: Counter[str] = Counter()
    for count in counts:
        fields.update(count.fields)
    pairs = np.array([(one.rejected, one.accepted + one.rejected) for one in counts], dtype=np.int64).reshape(-1, 2)
    rejected, total = pairs.sum(axis=0).tolist()
    found = Inputs(accepted=total - rejected, rejected=rejected, fields=dict(fields.most_common(_MOST_FIELDS)))
    if len(counts) < _MIN_INTERVALS:
        return found, None
    accepted_before, rejected_before = store.inputs_before(model, first)
    usual = rejected_before / (accepted_before + rejected_before) if rejected_before else 0.0
    draws = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), _DRAWS) @ pairs
    low, high = np.quantile(draws[:, 0] / draws[:, 1], _TAILS)
    share = rejected / total
    return found, Finding(
        kind="rejected readings", column="", effect=share, low=float(low), high=float(high),
        limit=settings.max_rejected + usual, before=usual, now=share,
    )  # fmt: skip
