"""Tables of an evaluation as headers and text cells, for cards and reports."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation.failure_modes import ModeRecall
from ..evaluation.metrics import METRICS, Confusion, Scores
from ..evaluation.trivial_models import TrivialModels
from ..evaluation.verdict import Check

Table = tuple[list[str], list[list[str]]]
"""(headers, rows of cells)"""

_DECISION_METRICS = ("recall", "precision", "f1", "mcc", "expected_cost")
"""Metrics that need no probability: a trivial model has none."""


def gate_table(checks: Sequence[Check]) -> Table:
    """One row for each check."""
    return ["Level", "Check", "Measured", "Required", "Result", "Reason"], [
        [check.level, check.name, check.measured, check.required, "passed" if check.passed else "FAILED", check.why]
        for check in checks
    ]


def scores_table(columns: Mapping[str, Scores]) -> Table:
    """One row for each metric with its interval, one column for each entry of `columns`; the last rows are counts."""
    rows = [[label, *(_estimate(name, scores) for scores in columns.values())] for name, label in METRICS.items()]
    rows.append(["Rows", *(f"{scores.rows:,}" for scores in columns.values())])
    rows.append(["Failures", *(f"{scores.failures:,}" for scores in columns.values())])
    rows.append(["Groups", *(f"{scores.groups:,}" for scores in columns.values())])
    return ["Metric", *columns], rows


def trivial_models_table(model: Scores, trivial: TrivialModels) -> Table:
    """The metrics of decisions and the counts of `model` and of the trivial models on the same rows."""
    columns = {"This model": model, "Never alarm": trivial.never_alarm, "Always alarm": trivial.always_alarm}
    rows = [[METRICS[name], *(_estimate(name, scores) for scores in columns.values())] for name in _DECISION_METRICS]
    counts = [scores.confusion for scores in columns.values()]
    detected = [f"{count.true_positives:,} of {model.failures:,}" for count in counts]
    false_alarms = [f"{count.false_positives:,} of {model.rows - model.failures:,}" for count in counts]
    rows += [["Detected failures", *detected], ["False alarms on healthy rows", *false_alarms]]
    return ["Metric", *columns], rows


def revision_table(revision: str, before: Mapping[str, Any], now: Scores) -> Table:
    """Held-out metrics of another revision (`before`, from its metrics.json), those of this model, and the difference."""
    rows = []
    for metric, label in METRICS.items():
        old = before.get(metric)
        difference = _number(metric, now[metric].value - old["value"], sign=True) if old and now.failures else ""
        rows.append([label, _interval(metric, **old) if old else "none", _estimate(metric, now), difference])
    counts = (("Rows", "rows", now.rows), ("Failures", "failures", now.failures))
    rows += [[label, f"{before[name]:,}", f"{count:,}", ""] for label, name, count in counts]
    return ["Metric", revision, "This model", "Difference"], rows


def modes_table(modes: Sequence[ModeRecall]) -> Table:
    """Recall for each failure mode; `not assessable` for a mode with too few failures."""
    return ["Mode", "Caught", "Recall"], [
        [
            mode.label,
            f"{mode.caught} of {mode.failures}",
            f"{mode.recall:.3f} [{mode.low:.3f}, {mode.high:.3f}]" if mode.assessable else "not assessable",
        ]
        for mode in modes
    ]


def confusion_table(counts: Confusion) -> Table:
    """The confusion matrix: actual state by row, decision by column."""
    return ["", "Alarm", "No alarm"], [
        ["Failed", f"{counts.true_positives:,}", f"{counts.false_negatives:,}"],
        ["Healthy", f"{counts.false_positives:,}", f"{counts.true_negatives:,}"],
    ]


def _estimate(name: str, scores: Scores) -> str:
    if not scores.failures and name not in ("brier", "expected_cost"):
        return "no failures"
    estimate = scores[name]
    return _interval(name, estimate.value, estimate.low, estimate.high)


def _interval(name: str, value: float, low: float, high: float) -> str:
    return f"{_number(name, value)} [{_number(name, low)}, {_number(name, high)}]"


def _number(name: str, value: float, sign: bool = False) -> str:
    decimals = 0 if name == "expected_cost" else 4 if name == "brier" else 3
    return f"{value:{'+' if sign else ''},.{decimals}f}"
