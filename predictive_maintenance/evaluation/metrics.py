"""Metrics of decisions and probabilities against the labels, each with an interval."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..config.params import CostSettings, EvaluationSettings
from .intervals import BoolArray, Estimate, FloatArray, bootstrap_draws, bootstrap_estimate, wilson_estimate
from .prediction_summary import GroupedScores, PredictionSummary
from .ranking import average_precision

METRICS = {
    "recall": "Recall",
    "precision": "Precision",
    "f1": "F1",
    "f1_gain": "F1 above always alarming",
    "pr_auc": "PR-AUC",
    "mcc": "MCC",
    "brier": "Brier score",
    "expected_cost": "Expected cost per 1,000 readings",
}
"""Label of each metric, by name. Lower is better for the Brier score and the cost, higher for the others."""


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix, as counts of readings."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The metrics of a model on `rows` readings with `failures` failures in `groups` groups.

    `approximations` say what is not exact, because there are too many scores and groups to count each; empty if all is exact.
    """

    rows: int
    failures: int
    groups: int
    confusion: Confusion
    estimates: dict[str, Estimate]
    approximations: tuple[str, ...] = ()

    def __getitem__(self, metric: str) -> Estimate:
        return self.estimates[metric]

    def row_counts(self, kind: str) -> str:
        """The number of rows, of which `kind` is the name, and of failures as text."""
        return f"{self.rows:,} {kind} rows with {self.failures:,} failures"


def score(
    rows: pd.DataFrame,
    label: str,
    probabilities: FloatArray,
    decisions: BoolArray,
    costs: CostSettings,
    settings: EvaluationSettings,
    seed: int,
) -> Scores:
    """Compute every metric of `probabilities` and `decisions` (both (n,)) against the column `label` of `rows`."""
    summary = PredictionSummary.of(rows[label].to_numpy(), probabilities, decisions, rows["group"])
    return score_summary(summary, costs, settings, seed)


def score_summary(summary: PredictionSummary, costs: CostSettings, settings: EvaluationSettings, seed: int) -> Scores:
    """Compute every metric from a summary of predictions.

    All values but PR-AUC are exact in any case. If the summary is not exact, PR-AUC has at most the error that `ranking` states.
    Its bootstrap samples then take the rows in an interval of scores for ties, and groups may be merged in the samples. The
    scores say so.
    """
    precision = average_precision(summary.scores)
    grouped, per_group, total = summary.groups, summary.groups.sums, precision.value
    sampled_precision = _average_precision(grouped)

    def metrics_of(draws: Iterable[FloatArray]) -> dict[str, FloatArray]:
        sums = np.stack([np.append(per_group @ drawn, sampled_precision(drawn)) for drawn in draws])
        readings = sums[:, :4].sum(axis=1)
        return {**metrics_from_counts(sums[:, :4], costs), "brier": sums[:, 4] / readings, "pr_auc": sums[:, 5]}

    groups = len(grouped.groups)
    values = metrics_of([np.ones(groups)])
    samples = metrics_of(bootstrap_draws(groups, settings.bootstrap_samples, seed))
    samples["pr_auc"] += total - values["pr_auc"]  # the error of the summary, 0 if it is exact
    values["pr_auc"] = np.array([total])
    estimates = {
        name: bootstrap_estimate(float(values[name][0]), samples[name], settings.confidence) for name in METRICS
    }
    confusion = Confusion(*(int(count) for count in per_group[:4].sum(axis=1)))
    hits = confusion.true_positives
    failures, alarms = hits + confusion.false_negatives, hits + confusion.false_positives
    for name, count in (("recall", failures), ("precision", alarms)):
        if count and estimates[name].low == estimates[name].high:
            estimates[name] = wilson_estimate(hits, count, settings.confidence)
    rows = int(summary.scores.rows.sum())
    return Scores(
        rows=rows,
        failures=failures,
        groups=groups,
        confusion=confusion,
        estimates=estimates,
        approximations=tuple(_approximations(summary, precision.max_error)),
    )


def f1_difference(
    challenger: GroupedScores, champion: GroupedScores, settings: EvaluationSettings, seed: int
) -> Estimate:
    """F1 of the challenger minus F1 of the champion, both on the same bootstrap draws of groups, for the same rows."""
    merged_bits = max(challenger.merged_bits, champion.merged_bits)
    sums = [one.with_merged_groups(merged_bits).sums[:3] for one in (challenger, champion)]
    per_group = np.concatenate(sums)

    def differences(draws: Iterable[FloatArray]) -> FloatArray:
        sums = np.stack([per_group @ drawn for drawn in draws]).T
        return _f1(*sums[:3]) - _f1(*sums[3:])

    groups = per_group.shape[1]
    value = float(differences([np.ones(groups)])[0])
    samples = differences(bootstrap_draws(groups, settings.bootstrap_samples, seed))
    return bootstrap_estimate(value, samples, settings.confidence)


def metrics_from_counts(counts: FloatArray, costs: CostSettings) -> dict[str, FloatArray]:
    """Recall, precision, F1, F1 minus that of always alarming, MCC and expected cost, each (k,), of confusion matrices.

    `counts` (k, 4) are true positives, false positives, false negatives and true negatives.
    """
    tp, fp, fn, tn = counts.T
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(tp + fp > 0, tp / (tp + fp), 0.0)
        recall = np.where(tp + fn > 0, tp / (tp + fn), 0.0)
        spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        mcc = np.where(spread > 0, (tp * tn - fp * fn) / spread, 0.0)
    cost = (fn * costs.missed_failure + fp * costs.false_alarm) / (tp + fp + fn + tn) * 1000
    f1 = _f1(tp, fp, fn)
    return {
        "recall": recall,
        "precision": precision,
        "f1": f1,
        "f1_gain": f1 - _f1(tp + fn, fp + tn, np.zeros_like(fn)),
        "mcc": mcc,
        "expected_cost": cost,
    }


def _approximations(summary: PredictionSummary, error: float) -> Iterator[str]:
    if not summary.scores.exact:
        yield f"PR-AUC has an error of at most {error:.1e}, because close scores are counted together"
    if summary.groups.dropped:
        yield "the interval of PR-AUC takes close scores for equal ones"
    if summary.groups.merged_bits:
        yield f"intervals are from a bootstrap over {len(summary.groups.groups):,} random sets of groups"


def _f1(tp: FloatArray, fp: FloatArray, fn: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(tp > 0, 2 * tp / (2 * tp + fp + fn), 0.0)


def _average_precision(grouped: GroupedScores) -> Callable[[FloatArray], float]:
    """Return average precision as a function of how often each group is drawn.

    Rows of equal score share one threshold. Recall increases only at the score of a failure, so the rows between two such
    thresholds are counted per group once, for all bootstrap samples.
    """
    from scipy.sparse import csr_array

    thresholds = np.unique(grouped.keys[grouped.failures > 0])
    # The highest score comes first.
    threshold_of_pair = len(thresholds) - np.searchsorted(thresholds, grouped.keys, side="right")
    shape = (len(thresholds), len(grouped.groups))
    failures_by_group, alarms_by_group = (
        csr_array((counts[chosen].astype(np.float64), (threshold_of_pair[chosen], grouped.group[chosen])), shape)
        for counts, chosen in (
            (grouped.failures, grouped.failures > 0),
            (grouped.rows, threshold_of_pair < len(thresholds)),
        )
    )

    def average_precision(drawn: FloatArray) -> float:
        found, raised = failures_by_group @ drawn, np.cumsum(alarms_by_group @ drawn)
        precision = np.divide(np.cumsum(found), raised, out=np.zeros_like(raised), where=raised > 0)
        return float(found @ precision / found.sum()) if found.any() else 0.0

    return average_precision
