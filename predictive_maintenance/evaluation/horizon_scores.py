"""Metrics by horizon: what the decisions and alarms of a model are worth so long before a failure."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..config.event_rules import EventRules
from ..config.params import EvaluationSettings
from .failure_events import MIN_MACHINES, JudgedAlarms
from .intervals import BoolArray, FloatArray, bootstrap_draws

_PARTS = 4


@dataclass(frozen=True)
class Share:
    """A share with its interval; NaN without rows, failures, or interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class HorizonScores:
    """The decisions and alarms of a model, judged as if failures within `ahead` were to be predicted.

    `ahead` is in `rules.lead_unit`. `rows` of the readings have a failure within it. `recall` is the share of these with a
    positive decision, `precision` their share among the positive decisions, and `caught` the share of the failures with an
    alarm at least so long ahead.
    """

    ahead: float
    rows: int
    recall: Share
    precision: Share
    caught: Share


def horizon_sums(judged: JudgedAlarms, decisions: BoolArray, rules: EventRules) -> FloatArray:
    """(4, 5, M) sums by time ahead and machine, from which the scores follow.

    They are readings with a failure within the time, those of them with a positive decision, readings with a positive decision,
    failures, and failures with an alarm so long ahead. The sums of parts that have no machine in common are concatenated.
    `decisions` (n,) are in the order of the table of `judged.observed`.
    """
    observed, machines = judged.observed, len(judged.observed.names)
    left = observed.lives.failure[observed.lives.of_reading] - observed.times
    owner = observed.lives.machine[observed.lives.of_reading]
    positive = decisions[observed.positions]
    found = []
    for ahead in _times_ahead(rules):
        within = (left > 0) & (left <= ahead)
        caught = judged.outcomes.lead >= ahead  # NaN, a missed failure, is not
        found.append(
            [
                *(np.bincount(owner, rows, minlength=machines) for rows in (within, within & positive, positive)),
                np.bincount(judged.outcomes.failed_machine, minlength=machines),
                np.bincount(judged.outcomes.failed_machine, caught, minlength=machines),
            ]
        )
    return np.array(found, dtype=np.float64)


def score_horizon_sums(
    sums: FloatArray, rules: EventRules, settings: EvaluationSettings, seed: int
) -> tuple[HorizonScores, ...]:
    """The scores at a quarter, half, three quarters and the whole of the horizon, with intervals over machines.

    `sums` are those of `horizon_sums`.
    """
    found = []
    for ahead, of_time in zip(_times_ahead(rules), sums, strict=True):
        recall, precision, caught = _shares(of_time, settings, seed)
        found.append(
            HorizonScores(
                ahead=ahead / rules.lead_unit.length,
                rows=int(of_time[0].sum()),
                recall=recall,
                precision=precision,
                caught=caught,
            )
        )
    return tuple(found)


def _times_ahead(rules: EventRules) -> list[float]:
    return [rules.horizon.length * part / _PARTS for part in range(1, _PARTS + 1)]


def _shares(sums: FloatArray, settings: EvaluationSettings, seed: int) -> list[Share]:
    """Recall, precision and failures caught from (5, M) sums by machine."""
    machines = sums.shape[1]
    values = _ratios([np.ones(machines)], sums)[:, 0]
    if machines < MIN_MACHINES:
        return [Share(float(value), np.nan, np.nan) for value in values]
    samples = _ratios(bootstrap_draws(machines, settings.bootstrap_samples, seed), sums)
    tail = (1 - settings.confidence) / 2
    return [
        _share(float(value), sample[~np.isnan(sample)], tail) for value, sample in zip(values, samples, strict=True)
    ]


def _share(value: float, samples: FloatArray, tail: float) -> Share:
    if not len(samples) or np.ptp(samples) == 0:  # an interval without width understates the uncertainty
        return Share(value, np.nan, np.nan)
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Share(value, float(low), float(high))


def _ratios(draws: Iterable[FloatArray], sums: FloatArray) -> FloatArray:
    """(3, k) recall, precision and failures caught for k draws of machines."""
    within, hits, positive, failures, caught = np.stack([sums @ drawn for drawn in draws]).T
    with np.errstate(invalid="ignore"):
        return np.stack([hits / within, hits / positive, caught / failures])
