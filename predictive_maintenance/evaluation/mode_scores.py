"""How often the failure mode that a model finds likeliest is that of the failure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..config.params import EvaluationSettings
from ..history.alarm_outcomes import NOT_CAUGHT
from ..machine.machine import Machine
from ..scorer.scoring import Scorer
from .failure_events import JudgedAlarms
from .intervals import BoolArray, IndexArray, wilson_interval


@dataclass(frozen=True, kw_only=True)
class ModeAccuracy:
    """Of `failures`, each judged at one reading before it, `correct` have the likeliest mode. The interval is Wilson's.

    `usual` would be correct if the mode were always `usual_mode`, the most frequent one of the training rows. `by_mode` has
    (label, failures, correct) of each mode that occurs.
    """

    failures: int
    correct: int
    low: float
    high: float
    usual_mode: str
    usual: int
    by_mode: tuple[tuple[str, int, int], ...]

    @property
    def accuracy(self) -> float:
        return self.correct / self.failures if self.failures else float("nan")


@dataclass(frozen=True)
class ModeScores:
    """The accuracy when an alarm opens, over the caught failures, and at the last reading before each failure."""

    at_alarm: ModeAccuracy
    at_failure: ModeAccuracy


def score_modes(
    scorer: Scorer, judged: JudgedAlarms, rows: pd.DataFrame, train: pd.DataFrame, settings: EvaluationSettings
) -> ModeScores | None:
    """The accuracy on failures of held-out `rows`, the table of `judged.observed`. None if the version has no modes.

    A failure has the modes of its failing rows; one without any is left out.
    """
    machine = scorer.machine
    if not scorer.has_modes:
        return None
    observed, found = judged.observed, judged.outcomes
    lives = observed.lives
    failing = rows[machine.label_name].to_numpy().astype(bool)[observed.positions]
    modes = rows.reindex(columns=list(machine.mode_names)).fillna(0).to_numpy().astype(bool)[observed.positions]
    of_life = np.zeros((len(lives.failure), len(machine.mode_names)), dtype=bool)
    np.logical_or.at(of_life, lives.of_reading[failing], modes[failing])
    failed = found.failed_life.tolist()
    last = {int(life): place for place, life in enumerate(lives.of_reading) if failing[place]}
    at_failure = [(life, last[life]) for life in failed if life in last]
    opened = judged.alarms.opened
    at_alarm = [
        (life, opened[alarm]) for life, alarm in zip(failed, found.caught_by, strict=True) if alarm != NOT_CAUGHT
    ]
    usual = int(np.argmax(train.reindex(columns=list(machine.mode_names)).fillna(0).sum().to_numpy()))

    def accuracy(places: Sequence[tuple[int, Any]]) -> ModeAccuracy:
        known = [(life, place) for life, place in places if of_life[life].any()]
        table = rows.iloc[observed.positions[[place for _, place in known]]]
        shares = scorer.mode_probabilities(table) if known else np.empty((0, len(machine.mode_names)))
        return _accuracy(of_life[[life for life, _ in known]], np.argmax(shares, axis=1), usual, machine, settings)

    return ModeScores(accuracy(at_alarm), accuracy(at_failure))


def _accuracy(
    actual: BoolArray, likeliest: IndexArray, usual: int, machine: Machine, settings: EvaluationSettings
) -> ModeAccuracy:
    """`actual` (n, k) are the modes of n failures, `likeliest` (n,) the one that the model finds likeliest."""
    hits = actual[np.arange(len(likeliest)), likeliest]
    low, high = wilson_interval(int(hits.sum()), len(hits), settings.confidence)
    labels = [machine.labels[name] for name in machine.mode_names]
    counts = [
        (label, int(actual[:, place].sum()), int((hits & actual[:, place]).sum())) for place, label in enumerate(labels)
    ]
    return ModeAccuracy(
        failures=len(hits),
        correct=int(hits.sum()),
        low=low,
        high=high,
        usual_mode=labels[usual],
        usual=int(actual[:, usual].sum()),
        by_mode=tuple(count for count in counts if count[1]),
    )
