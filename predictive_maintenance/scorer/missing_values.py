"""Compare the optional sensors that are missing in a reading, or in many, with how often they were missing in training."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .scoring import Scorer

MIN_ROWS = 100
"""Fewer rows say too little about a share."""

MAX_DIFFERENCE = 0.2
"""The largest difference of the two shares without a warning."""

MAX_RARE_SHARE = 0.05
"""The largest share of missing values in training for which a single missing value is unusual."""


def unusual_missing_values(scorer: Scorer) -> dict[str, str]:
    """A warning by name for each optional sensor that was almost never missing in training: for a reading without it."""
    labels = scorer.machine.labels
    return {
        name: f"{labels[name]} is missing here, but in only {trained:.1%} of the rows that the model was trained on: the "
        "answer may be less accurate"
        for name, trained in scorer.spec.missing_shares.items()
        if trained <= MAX_RARE_SHARE
    }


class MissingValues:
    """Counts the missing values of the optional sensors of a scorer's machine."""

    def __init__(self, scorer: Scorer) -> None:
        self._machine, self._trained = scorer.machine, scorer.spec.missing_shares
        self._rows = 0
        self._missing: Counter[str] = Counter()

    def add(self, columns: Mapping[str, Any], rows: int) -> None:
        """Count `rows` scored rows, given by column. An optional sensor that is not in `columns` is missing in each."""
        self._rows += rows
        for name in self._trained:
            self._missing[name] += int(np.isnan(columns[name]).sum()) if name in columns else rows

    def warnings(self) -> Sequence[str]:
        """A sentence for each sensor that is missing far more or far less often than in training."""
        if self._rows < MIN_ROWS:
            return []
        shares = {name: (self._missing[name] / self._rows, trained) for name, trained in self._trained.items()}
        return [
            f"{self._machine.labels[name]} is missing in {now:.0%} of the {self._rows:,} scored rows, but in {trained:.0%} of "
            "the rows that the model was trained on: its answers may be less accurate"
            for name, (now, trained) in shares.items()
            if abs(now - trained) > MAX_DIFFERENCE
        ]
