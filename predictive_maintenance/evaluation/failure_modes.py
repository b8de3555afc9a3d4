"""Recall for each failure mode."""

from dataclasses import dataclass

import pandas as pd

from ..config.params import EvaluationSettings
from ..machine.sensors import LABEL, LABELS, MODE_NAMES
from .intervals import BoolArray, wilson_interval


@dataclass(frozen=True, kw_only=True)
class ModeRecall:
    """Recall on the failures of one mode, with a Wilson interval.

    `assessable` is False below `evaluation.min_assessable_failures` failures.
    """

    name: str
    failures: int
    caught: int
    assessable: bool
    low: float
    high: float

    @property
    def recall(self) -> float:
        return self.caught / self.failures if self.failures else float("nan")

    @property
    def label(self) -> str:
        return LABELS.get(self.name, self.name)


def recall_by_mode(rows: pd.DataFrame, decisions: BoolArray, settings: EvaluationSettings) -> tuple[ModeRecall, ...]:
    """Recall of `decisions` (n,) on the failures of each mode. Modes without a column or without a failure are omitted."""
    failed = rows[LABEL.name].to_numpy().astype(bool)
    modes = (
        _mode_recall(name, failed & rows[name].to_numpy().astype(bool), decisions, settings)
        for name in MODE_NAMES
        if name in rows
    )
    return tuple(mode for mode in modes if mode.failures)


def _mode_recall(name: str, of_mode: BoolArray, decisions: BoolArray, settings: EvaluationSettings) -> ModeRecall:
    failures, caught = int(of_mode.sum()), int((of_mode & decisions).sum())
    low, high = wilson_interval(caught, failures, settings.confidence)
    return ModeRecall(
        name=name,
        failures=failures,
        caught=caught,
        assessable=failures >= settings.min_assessable_failures,
        low=low,
        high=high,
    )
