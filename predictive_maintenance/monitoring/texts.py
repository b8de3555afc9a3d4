"""Findings and metrics of performance as sentences."""

import math

from ..evaluation.intervals import Estimate
from ..evaluation.metrics import METRICS
from ..machine.machine import Machine
from ..machine.unit_text import unit_text
from .drift import Finding
from .performance import MetricComparison, Performance

SHOWN_MACHINES = 10

_ALONE = ("predictions", "alarm rate", "rejected readings")
"""Kinds that have only one column."""


def finding_name(finding: Finding, machine: Machine) -> str:
    """What differs, such as `distribution of Torque`."""
    if finding.kind == "performance":
        return f"loss of {METRICS[finding.column]}"
    return finding.kind if finding.kind in _ALONE else f"{finding.kind} of {_label(finding.column, machine)}"


def finding_text(finding: Finding, machine: Machine) -> str:
    """What differs, and by how much."""
    effect = f"{finding.effect:z.2f} [{finding.low:z.2f}, {finding.high:z.2f}], limit {finding.limit:.2f}"
    unit = f" {unit_text(machine.unit(finding.column))}" if finding.column in machine.sensor_names else ""
    match finding.kind:
        case "constant values":
            count, names = len(finding.machines), ", ".join(finding.machines[:SHOWN_MACHINES])
            text = f"one value all the time at {count:,} machine{'' if count == 1 else 's'}: {names}"
        case "missing values":
            text = f"{finding.now:.1%} missing, in training {finding.before:.1%}; change {effect}"
        case "alarm rate":
            text = f"{finding.now:.2%} of the readings, in held-out rows {finding.before:.2%}; ratio {effect}"
        case "rejected readings":
            text = f"{finding.now:.1%} of the readings, usually {finding.before:.1%}; share {effect}"
        case "performance":
            text = f"{finding.now:.3f}, at evaluation {finding.before:.3f}; loss {effect}"
            if finding.own is not None and math.isfinite(finding.own):
                text += f"; {finding.own:.2f} in the window alone"
        case _ if finding.column in machine.sensor_names or finding.kind == "predictions":
            text = f"mean {finding.now:.4g}{unit}, in training {finding.before:.4g}{unit}; PSI {effect}"
        case _:
            text = f"PSI {effect}"
    return f"{finding_name(finding, machine)}: {text}"


def metric_text(metric: MetricComparison) -> str:
    """A metric in production and at evaluation, or why it is not available."""
    at_evaluation = f"; at evaluation {_estimate(metric.at_evaluation)}" if metric.at_evaluation else ""
    if metric.now is None:
        return f"{METRICS[metric.metric]}: not available: {metric.reason}{at_evaluation}"
    return f"{METRICS[metric.metric]}: {_estimate(metric.now)} of {metric.count:,} {_OF[metric.metric]}{at_evaluation}"


def performance_text(performance: Performance) -> str:
    """How many predictions have a label, and where the labels come from."""
    if performance.source is None:
        return "no prediction has a label"
    return (
        f"{performance.labelled:,} of {performance.predictions:,} predictions have a label from {performance.source}, "
        f"{performance.failures:,} of them failures"
    )


_OF = {"precision": "predicted failures", "recall": "failures"} | dict.fromkeys(
    ("f1", "pr_auc", "expected_cost"), "predictions"
)


def _estimate(estimate: Estimate) -> str:
    digits = 3 if max(map(math.fabs, (estimate.value, estimate.high))) < 10 else 0
    return f"{estimate.value:,.{digits}f} [{estimate.low:,.{digits}f}, {estimate.high:,.{digits}f}]"


def _label(column: str, machine: Machine) -> str:
    for name, codes in machine.categories.items():
        if codes.code_name == column:
            return machine.description.categories[name].label
    return machine.columns[column].label
