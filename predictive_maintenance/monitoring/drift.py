"""How far the readings and predictions of a window are from those of the training rows, with intervals.

The number of rows does not make a difference large: a finding needs an effect whose interval lies above a limit. An interval
draws whole clusters of readings, because those of one machine resemble each other, and the sample of training rows.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..config.params import MonitoringSettings
from ..machine.machine import Machine
from ..scorer.monitoring_reference import (
    ALARM,
    CLUSTERS,
    PROBABILITY,
    FloatArray,
    IntArray,
    MonitoringReference,
    WatchedColumn,
    psi,
)
from .windows import WindowSummary

Kind = Literal[
    "distribution", "missing values", "predictions", "alarm rate", "constant values", "rejected readings", "performance"
]

_DRAWS = 200
_TAILS = 0.025, 0.975
_SMOOTHING = 0.5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference: its effect with an interval, and the limit that the lower end must exceed.

    `before` and `now` are the mean of a sensor, the share of missing values, the alarm rate or a metric, in training and in the
    window; of rejected readings, their share, usually and in the window; NaN for a category. `column` is the name of a metric,
    or '' for rejected readings. `machines` are those with constant values. `own` is the effect in the window alone, NaN if it is
    not known, where `effect` is that of several windows together.
    """

    kind: Kind
    column: str
    effect: float
    low: float
    high: float
    limit: float
    before: float
    now: float
    machines: tuple[str, ...] = ()
    own: float | None = None

    @property
    def exceeds_limit(self) -> bool:
        """Whether the lower end of the interval is above the limit, and so is the effect in the window alone."""
        return self.low > self.limit and (self.own is None or self.own > self.limit)

    @property
    def is_measured(self) -> bool:
        """Whether the window alone has what the effect is measured by."""
        return self.own is None or not np.isnan(self.own)


def compare(
    machine: Machine, reference: MonitoringReference, window: WindowSummary, settings: MonitoringSettings, seed: int = 0
) -> list[Finding] | None:
    """All differences of a window from the training rows; None if the window has too few rows to be compared.

    A distribution must be further away than windows of training rows usually are: air gets warmer and colder without harm.
    """
    if window.rows < settings.min_rows:
        return None
    random = np.random.default_rng(seed)
    clusters = len(window.counts)
    draws = random.multinomial(clusters, np.full(clusters, 1 / clusters), _DRAWS)
    findings = []
    for place, (name, column) in enumerate(reference.columns.items()):
        counts, missing = window.counts[:, place, : len(column.counts)], window.missing[:, place]
        if counts.sum() and sum(column.counts) and name != ALARM:
            mean = float(window.sums[:, place].sum() / counts.sum())
            samples = _paired(column, counts, window.clusters, random)
            if samples is None:
                samples = _unpaired(column, counts, draws, random)
            findings.append(_distribution(name, column, counts.sum(axis=0), mean, samples, settings))
        if missing.any() or column.missing:
            findings.append(_missing_share(name, column, counts, missing, draws, settings, random))
        if name == ALARM:
            findings.append(_alarm_rate(column, counts, draws, settings, random))
        if name in machine.sensor_names and window.constant[name] and _varies(name, column, machine):
            findings.append(_constant_values(name, window.constant[name]))
    return findings


def _distribution(
    name: str, column: WatchedColumn, counts: IntArray, mean: float, samples: FloatArray, settings: MonitoringSettings
) -> Finding:
    """The stability index of `counts` (bins,) without the part that chance adds, and its basic bootstrap interval.

    Samples of a sample lie as far above its index as that lies above the true one: differences by chance make it larger.
    """
    value = psi(np.array(column.counts), counts)
    low, high = np.quantile(samples, _TAILS)
    return Finding(
        kind="predictions" if name == PROBABILITY else "distribution",
        column=name,
        effect=max(float(2 * value - samples.mean()), 0.0),
        low=float(2 * value - high),
        high=float(2 * value - low),
        limit=settings.max_psi + (column.usual or 0.0),
        before=column.mean if column.mean is not None else np.nan,
        now=mean,
    )


def _unpaired(column: WatchedColumn, counts: IntArray, draws: IntArray, random: np.random.Generator) -> FloatArray:
    """Samples of the index, with rows of training and clusters of the window that are drawn apart."""
    expected = np.array(column.counts)
    return psi(random.multinomial(expected.sum(), expected / expected.sum(), _DRAWS), draws @ counts)


def _paired(
    column: WatchedColumn, counts: IntArray, clusters: IntArray | None, random: np.random.Generator
) -> FloatArray | None:
    """Samples of the index of an attribute, with machines that are drawn together with their rows of training.

    Which machines a fleet has is no chance: drawn apart, they would differ in any two samples. None if they are not known.
    """
    if column.clusters is None or clusters is None:
        return None
    before, now = np.zeros((2, CLUSTERS, len(column.counts)), dtype=np.intp)
    for number, own in column.clusters.items():
        before[number] = own
    now[clusters] = counts
    known = before.any(axis=1) | now.any(axis=1)
    draws = random.multinomial(known.sum(), np.full(known.sum(), 1 / known.sum()), _DRAWS)
    return psi(draws @ before[known], draws @ now[known])


def _missing_share(
    name: str, column: WatchedColumn, counts: IntArray, missing: IntArray, draws: IntArray, settings: MonitoringSettings,
    random: np.random.Generator,
) -> Finding:  # fmt: skip
    rows = counts.sum(axis=1) + missing
    before, now = column.missing / column.rows, float(missing.sum() / rows.sum())
    redrawn = random.binomial(column.rows, before, _DRAWS) / column.rows
    low, high = np.quantile((draws @ missing) / np.maximum(draws @ rows, 1) - redrawn, _TAILS)
    return Finding(
        kind="missing values", column=name, effect=now - before, low=float(low), high=float(high), limit=settings.max_missing,
        before=before, now=now,
    )  # fmt: skip


def _alarm_rate(
    column: WatchedColumn, counts: IntArray, draws: IntArray, settings: MonitoringSettings, random: np.random.Generator
) -> Finding:
    """The alarm rate as a ratio above 1, of the larger one to the smaller."""
    alarms, rows, alarms_before = counts[:, 1], counts.sum(axis=1), column.counts[1]
    effect = float(_log_ratio(alarms.sum(), rows.sum(), alarms_before, column.rows))
    redrawn = random.binomial(column.rows, alarms_before / column.rows, _DRAWS)
    samples = _log_ratio(draws @ alarms, draws @ rows, redrawn, column.rows)
    low, high = np.exp(np.quantile(samples if effect >= 0 else -samples, _TAILS))
    return Finding(
        kind="alarm rate", column=ALARM, effect=float(np.exp(abs(effect))), low=float(low), high=float(high),
        limit=settings.max_alarm_ratio, before=alarms_before / column.rows, now=float(alarms.sum() / rows.sum()),
    )  # fmt: skip


def _varies(name: str, column: WatchedColumn, machine: Machine) -> bool:
    """Whether a sensor has no usual value, and does not describe the machine."""
    is_attribute = any(name in names for names in machine.attribute_tables.values())
    return not is_attribute and max(column.counts) <= sum(column.counts) / 2


def _constant_values(name: str, machines: tuple[str, ...]) -> Finding:
    """Machines for which a sensor had one value all the time, although it varies between training rows."""
    count = float(len(machines))
    return Finding(
        kind="constant values", column=name, effect=count, low=count, high=count, limit=0.0, before=0.0, now=count,
        machines=machines,
    )  # fmt: skip


def _log_ratio(alarms: Any, rows: Any, alarms_before: Any, rows_before: int) -> Any:
    return np.log((alarms + _SMOOTHING) / (rows + 1)) - np.log((alarms_before + _SMOOTHING) / (rows_before + 1))
