"""Recall for each failure mode."""

from dataclasses import dataclass

import pandas as pd

from ..config.params import EvaluationSettings
from ..machine.machine import Machine
from .intervals import BoolArray, wilson_interval


@dataclass(frozen=True, kw_only=True)
class ModeRecall:
    """Recall on the failures of one mode, with a Wilson interval.

    `assessable` is False below `evaluation.min_assessable_failures` failures.
    """

    name: str
    label: str
    failures: int
    caught: int
    assessable: bool
    low: float
    high: float

    @property
    def recall(self) -> float:
        return self.caught / self.failures if self.failures else float("nan")


def recall_by_mode(
    rows: pd.DataFrame, decisions: BoolArray, machine: Machine, settings: EvaluationSettings
) -> tuple[ModeRecall, ...]:
    """Recall of `decisions` (n,) on the failures of each mode. Modes without a column or without a failure are omitted."""
    failed = rows[machine.label_name].to_numpy().astype(bool)
    modes = (
        _mode_recall(name, machine.labels[name], failed & rows[name].to_numpy().astype(bool), decisions, settings)
        for name in machine.mode_names
        if name in rows
    )
    return tuple(mode for mode in modes if mode.failures)


def _mode_recall(
    name: str, label: str, of_mode: BoolArray, decisions: BoolArray, settings: EvaluationSettings
) -> ModeRecall:
    failures, caught = int(of_mode.sum()), int((of_mode & decisions).sum())
    low, high = wilson_interval(caught, failures, settings.confidence)
    return ModeRecall(
        name=name,
        label=label,
        failures=failures,
        caught=caught,
        assessable=failures >= settings.min_assessable_failures,
        low=low,
        high=high,
    )
