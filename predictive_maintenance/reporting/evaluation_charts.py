"""Charts of an evaluation, for cards, the report and MLflow."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from ..config.params import Params
from ..evaluation.evaluate import Evaluation
from ..evaluation.failure_modes import ModeRecall
from ..evaluation.metrics import Scores
from ..machine.machine import Machine
from .chart_style import BLUE, GREY, VERMILION, titled
from .event_charts import event_charts

_MAX_POINTS = 300


def evaluation_charts(evaluation: Evaluation, params: Params) -> dict[str, alt.Chart]:
    """Every chart of an evaluation, by its file name without suffix."""
    charts = {
        "pr_curve": pr_curve(evaluation.thresholds, evaluation.threshold, evaluation.held_out),
        "confusion_matrix": confusion_matrix(evaluation.held_out),
        "calibration": calibration(evaluation.calibration),
        "cost_over_thresholds": cost_over_thresholds(
            evaluation.thresholds, evaluation.threshold, params.costs.currency
        ),
        "importances": importances(evaluation.importances, params.machine),
    }
    if evaluation.modes:
        charts["recall_by_mode"] = recall_by_mode(evaluation.modes)
    if evaluation.events:
        charts |= event_charts(evaluation.events, evaluation.threshold)
    return charts


def pr_curve(thresholds: pd.DataFrame, chosen: float, scores: Scores) -> alt.Chart:
    """Precision by recall, with the decision threshold and the interval of its recall."""
    x = alt.X("recall:Q", title="Recall", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("precision:Q", title="Precision", scale=alt.Scale(domain=[0, 1]))
    line = alt.Chart(thresholds.tail(_MAX_POINTS)).mark_line(interpolate="step-before", color=BLUE)
    recall, precision = scores["recall"], scores["precision"]
    point = pd.DataFrame(
        {"recall": [recall.value], "precision": [precision.value], "low": [recall.low], "high": [recall.high]}
    )
    dot = alt.Chart(point).mark_point(filled=True, size=120, color=VERMILION, opacity=1).encode(x=x, y=y)
    interval = alt.Chart(point).mark_rule(color=VERMILION, strokeWidth=2).encode(
        x=alt.X("low:Q", title="Recall"), x2="high:Q", y="precision:Q"
    )  # fmt: skip
    layers = (
        line.encode(x=x, y=y, order="threshold:Q", tooltip=["threshold:Q", "recall:Q", "precision:Q"]) + interval + dot
    )
    return titled(
        layers, "Precision and recall", f"held-out rows; dot: threshold {chosen:.3f}; bar: interval of its recall"
    )


def confusion_matrix(scores: Scores) -> alt.Chart:
    """Counts of readings by actual state and decision."""
    counts = scores.confusion
    cells = pd.DataFrame(
        [
            ("failed", "alarm", counts.true_positives, "true positives"),
            ("failed", "no alarm", counts.false_negatives, "false negatives"),
            ("healthy", "alarm", counts.false_positives, "false positives"),
            ("healthy", "no alarm", counts.true_negatives, "true negatives"),
        ],
        columns=["actual", "decision", "readings", "kind"],
    )
    cells["text"] = [f"{readings:,} {kind}" for readings, kind in zip(cells["readings"], cells["kind"], strict=True)]
    cells["correct"] = cells["kind"].str.startswith("true")
    x = alt.X("decision:N", title="Decision", axis=alt.Axis(labelAngle=0))
    y = alt.Y("actual:N", title="Actual")
    colour = alt.Color("correct:N", scale=alt.Scale(domain=[True, False], range=[BLUE, VERMILION]), legend=None)
    boxes = alt.Chart(cells).mark_rect(opacity=0.18).encode(x=x, y=y, color=colour)
    text = alt.Chart(cells).mark_text(fontSize=15).encode(x=x, y=y, text="text:N")
    return titled(boxes + text, "Confusion matrix", f"{scores.rows:,} held-out rows, {scores.failures:,} failures")


def calibration(bins: pd.DataFrame) -> alt.Chart:
    """Observed share of failures by predicted probability, with Wilson intervals; the diagonal is perfect calibration."""
    x = alt.X("mean_probability:Q", title="Predicted probability", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("observed_share:Q", title="Observed share of failures", scale=alt.Scale(domain=[0, 1]))
    perfect = pd.DataFrame({"mean_probability": [0.0, 1.0], "observed_share": [0.0, 1.0]})
    diagonal = alt.Chart(perfect).mark_line(color=GREY, strokeDash=[4, 4]).encode(x=x, y=y)
    bars = alt.Chart(bins).mark_rule(color=BLUE).encode(
        x=x, y=alt.Y("low:Q", title="Observed share of failures"), y2="high:Q"
    )  # fmt: skip
    dots = alt.Chart(bins).mark_circle(color=BLUE, opacity=1).encode(
        x=x, y=y, size=alt.Size("rows:Q", title="Readings", scale=alt.Scale(type="log", range=[30, 300])),
        tooltip=["rows:Q", "mean_probability:Q", "observed_share:Q"],
    )  # fmt: skip
    return titled(diagonal + bars + dots, "Calibration", "held-out rows in bins of equal width, with 95 % intervals")


def cost_over_thresholds(thresholds: pd.DataFrame, chosen: float, currency: str) -> alt.Chart:
    """Expected cost per 1,000 readings by threshold."""
    line = alt.Chart(thresholds.tail(_MAX_POINTS)).mark_line(interpolate="step-after", color=BLUE).encode(
        x=alt.X("threshold:Q", title="Threshold", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("expected_cost:Q", title=f"{currency} per 1,000 readings", axis=alt.Axis(format="~s")),
        tooltip=["threshold:Q", "expected_cost:Q", "recall:Q", "precision:Q"],
    )  # fmt: skip
    rule = alt.Chart(pd.DataFrame({"threshold": [chosen]})).mark_rule(color=VERMILION, strokeWidth=2)
    return titled(
        line + rule.encode(x="threshold:Q"), "Expected cost by threshold", f"line: decision threshold {chosen:.3f}"
    )


def importances(table: pd.DataFrame, machine: Machine) -> alt.Chart:
    """Loss of PR-AUC when a feature is shuffled, with its standard deviation."""
    named = table.assign(
        label=[machine.labels[name] for name in table["feature"]],
        low=table["pr_auc_loss"] - table["deviation"],
        high=table["pr_auc_loss"] + table["deviation"],
    )
    y = alt.Y("label:N", title=None, sort=list(named["label"]), axis=alt.Axis(labelLimit=220))
    bars = alt.Chart(named).mark_bar(color=BLUE).encode(x=alt.X("pr_auc_loss:Q", title="Loss of PR-AUC"), y=y)
    spread = alt.Chart(named).mark_rule().encode(x=alt.X("low:Q", title="Loss of PR-AUC"), x2="high:Q", y=y)
    return titled(
        bars + spread,
        "Permutation importance",
        "held-out rows, one feature shuffled at a time; line: standard deviation",
    )


def recall_by_mode(modes: Sequence[ModeRecall]) -> alt.Chart:
    """Recall of each failure mode with its interval; pale for modes with too few failures to assess."""
    table = pd.DataFrame(
        {
            "mode": [f"{mode.label}: {mode.caught} of {mode.failures}" for mode in modes],
            "recall": [mode.recall for mode in modes],
            "low": [mode.low for mode in modes],
            "high": [mode.high for mode in modes],
            "assessable": [mode.assessable for mode in modes],
        }
    )
    y = alt.Y("mode:N", title=None, sort=list(table["mode"]), axis=alt.Axis(labelLimit=280))
    opacity = alt.Opacity("assessable:N", scale=alt.Scale(domain=[True, False], range=[1.0, 0.35]), legend=None)
    x = alt.X("recall:Q", title="Recall", scale=alt.Scale(domain=[0, 1]))
    dots = alt.Chart(table).mark_circle(size=120, color=BLUE).encode(x=x, y=y, opacity=opacity)
    rules = alt.Chart(table).mark_rule(color=BLUE).encode(
        x=alt.X("low:Q", title="Recall", scale=alt.Scale(domain=[0, 1])), x2="high:Q", y=y, opacity=opacity
    )  # fmt: skip
    return titled(
        rules + dots, "Recall by failure mode", "held-out rows, with intervals; pale: too few failures to assess"
    )
