"""The metrics of the predictions of a window, compared with those at evaluation: on the held-out rows of the training.

People report on alarms: the precision can be computed from their reports, and nothing about failures without an alarm. A metric
that cannot be computed from the labels has a reason instead of a value.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import islice
from typing import Self

import numpy as np
import pandas as pd

from ..config.params import CostSettings, EvaluationSettings, MonitoringSettings
from ..evaluation.intervals import Estimate
from ..evaluation.metrics import Scores, metrics_from_counts, score_summary
from ..evaluation.prediction_summary import PredictionSummary
from ..evaluation.ranking import average_precision
from ..history.labels import FAILS
from ..tracking.entities import METRICS_TAG
from .drift import Finding
from .labels import UNKNOWN, LabelledPredictions, LabelSource

METRICS = ("precision", "recall", "f1", "pr_auc", "expected_cost")
COMPARED = METRICS[:-1]
"""Shares, for which a loss means the same for each machine. The cost follows from them."""

_MIN_GROUPS = 5
"""Machines, or parts of the log, with alarms or failures: an interval over fewer is too narrow."""
_SUMMARY_PAIRS = 2**17
_ROWS_TOGETHER = 2**18


@dataclass(frozen=True, kw_only=True)
class MetricComparison:
    """A metric of the labelled predictions, and the same at evaluation; without `now`, `reason` says why it is not available.

    `count` is the number of predictions behind the metric: failures for the recall, alarms for the precision. `newest` is the
    metric in the newest window alone; None without failures or alarms to compute it from.
    """

    metric: str
    count: int
    now: Estimate | None
    at_evaluation: Estimate | None
    reason: str = ""
    newest: float | None = None


@dataclass(frozen=True, kw_only=True)
class Performance:
    """The predictions that were scored in [begins, ends), in seconds since 1970, how many have a label, and the metrics.

    `source` is where the labels come from; None if there are none.
    """

    begins: int
    ends: int
    source: LabelSource | None
    predictions: int
    labelled: int
    alarms: int
    labelled_alarms: int
    failures: int
    metrics: tuple[MetricComparison, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationMetrics:
    """The metrics of a version at evaluation, on held-out rows, and the costs that they are computed with."""

    metrics: Mapping[str, Estimate]
    costs: CostSettings


def evaluation_metrics(tags: Mapping[str, str]) -> dict[str, Estimate]:
    """The metrics on held-out rows in the tags of a version, with their intervals; {} for a version without them."""
    held_out = json.loads(tags.get(METRICS_TAG, "{}")).get("held_out") or {"metrics": {}}
    return {
        name: Estimate(one["value"], one["low"], one["high"], lower_bound=one["low"])
        for name, one in held_out["metrics"].items()
    }


@dataclass(frozen=True, kw_only=True)
class OutcomeCounts:
    """Predictions, those with a label, and the summary of these; None without any. The groups are some of all at least."""

    summary: PredictionSummary | None = None
    predictions: int = 0
    alarms: int = 0
    labelled: int = 0
    labelled_alarms: int = 0
    groups_with_alarms: frozenset[str] = frozenset()
    groups_with_failures: frozenset[str] = frozenset()

    def plus(self, other: Self) -> Self:
        """The counts of both, of which those of `other` are later."""
        both = [one.summary for one in (self, other) if one.summary]
        return type(self)(
            summary=PredictionSummary.merged(both) if both else None,
            predictions=self.predictions + other.predictions,
            alarms=self.alarms + other.alarms,
            labelled=self.labelled + other.labelled,
            labelled_alarms=self.labelled_alarms + other.labelled_alarms,
            groups_with_alarms=_some(self.groups_with_alarms | other.groups_with_alarms),
            groups_with_failures=_some(self.groups_with_failures | other.groups_with_failures),
        )


def count(pages: Iterable[LabelledPredictions]) -> OutcomeCounts:
    """Count labelled predictions, in memory that does not depend on their number."""
    return reduce(OutcomeCounts.plus, map(_counts, _together(pages)), OutcomeCounts())


def measure(
    parts: Sequence[OutcomeCounts], source: LabelSource, at_evaluation: EvaluationMetrics, settings: MonitoringSettings,
    evaluation: EvaluationSettings, seed: int, begins: int, ends: int,
) -> Performance:  # fmt: skip
    """The performance of the counted predictions of successive windows, scored in [begins, ends), in seconds since 1970."""
    counts = reduce(OutcomeCounts.plus, parts, OutcomeCounts())
    newest = _values(parts[-1], at_evaluation.costs) if parts else {}
    scores = score_summary(counts.summary, at_evaluation.costs, evaluation, seed) if counts.summary else None
    metrics = tuple(
        replace(_metric(metric, scores, counts, source, at_evaluation, settings, evaluation), newest=newest.get(metric))
        for metric in METRICS
    )
    return Performance(
        begins=begins, ends=ends, source=source, predictions=counts.predictions, labelled=counts.labelled, alarms=counts.alarms,
        labelled_alarms=counts.labelled_alarms, failures=scores.failures if scores else 0, metrics=metrics,
    )  # fmt: skip


def unlabelled(begins: int, ends: int, at_evaluation: EvaluationMetrics, reason: str) -> Performance:
    """The performance of predictions without any label."""
    metrics = tuple(
        MetricComparison(
            metric=metric, count=0, now=None, at_evaluation=at_evaluation.metrics.get(metric), reason=reason
        )
        for metric in METRICS
    )
    return Performance(
        begins=begins, ends=ends, source=None, predictions=0, labelled=0, alarms=0, labelled_alarms=0, failures=0, metrics=metrics
    )  # fmt: skip


def losses(performance: Performance, settings: MonitoringSettings) -> Iterator[Finding]:
    """How far each metric is below the one at evaluation. Both are estimates, from different rows.

    One bad window is in the predictions of several: a loss must also be that of the newest window alone.
    The interval of the difference is made from both intervals. Source: G. Y. Zou and A. Donner, "Construction of confidence
    limits about effect measures", 2008.
    """
    for metric in performance.metrics:
        now, at_evaluation = metric.now, metric.at_evaluation
        if metric.metric not in COMPARED or now is None or at_evaluation is None:
            continue
        loss = at_evaluation.value - now.value
        yield Finding(
            kind="performance",
            column=metric.metric,
            effect=loss,
            low=loss - math.hypot(at_evaluation.value - at_evaluation.low, now.high - now.value),
            high=loss + math.hypot(at_evaluation.high - at_evaluation.value, now.value - now.low),
            limit=settings.max_performance_loss,
            before=at_evaluation.value,
            now=now.value,
            own=math.nan if metric.newest is None else at_evaluation.value - metric.newest,
        )


def _together(pages: Iterable[LabelledPredictions]) -> Iterator[list[LabelledPredictions]]:
    """Pages that have many rows together: to add a summary to another one takes longer than to make it."""
    waiting: list[LabelledPredictions] = []
    for page in pages:
        waiting.append(page)
        if sum(len(one.labels) for one in waiting) >= _ROWS_TOGETHER:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _counts(pages: Sequence[LabelledPredictions]) -> OutcomeCounts:
    labels, decisions, probabilities, groups = (
        np.concatenate([getattr(page, name) for page in pages])
        for name in ("labels", "decisions", "probabilities", "groups")
    )
    known = labels != UNKNOWN
    failed, alarms = labels[known] == FAILS, decisions[known]
    return OutcomeCounts(
        summary=PredictionSummary.of(failed, probabilities[known], alarms, pd.Series(groups[known]), _SUMMARY_PAIRS)
        if known.any()
        else None,
        predictions=len(labels),
        alarms=int(decisions.sum()),
        labelled=int(known.sum()),
        labelled_alarms=int(alarms.sum()),
        groups_with_alarms=_some(groups[known][alarms].tolist()),
        groups_with_failures=_some(groups[known][failed].tolist()),
    )


def _some(groups: Iterable[str]) -> frozenset[str]:
    """So many groups as are counts."""
    return frozenset(islice(dict.fromkeys(groups), _MIN_GROUPS))


def _values(counts: OutcomeCounts, costs: CostSettings) -> dict[str, float]:
    """The compared metrics without intervals, but those that need failures or alarms if there are none."""
    if counts.summary is None:
        return {}
    sums = counts.summary.groups.sums[:4].sum(axis=1)
    values = {name: float(each[0]) for name, each in metrics_from_counts(sums[None], costs).items()}
    hits, false_alarms, missed, _ = sums
    found = {"precision": values["precision"]} if hits + false_alarms else {}
    if hits + missed:
        found |= {name: values[name] for name in ("recall", "f1")}
        found["pr_auc"] = average_precision(counts.summary.scores).value
    return found


def _metric(
    metric: str, scores: Scores | None, counts: OutcomeCounts, source: LabelSource, at_evaluation: EvaluationMetrics,
    settings: MonitoringSettings, evaluation: EvaluationSettings,
) -> MetricComparison:  # fmt: skip
    failures = scores.failures if scores else 0
    count = {"precision": counts.labelled_alarms, "recall": failures}.get(metric, counts.labelled)
    reason = _too_few_alarms(counts, evaluation) if metric == "precision" else _unavailable(
        failures, counts, source, settings, evaluation
    )  # fmt: skip
    now = scores[metric] if scores and not reason else None
    return MetricComparison(
        metric=metric, count=count, now=now, at_evaluation=at_evaluation.metrics.get(metric), reason=reason
    )


def _too_few_alarms(counts: OutcomeCounts, evaluation: EvaluationSettings) -> str:
    least = evaluation.min_assessable_failures
    if counts.labelled_alarms < least:
        return f"{counts.labelled_alarms:,} of {counts.alarms:,} predicted failures have a label: at least {least} are needed"
    return _too_few_groups("predicted failures", len(counts.groups_with_alarms))


def _unavailable(
    failures: int,
    counts: OutcomeCounts,
    source: LabelSource,
    settings: MonitoringSettings,
    evaluation: EvaluationSettings,
) -> str:
    """Why no metric but the precision is available; '' if all are."""
    if source == "confirmed alarms":
        return (
            "only failures of alarms are known, and missed ones are not: send every failure to /events and set "
            "monitoring.failures_are_reported"
        )
    others, labelled = counts.predictions - counts.alarms, counts.labelled - counts.labelled_alarms
    if source == "feedback" and (
        labelled < settings.min_labelled * others or counts.labelled_alarms < settings.min_labelled * counts.alarms
    ):
        return (
            f"{labelled:,} of {others:,} predictions without and {counts.labelled_alarms:,} of {counts.alarms:,} with a "
            f"predicted failure have feedback: below {settings.min_labelled:.0%} (monitoring.min_labelled), missed "
            "failures are unknown"
        )
    if failures < evaluation.min_assessable_failures:
        least = evaluation.min_assessable_failures
        return f"{failures:,} of {counts.labelled:,} labelled predictions are failures: at least {least} are needed"
    return _too_few_groups("failures", len(counts.groups_with_failures))


def _too_few_groups(what: str, groups: int) -> str:
    if groups >= _MIN_GROUPS:
        return ""
    return f"all {what} are of {groups} machines or parts of the log: at least {_MIN_GROUPS} are needed for an interval"
