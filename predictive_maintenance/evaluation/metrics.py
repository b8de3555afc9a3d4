"""Metrics with intervals. Whole tool lives are drawn in the bootstrap, since the readings of one resemble each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config import Costs, Evaluation
from ..sensors import LABEL, LABELS, MODE_NAMES

Flags = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]

METRICS = {
    "recall": "Recall",
    "precision": "Precision",
    "f1": "F1",
    "pr_auc": "PR-AUC",
    "mcc": "MCC",
    "brier": "Brier score",
    "expected_cost": "Expected cost of 1,000 readings",
}
"""Every metric by name, with the words that a report uses. Brier score and cost are better when lower."""


@dataclass(frozen=True)
class Estimate:
    """A value, its two-sided interval, and its one-sided lower bound, all at the configured confidence."""

    value: float
    low: float
    high: float
    lower_bound: float


@dataclass(frozen=True)
class Confusion:
    """Counts of readings."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


@dataclass(frozen=True)
class Scores:
    """What a model is worth on `rows` readings with `failures` failures in `tool_lives` lives."""

    rows: int
    failures: int
    tool_lives: int
    confusion: Confusion
    estimates: dict[str, Estimate]

    def __getitem__(self, metric: str) -> Estimate:
        return self.estimates[metric]


@dataclass(frozen=True)
class GroupRecall:
    """Recall among the failures of one mode, with a Wilson interval; not assessable below a configured count."""

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


def score(
    rows: pd.DataFrame, probabilities: Vector, decisions: Flags, costs: Costs, settings: Evaluation, seed: int
) -> Scores:
    """All metrics of `decisions` and `probabilities` (both (n,)) against the labels of `rows`."""
    labels = rows[LABEL.name].to_numpy().astype(bool)
    lives = pd.factorize(rows["tool_life"])[0]
    weights = _life_weights(int(lives.max()) + 1, settings.bootstrap_samples, seed)
    counts = np.stack([labels & decisions, ~labels & decisions, labels & ~decisions, ~labels & ~decisions])
    per_life = np.stack([np.bincount(lives, row, minlength=weights.shape[1]) for row in counts])
    squared = np.bincount(lives, (probabilities - labels) ** 2, minlength=weights.shape[1])

    total, drawn = per_life.sum(axis=1), weights @ per_life.T
    values = _from_counts(total[None, :], costs)
    samples = _from_counts(drawn, costs)
    values["brier"], samples["brier"] = np.array([squared.sum() / len(rows)]), weights @ squared / drawn.sum(axis=1)
    values["pr_auc"] = _average_precision(labels, probabilities, lives, np.ones((1, weights.shape[1])))
    samples["pr_auc"] = _average_precision(labels, probabilities, lives, weights)
    estimates = {name: _estimate(float(values[name][0]), samples[name], settings.confidence) for name in METRICS}
    return Scores(len(rows), int(labels.sum()), weights.shape[1], Confusion(*map(int, total)), estimates)


def f1_difference(rows: pd.DataFrame, challenger: Flags, champion: Flags, settings: Evaluation, seed: int) -> Estimate:
    """F1 of the challenger's decisions minus that of the champion's, both on the same draws of tool lives."""
    labels = rows[LABEL.name].to_numpy().astype(bool)
    lives = pd.factorize(rows["tool_life"])[0]
    weights = _life_weights(int(lives.max()) + 1, settings.bootstrap_samples, seed)
    values, samples = [], []
    for decisions in (challenger, champion):
        counts = [labels & decisions, ~labels & decisions, labels & ~decisions]
        per_life = np.stack([np.bincount(lives, row, minlength=weights.shape[1]) for row in counts])
        values.append(_f1(*per_life.sum(axis=1)[:, None])[0])
        samples.append(_f1(*(weights @ per_life.T).T))
    return _estimate(float(values[0] - values[1]), samples[0] - samples[1], settings.confidence)


def recall_by_mode(rows: pd.DataFrame, decisions: Flags, settings: Evaluation) -> tuple[GroupRecall, ...]:
    """Recall among the failures of each recorded mode; a mode without a column, or marked on no failure, is left out."""
    failed = rows[LABEL.name].to_numpy().astype(bool)
    found = []
    for name in MODE_NAMES:
        if name in rows:
            of_mode = failed & rows[name].to_numpy().astype(bool)
            found.append(_group_recall(name, of_mode, decisions, settings))
    return tuple(group for group in found if group.failures)


def over_thresholds(labels: Flags, probabilities: Vector, costs: Costs, points: int = 200) -> pd.DataFrame:
    """Recall, precision, F1 and the expected cost of 1,000 readings at up to `points` thresholds, in rising order."""
    candidates = np.unique(probabilities)
    if len(candidates) > points:
        # Dense where there are alarms: evenly spaced by rank among the upper part, where the decisions are made.
        ranks = np.unique(np.geomspace(1, len(candidates), points).astype(int))
        candidates = candidates[len(candidates) - ranks][::-1]
    order = np.sort(probabilities)
    positives = np.sort(probabilities[labels])
    alarms = len(order) - np.searchsorted(order, candidates, side="left")
    caught = len(positives) - np.searchsorted(positives, candidates, side="left")
    failures, rows = len(positives), len(order)
    counts = np.stack([caught, alarms - caught, failures - caught, rows - alarms - (failures - caught)], axis=1)
    values = _from_counts(counts.astype(float), costs)
    return pd.DataFrame({"threshold": candidates, **values})


def calibration_bins(labels: Flags, probabilities: Vector, bins: int = 10) -> pd.DataFrame:
    """Mean probability and observed share of failures, with a Wilson interval and the count, in bins of equal width."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    lines = []
    for number in np.unique(place):
        inside = place == number
        observed, rows = int(labels[inside].sum()), int(inside.sum())
        low, high = _wilson(observed, rows, 0.95)
        lines.append((float(probabilities[inside].mean()), observed / rows, low, high, rows))
    return pd.DataFrame(lines, columns=["mean_probability", "observed_share", "low", "high", "rows"])


def _life_weights(lives: int, samples: int, seed: int) -> Vector:
    """(samples, lives) how often each life is drawn, with replacement, in each bootstrap sample."""
    drawn = np.random.default_rng(seed).integers(0, lives, size=(samples, lives))
    flat = drawn + np.arange(samples)[:, None] * lives
    return np.bincount(flat.ravel(), minlength=samples * lives).reshape(samples, lives).astype(np.float64)


def _from_counts(counts: Vector, costs: Costs) -> dict[str, Vector]:
    """Metrics of confusion counts (k, 4): true and false positives, false and true negatives."""
    tp, fp, fn, tn = counts.T
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(tp + fp > 0, tp / (tp + fp), 0.0)
        recall = np.where(tp + fn > 0, tp / (tp + fn), 0.0)
        spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        mcc = np.where(spread > 0, (tp * tn - fp * fn) / spread, 0.0)
    cost = (fn * costs.missed_failure + fp * costs.false_alarm) / (tp + fp + fn + tn) * 1000
    return {"recall": recall, "precision": precision, "f1": _f1(tp, fp, fn), "mcc": mcc, "expected_cost": cost}


def _f1(tp: Vector, fp: Vector, fn: Vector) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(tp > 0, 2 * tp / (2 * tp + fp + fn), 0.0)


def _average_precision(labels: Flags, probabilities: Vector, lives: npt.NDArray[np.integer], weights: Vector) -> Vector:
    """(samples,) average precision, rows weighted by how often their life was drawn; ties count as one threshold."""
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    failed, life = labels[order].astype(np.float64), lives[order]
    values = np.empty(len(weights))
    for number, weight in enumerate(weights):
        per_row = weight[life]
        caught, alarms = np.cumsum(per_row * failed)[last], np.cumsum(per_row)[last]
        precision = np.divide(caught, alarms, out=np.zeros_like(caught), where=alarms > 0)
        values[number] = np.sum(np.diff(caught, prepend=0.0) * precision) / caught[-1] if caught[-1] else 0.0
    return values


def _estimate(value: float, samples: Vector, confidence: float) -> Estimate:
    tail = 1 - confidence
    low, high, lower_bound = np.quantile(samples, [tail / 2, 1 - tail / 2, tail])
    return Estimate(value, float(low), float(high), float(lower_bound))


def _group_recall(name: str, of_group: Flags, decisions: Flags, settings: Evaluation) -> GroupRecall:
    failures, caught = int(of_group.sum()), int((of_group & decisions).sum())
    low, high = _wilson(caught, failures, settings.confidence)
    return GroupRecall(name, failures, caught, failures >= settings.min_assessable_failures, low, high)


def _wilson(hits: int, count: int, confidence: float) -> tuple[float, float]:
    from scipy.stats import binomtest

    if not count:
        return float("nan"), float("nan")
    interval = binomtest(hits, count).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
