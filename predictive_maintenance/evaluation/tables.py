"""Tables of an evaluation as headers and plain cells, the same for cards and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .gate import Check
from .metrics import METRICS, Confusion, GroupRecall, Scores

Table = tuple[list[str], list[list[str]]]


def gate_table(checks: Sequence[Check]) -> Table:
    """Every check, passed or not."""
    return ["Level", "Check", "Measured", "Required", "Verdict", "Why"], [
        [check.level, check.name, check.measured, check.required, "passed" if check.passed else "FAILED", check.why]
        for check in checks
    ]


def scores_table(columns: Mapping[str, Scores]) -> Table:
    """Metrics with intervals and counts down, sets of rows across."""
    rows = [[label, *(_estimate(name, scores) for scores in columns.values())] for name, label in METRICS.items()]
    rows.append(["Rows", *(f"{scores.rows:,}" for scores in columns.values())])
    rows.append(["Failures", *(f"{scores.failures:,}" for scores in columns.values())])
    rows.append(["Tool lives", *(f"{scores.tool_lives:,}" for scores in columns.values())])
    return ["Metric", *columns], rows


def modes_table(modes: Sequence[GroupRecall]) -> Table:
    """Recall by failure mode; too few failures are not assessed."""
    return ["Mode", "Caught", "Recall"], [
        [
            group.label,
            f"{group.caught} of {group.failures}",
            f"{group.recall:.3f} [{group.low:.3f}, {group.high:.3f}]" if group.assessable else "not assessable",
        ]
        for group in modes
    ]


def confusion_table(counts: Confusion) -> Table:
    """What became of failures and of healthy readings."""
    return ["", "Alarm", "No alarm"], [
        ["Failed", f"{counts.true_positives:,}", f"{counts.false_negatives:,}"],
        ["Healthy", f"{counts.false_positives:,}", f"{counts.true_negatives:,}"],
    ]


def _estimate(name: str, scores: Scores) -> str:
    if not scores.failures and name not in ("brier", "expected_cost"):
        return "no failures"
    estimate = scores[name]
    decimals = 0 if name == "expected_cost" else 4 if name == "brier" else 3
    value, low, high = (f"{number:,.{decimals}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
