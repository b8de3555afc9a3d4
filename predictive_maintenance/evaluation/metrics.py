"""Metrics with intervals. Whole tool lives are drawn in the bootstrap, since the readings of one resemble each other."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import CostSettings, EvaluationSettings
from ..machine.sensors import LABEL, LABELS, MODE_NAMES

Flags = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

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


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a model is worth on `rows` readings with `failures` failures in `tool_lives` lives."""

    rows: int
    failures: int
    tool_lives: int
    confusion: Confusion
    estimates: dict[str, Estimate]

    def __getitem__(self, metric: str) -> Estimate:
        return self.estimates[metric]


@dataclass(frozen=True, kw_only=True)
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
    rows: pd.DataFrame,
    probabilities: Vector,
    decisions: Flags,
    costs: CostSettings,
    settings: EvaluationSettings,
    seed: int,
) -> Scores:
    """All metrics of `decisions` and `probabilities` (both (n,)) against the labels of `rows`."""
    labels = rows[LABEL.name].to_numpy().astype(bool)
    lives, names = pd.factorize(rows["tool_life"])
    counts = (labels & decisions, ~labels & decisions, labels & ~decisions, ~labels & ~decisions)
    per_life = _per_life(lives, len(names), (*counts, (probabilities - labels) ** 2))
    average_precision = _average_precision(labels, probabilities, lives, len(names))

    def measured(draws: Iterable[Vector]) -> dict[str, Vector]:
        sums = np.stack([np.append(per_life @ drawn, average_precision(drawn)) for drawn in draws])
        readings = sums[:, :4].sum(axis=1)
        return {**_from_counts(sums[:, :4], costs), "brier": sums[:, 4] / readings, "pr_auc": sums[:, 5]}

    values = measured([np.ones(len(names))])
    samples = measured(_draws(len(names), settings.bootstrap_samples, seed))
    estimates = {name: _estimate(float(values[name][0]), samples[name], settings.confidence) for name in METRICS}
    confusion = Confusion(*(int(count.sum()) for count in counts))
    hits, alarms, failures = confusion.true_positives, int(decisions.sum()), int(labels.sum())
    for name, count in (("recall", failures), ("precision", alarms)):
        if count and estimates[name].low == estimates[name].high:
            estimates[name] = _of_a_count(hits, count, settings.confidence)
    return Scores(
        rows=len(rows), failures=int(labels.sum()), tool_lives=len(names), confusion=confusion, estimates=estimates
    )


def f1_difference(
    rows: pd.DataFrame, challenger: Flags, champion: Flags, settings: EvaluationSettings, seed: int
) -> Estimate:
    """F1 of the challenger's decisions minus that of the champion's, both on the same draws of tool lives."""
    labels = rows[LABEL.name].to_numpy().astype(bool)
    lives, names = pd.factorize(rows["tool_life"])
    ours, theirs = ((labels & alarms, ~labels & alarms, labels & ~alarms) for alarms in (challenger, champion))
    per_life = _per_life(lives, len(names), (*ours, *theirs))

    def differences(draws: Iterable[Vector]) -> Vector:
        sums = np.stack([per_life @ drawn for drawn in draws]).T
        return _f1(*sums[:3]) - _f1(*sums[3:])

    value = float(differences([np.ones(len(names))])[0])
    samples = differences(_draws(len(names), settings.bootstrap_samples, seed))
    return _estimate(value, samples, settings.confidence)


def recall_by_mode(rows: pd.DataFrame, decisions: Flags, settings: EvaluationSettings) -> tuple[GroupRecall, ...]:
    """Recall among the failures of each recorded mode; a mode without a column, or marked on no failure, is left out."""
    failed = rows[LABEL.name].to_numpy().astype(bool)
    found = []
    for name in MODE_NAMES:
        if name in rows:
            of_mode = failed & rows[name].to_numpy().astype(bool)
            found.append(_group_recall(name, of_mode, decisions, settings))
    return tuple(group for group in found if group.failures)


def over_thresholds(
    labels: Flags, probabilities: Vector, costs: CostSettings, chosen: float, points: int = 200
) -> pd.DataFrame:
    """Counts, recall, precision, F1 and the expected cost of 1,000 readings at up to `points` thresholds and the `chosen`
    one, in rising order."""
    candidates = np.unique(probabilities)
    if len(candidates) > points:
        # Dense where there are alarms: evenly spaced by rank among the upper part, where the decisions are made.
        ranks = np.unique(np.geomspace(1, len(candidates), points).astype(int))
        candidates = candidates[len(candidates) - ranks][::-1]
    candidates = np.unique(np.append(candidates, chosen))
    order = np.sort(probabilities)
    positives = np.sort(probabilities[labels])
    alarms = len(order) - np.searchsorted(order, candidates, side="left")
    caught = len(positives) - np.searchsorted(positives, candidates, side="left")
    failures, rows = len(positives), len(order)
    counts = np.stack([caught, alarms - caught, failures - caught, rows - alarms - (failures - caught)], axis=1)
    values = _from_counts(counts.astype(float), costs)
    counted = {"true_positives": caught, "false_positives": alarms - caught}
    return pd.DataFrame({"threshold": candidates, **counted, **values})


def calibration_bins(labels: Flags, probabilities: Vector, bins: int = 10) -> pd.DataFrame:
    """Mean probability and observed share of failures, with a Wilson interval and the count, in bins of equal width."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    lines = []
    for number in np.unique(place):
        inside = place == number
        observed, rows = int(labels[inside].sum()), int(inside.sum())
        low, high = wilson(observed, rows, 0.95)
        lines.append((float(probabilities[inside].mean()), observed / rows, low, high, rows))
    return pd.DataFrame(lines, columns=["mean_probability", "observed_share", "low", "high", "rows"])


def _draws(lives: int, samples: int, seed: int) -> Iterator[Vector]:
    """(lives,) how often each life is drawn, with replacement, for each bootstrap sample: one at a time, to save memory."""
    random = np.random.default_rng(seed)
    for _ in range(samples):
        yield np.bincount(random.integers(0, lives, lives), minlength=lives).astype(np.float64)


def _per_life(lives: Places, count: int, values: Iterable[Flags | Vector]) -> Vector:
    """(len(values), count) sums over the rows of each life."""
    return np.stack([np.bincount(lives, row, minlength=count) for row in values])


def _from_counts(counts: Vector, costs: CostSettings) -> dict[str, Vector]:
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


def _average_precision(labels: Flags, probabilities: Vector, lives: Places, count: int) -> Callable[[Vector], float]:
    """Average precision as a function of how often each of `count` lives is drawn; ties count as one threshold.

    Recall rises only at the probability of a failure: the rows between two such thresholds are counted once for all
    samples, by life.
    """
    from scipy.sparse import csr_array

    thresholds = np.unique(-probabilities[labels])  # the highest probability first
    reached = np.searchsorted(thresholds, -probabilities)
    alarms, shape = reached < len(thresholds), (len(thresholds), count)
    caught_by_life, alarms_by_life = (
        csr_array((np.ones(inside.sum()), (reached[inside], lives[inside])), shape) for inside in (labels, alarms)
    )

    def average_precision(drawn: Vector) -> float:
        caught, raised = caught_by_life @ drawn, np.cumsum(alarms_by_life @ drawn)
        precision = np.divide(np.cumsum(caught), raised, out=np.zeros_like(raised), where=raised > 0)
        return float(caught @ precision / caught.sum()) if caught.any() else 0.0

    return average_precision


def _estimate(value: float, samples: Vector, confidence: float) -> Estimate:
    tail = 1 - confidence
    low, high, lower_bound = np.quantile(samples, [tail / 2, 1 - tail / 2, tail])
    return Estimate(value, float(low), float(high), float(lower_bound))


def _of_a_count(hits: int, count: int, confidence: float) -> Estimate:
    """A share of which every draw of the bootstrap is the same, such as a precision of 1: that is no certainty.

    It is taken for one of independent rows, which is the least that is not known.
    """
    low, high = wilson(hits, count, confidence)
    return Estimate(hits / count, low, high, lower_bound=wilson(hits, count, 2 * confidence - 1)[0])


def _group_recall(name: str, of_group: Flags, decisions: Flags, settings: EvaluationSettings) -> GroupRecall:
    failures, caught = int(of_group.sum()), int((of_group & decisions).sum())
    low, high = wilson(caught, failures, settings.confidence)
    return GroupRecall(
        name=name,
        failures=failures,
        caught=caught,
        assessable=failures >= settings.min_assessable_failures,
        low=low,
        high=high,
    )


def wilson(hits: int, count: int, confidence: float) -> tuple[float, float]:
    """The interval of a share of independent draws: E. B. Wilson, "Probable Inference", 1927. NaN of nothing."""
    from scipy.stats import binomtest

    if not count:
        return float("nan"), float("nan")
    interval = binomtest(hits, count).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
