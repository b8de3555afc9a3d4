"""How good the predictions of a window were, compared with what the version promised: its metrics on held-out rows.

People report on alarms: the precision can be computed from their reports, and nothing about failures without an alarm. A metric
that cannot be computed from the labels has a reason instead of a value.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from typing import Self

import numpy as np
import pandas as pd

from ..config.params import CostSettings, EvaluationSettings, MonitoringSettings
from ..evaluation.intervals import Estimate
from ..evaluation.metrics import Scores, score_summary
from ..evaluation.prediction_summary import PredictionSummary
from ..history.labels import FAILS
from ..tracking.entities import METRICS_TAG
from .drift import Finding
from .labels import UNKNOWN, Judged, LabelSource

METRICS = ("precision", "recall", "f1", "pr_auc", "expected_cost")
COMPARED = METRICS[:-1]
"""Shares, for which a loss means the same for each machine. The cost follows from them."""

_MIN_GROUPS = 5
"""Machines, or parts of the log, with alarms or failures: an interval over fewer is too narrow."""
_SUMMARY_PAIRS = 2**17
_ROWS_TOGETHER = 2**18


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric of the judged predictions, and what the version promised; without `now`, `reason` says why it is refused.

    `count` is the number of predictions that the metric is from: failures for the recall, alarms for the precision.
    """

    metric: str
    count: int
    now: Estimate | None
    promised: Estimate | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """The predictions that were scored in [begins, ends), in seconds since 1970, how many are judged, and the figures.

    `source` is where the labels come from; None if there are none.
    """

    begins: int
    ends: int
    source: LabelSource | None
    predictions: int
    judged: int
    alarms: int
    judged_alarms: int
    failures: int
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a version promised: its metrics on held-out rows, and the costs that these are computed with."""

    metrics: Mapping[str, Estimate]
    costs: CostSettings


def promised_metrics(tags: Mapping[str, str]) -> dict[str, Estimate]:
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
    judged: int = 0
    judged_alarms: int = 0
    groups_with_alarms: frozenset[str] = frozenset()
    groups_with_failures: frozenset[str] = frozenset()

    def plus(self, other: Self) -> Self:
        """The counts of both, of which those of `other` are later."""
        both = [one.summary for one in (self, other) if one.summary]
        return type(self)(
            summary=PredictionSummary.merged(both) if both else None,
            predictions=self.predictions + other.predictions,
            alarms=self.alarms + other.alarms,
            judged=self.judged + other.judged,
            judged_alarms=self.judged_alarms + other.judged_alarms,
            groups_with_alarms=_some(self.groups_with_alarms | other.groups_with_alarms),
            groups_with_failures=_some(self.groups_with_failures | other.groups_with_failures),
        )


def count(pages: Iterable[Judged]) -> OutcomeCounts:
    """Count judged predictions, in memory that does not depend on their number."""
    return reduce(OutcomeCounts.plus, map(_counts, _together(pages)), OutcomeCounts())


def measure(
    counts: OutcomeCounts, source: LabelSource, promise: Promise, settings: MonitoringSettings, evaluation: EvaluationSettings,
    seed: int, begins: int, ends: int,
) -> Performance:  # fmt: skip
    """The performance of counted predictions, which were scored in [begins, ends), in seconds since 1970."""
    scores = score_summary(counts.summary, promise.costs, evaluation, seed) if counts.summary else None
    figures = tuple(_figure(metric, scores, counts, source, promise, settings, evaluation) for metric in METRICS)
    return Performance(
        begins=begins, ends=ends, source=source, predictions=counts.predictions, judged=counts.judged, alarms=counts.alarms,
        judged_alarms=counts.judged_alarms, failures=scores.failures if scores else 0, figures=figures,
    )  # fmt: skip


def unjudged(begins: int, ends: int, promise: Promise, reason: str) -> Performance:
    """The performance of predictions of which nothing is known."""
    figures = tuple(
        Figure(metric=metric, count=0, now=None, promised=promise.metrics.get(metric), reason=reason)
        for metric in METRICS
    )
    return Performance(
        begins=begins, ends=ends, source=None, predictions=0, judged=0, alarms=0, judged_alarms=0, failures=0, figures=figures
    )  # fmt: skip


def losses(performance: Performance, settings: MonitoringSettings) -> Iterator[Finding]:
    """How far each metric is below the promise. Both are estimates, from different rows.

    The interval of the difference is made from both intervals. Source: G. Y. Zou and A. Donner, "Construction of confidence
    limits about effect measures", 2008.
    """
    for figure in performance.figures:
        now, promised = figure.now, figure.promised
        if figure.metric not in COMPARED or now is None or promised is None:
            continue
        loss = promised.value - now.value
        yield Finding(
            kind="performance",
            column=figure.metric,
            effect=loss,
            low=loss - math.hypot(promised.value - promised.low, now.high - now.value),
            high=loss + math.hypot(promised.high - promised.value, now.value - now.low),
            limit=settings.max_performance_loss,
            before=promised.value,
            now=now.value,
        )


def _together(pages: Iterable[Judged]) -> Iterator[list[Judged]]:
    """Pages that have many rows together: to add a summary to another one takes longer than to make it."""
    waiting: list[Judged] = []
    for page in pages:
        waiting.append(page)
        if sum(len(one.labels) for one in waiting) >= _ROWS_TOGETHER:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _counts(pages: Sequence[Judged]) -> OutcomeCounts:
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
        judged=int(known.sum()),
        judged_alarms=int(alarms.sum()),
        groups_with_alarms=_some(groups[known][alarms].tolist()),
        groups_with_failures=_some(groups[known][failed].tolist()),
    )


def _some(groups: Iterable[str]) -> frozenset[str]:
    """So many groups as are counts."""
    return frozenset(islice(dict.fromkeys(groups), _MIN_GROUPS))


def _figure(
    metric: str, scores: Scores | None, counts: OutcomeCounts, source: LabelSource, promise: Promise,
    settings: MonitoringSettings, evaluation: EvaluationSettings,
) -> Figure:  # fmt: skip
    failures = scores.failures if scores else 0
    count = {"precision": counts.judged_alarms, "recall": failures}.get(metric, counts.judged)
    reason = _too_few_alarms(counts, evaluation) if metric == "precision" else _refusal(
        failures, counts, source, settings, evaluation
    )  # fmt: skip
    now = scores[metric] if scores and not reason else None
    return Figure(metric=metric, count=count, now=now, promised=promise.metrics.get(metric), reason=reason)


def _too_few_alarms(counts: OutcomeCounts, evaluation: EvaluationSettings) -> str:
    least = evaluation.min_assessable_failures
    if counts.judged_alarms < least:
        return f"{counts.judged_alarms:,} of {counts.alarms:,} predicted failures have a label: at least {least} are needed"
    return _too_few_groups("predicted failures", len(counts.groups_with_alarms))


def _refusal(
    failures: int,
    counts: OutcomeCounts,
    source: LabelSource,
    settings: MonitoringSettings,
    evaluation: EvaluationSettings,
) -> str:
    """Why all metrics but the precision are refused; '' if they are not."""
    if source == "confirmed alarms":
        return (
            "the only known failures are those of alarms, so that missed ones are unknown: send all failures to /events"
        )
    others, judged = counts.predictions - counts.alarms, counts.judged - counts.judged_alarms
    if source == "feedback" and (
        judged < settings.min_labelled * others or counts.judged_alarms < settings.min_labelled * counts.alarms
    ):
        return (
            f"{judged:,} of {others:,} predictions without and {counts.judged_alarms:,} of {counts.alarms:,} with a predicted "
            f"failure have feedback: below {settings.min_labelled:.0%} (monitoring.min_labelled), missed failures are unknown"
        )
    if failures < evaluation.min_assessable_failures:
        least = evaluation.min_assessable_failures
        return f"{failures:,} of {counts.judged:,} judged predictions are failures: at least {least} are needed"
    return _too_few_groups("failures", len(counts.groups_with_failures))


def _too_few_groups(what: str, groups: int) -> str:
    if groups >= _MIN_GROUPS:
        return ""
    return f"all {what} are of {groups} machines or parts of the log: at least {_MIN_GROUPS} are needed for an interval"
