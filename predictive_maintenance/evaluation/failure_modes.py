"""Recall for each failure mode."""

from collections.abc import Iterable
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
    modes = ((name, failed & rows[name].to_numpy().astype(bool)) for name in machine.mode_names if name in rows)
    counts = ((name, int(of_mode.sum()), int((of_mode & decisions).sum())) for name, of_mode in modes)
    return tuple(_recall(name, machine, failures, caught, settings) for name, failures, caught in counts if failures)


def added_recalls(
    parts: Iterable[tuple[ModeRecall, ...]], machine: Machine, settings: EvaluationSettings
) -> tuple[ModeRecall, ...]:
    """Recall by mode on the rows of all `parts`."""
    found = [mode for part in parts for mode in part]
    of_mode = {name: [mode for mode in found if mode.name == name] for name in machine.mode_names}
    return tuple(
        _recall(name, machine, sum(mode.failures for mode in modes), sum(mode.caught for mode in modes), settings)
        for name, modes in of_mode.items()
        if modes
    )


def _recall(name: str, machine: Machine, failures: int, caught: int, settings: EvaluationSettings) -> ModeRecall:
    low, high = wilson_interval(caught, failures, settings.confidence)
    return ModeRecall(
        name=name,
        label=machine.labels[name],
        failures=failures,
        caught=caught,
        assessable=failures >= settings.min_assessable_failures,
        low=low,
        high=high,
    )
