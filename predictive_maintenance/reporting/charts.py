"""Charts of a run: small aggregated tables in, Altair charts out, the same for cards and for MLflow's pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from ..evaluation.evaluate import Evaluation
from ..evaluation.metrics import METRICS, GroupRecall, Scores
from ..machine.features import FEATURE_LABELS
from ..machine.sensors import LABEL, LABELS, SENSORS

HEALTHY, FAILED, MUTED = "#0072B2", "#D55E00", "#999999"
"""Okabe and Ito's blue and vermilion, told apart by colour-blind eyes."""

WIDTH, HEIGHT = 460, 280
_MAX_POINTS = 300


def figures(evaluation: Evaluation, currency: str) -> dict[str, alt.Chart]:
    """Every chart of an evaluation, by a name that serves as a file name."""
    charts = {
        "pr_curve": pr_curve(evaluation.thresholds, evaluation.threshold, evaluation.held_out),
        "confusion_matrix": confusion_matrix(evaluation.held_out),
        "calibration": calibration(evaluation.calibration),
        "cost_over_thresholds": cost_over_thresholds(evaluation.thresholds, evaluation.threshold, currency),
        "importances": importances(evaluation.importances),
    }
    if evaluation.modes:
        charts["recall_by_mode"] = recall_by_mode(evaluation.modes)
    return charts


def save_pictures(charts: Mapping[str, alt.Chart], folder: Path) -> None:
    """Each chart as a PNG in `folder`."""
    for name, chart in charts.items():
        chart.save(folder / f"{name}.png", scale_factor=2)


def pr_curve(thresholds: pd.DataFrame, chosen: float, scores: Scores) -> alt.Chart:
    """Precision over recall, a step line ordered by threshold, with the chosen threshold and its interval of recall."""
    x = alt.X("recall:Q", title="Recall", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("precision:Q", title="Precision", scale=alt.Scale(domain=[0, 1]))
    line = alt.Chart(thresholds.tail(_MAX_POINTS)).mark_line(interpolate="step-before", color=HEALTHY)
    recall, precision = scores["recall"], scores["precision"]
    point = pd.DataFrame(
        {"recall": [recall.value], "precision": [precision.value], "low": [recall.low], "high": [recall.high]}
    )
    dot = alt.Chart(point).mark_point(filled=True, size=120, color=FAILED, opacity=1).encode(x=x, y=y)
    interval = alt.Chart(point).mark_rule(color=FAILED, strokeWidth=2).encode(
        x=alt.X("low:Q", title="Recall"), x2="high:Q", y="precision:Q"
    )  # fmt: skip
    layers = (
        line.encode(x=x, y=y, order="threshold:Q", tooltip=["threshold:Q", "recall:Q", "precision:Q"]) + interval + dot
    )
    return _framed(
        layers, "Precision and recall", f"the chosen threshold is {chosen:.3f}; the bar is the interval of its recall"
    )


def confusion_matrix(scores: Scores) -> alt.Chart:
    """Counts of readings by what happened and what was said."""
    counts = scores.confusion
    cells = pd.DataFrame(
        [
            ("failed", "alarm", counts.true_positives, "caught"),
            ("failed", "no alarm", counts.false_negatives, "missed"),
            ("healthy", "alarm", counts.false_positives, "false alarms"),
            ("healthy", "no alarm", counts.true_negatives, "left alone"),
        ],
        columns=["actual", "said", "readings", "kind"],
    )
    cells["text"] = [f"{readings:,} {kind}" for readings, kind in zip(cells["readings"], cells["kind"], strict=True)]
    cells["right"] = cells["kind"].isin(["caught", "left alone"])
    x = alt.X("said:N", title="The model says", axis=alt.Axis(labelAngle=0))
    y = alt.Y("actual:N", title="What happened")
    colour = alt.Color("right:N", scale=alt.Scale(domain=[True, False], range=[HEALTHY, FAILED]), legend=None)
    boxes = alt.Chart(cells).mark_rect(opacity=0.18).encode(x=x, y=y, color=colour)
    text = alt.Chart(cells).mark_text(fontSize=15).encode(x=x, y=y, text="text:N")
    return _framed(boxes + text, "Confusion matrix", f"{scores.rows:,} held-out readings, {scores.failures} failures")


def calibration(bins: pd.DataFrame) -> alt.Chart:
    """Observed share of failures over predicted probability, with Wilson intervals; the diagonal is perfect."""
    x = alt.X("mean_probability:Q", title="Predicted probability", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("observed_share:Q", title="Share that failed", scale=alt.Scale(domain=[0, 1]))
    perfect = pd.DataFrame({"mean_probability": [0.0, 1.0], "observed_share": [0.0, 1.0]})
    diagonal = alt.Chart(perfect).mark_line(color=MUTED, strokeDash=[4, 4]).encode(x=x, y=y)
    bars = (
        alt.Chart(bins).mark_rule(color=HEALTHY).encode(x=x, y=alt.Y("low:Q", title="Share that failed"), y2="high:Q")
    )
    dots = alt.Chart(bins).mark_circle(color=HEALTHY, opacity=1).encode(
        x=x, y=y, size=alt.Size("rows:Q", title="Readings", scale=alt.Scale(type="log", range=[30, 300])),
        tooltip=["rows:Q", "mean_probability:Q", "observed_share:Q"],
    )  # fmt: skip
    return _framed(diagonal + bars + dots, "Calibration", "held-out readings in ten bins")


def cost_over_thresholds(thresholds: pd.DataFrame, chosen: float, currency: str) -> alt.Chart:
    """What 1,000 readings cost at each threshold."""
    line = alt.Chart(thresholds.tail(_MAX_POINTS)).mark_line(interpolate="step-after", color=HEALTHY).encode(
        x=alt.X("threshold:Q", title="Threshold", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("expected_cost:Q", title=f"{currency} for 1,000 readings", axis=alt.Axis(format="~s")),
        tooltip=["threshold:Q", "expected_cost:Q", "recall:Q", "precision:Q"],
    )  # fmt: skip
    rule = (
        alt.Chart(pd.DataFrame({"threshold": [chosen]})).mark_rule(color=FAILED, strokeWidth=2).encode(x="threshold:Q")
    )
    return _framed(line + rule, "Cost over thresholds", f"the chosen threshold is {chosen:.3f}")


def importances(table: pd.DataFrame) -> alt.Chart:
    """PR-AUC lost when a feature is shuffled."""
    named = table.assign(
        label=[(LABELS | FEATURE_LABELS).get(name, name) for name in table["feature"]],
        low=table["pr_auc_loss"] - table["deviation"],
        high=table["pr_auc_loss"] + table["deviation"],
    )
    y = alt.Y("label:N", title=None, sort=list(named["label"]), axis=alt.Axis(labelLimit=220))
    bars = alt.Chart(named).mark_bar(color=HEALTHY).encode(x=alt.X("pr_auc_loss:Q", title="PR-AUC lost"), y=y)
    spread = alt.Chart(named).mark_rule().encode(x=alt.X("low:Q", title="PR-AUC lost"), x2="high:Q", y=y)
    return _framed(bars + spread, "Importances", "each feature shuffled in turn on held-out rows")


def recall_by_mode(modes: Sequence[GroupRecall]) -> alt.Chart:
    """Recall of each failure mode with its interval; pale where too few failures make it unassessable."""
    table = pd.DataFrame(
        {
            "mode": [f"{group.label}: {group.caught} of {group.failures}" for group in modes],
            "recall": [group.recall for group in modes],
            "low": [group.low for group in modes],
            "high": [group.high for group in modes],
            "assessable": [group.assessable for group in modes],
        }
    )
    y = alt.Y("mode:N", title=None, sort=list(table["mode"]), axis=alt.Axis(labelLimit=280))
    opacity = alt.Opacity("assessable:N", scale=alt.Scale(domain=[True, False], range=[1.0, 0.35]), legend=None)
    x = alt.X("recall:Q", title="Recall", scale=alt.Scale(domain=[0, 1]))
    dots = alt.Chart(table).mark_circle(size=120, color=HEALTHY).encode(x=x, y=y, opacity=opacity)
    rules = alt.Chart(table).mark_rule(color=HEALTHY).encode(
        x=alt.X("low:Q", title="Recall", scale=alt.Scale(domain=[0, 1])), x2="high:Q", y=y, opacity=opacity
    )  # fmt: skip
    return _framed(rules + dots, "Recall by failure mode", "with intervals; pale: too few failures to assess")


def candidates(scores: Mapping[str, Scores]) -> alt.Chart:
    """The candidates' out-of-fold metrics side by side, with intervals."""
    table = pd.DataFrame(
        [
            {"candidate": name, "metric": METRICS[metric], "value": e.value, "low": e.low, "high": e.high}
            for name, score in scores.items()
            for metric in ("pr_auc", "f1", "recall", "precision")
            for e in (score[metric],)
        ]
    )
    y = alt.Y("candidate:N", title=None)
    colour = alt.Color("candidate:N", scale=alt.Scale(range=[HEALTHY, FAILED]), legend=None)
    base = alt.Chart().encode(y=y, color=colour)
    dots = base.mark_circle(size=100, opacity=1).encode(x=alt.X("value:Q", title=None, scale=alt.Scale(zero=False)))
    rules = base.mark_rule().encode(x=alt.X("low:Q", title=None, scale=alt.Scale(zero=False)), x2="high:Q")
    chart = alt.layer(rules, dots, data=table).properties(width=WIDTH - 60, height=50)
    order = [METRICS[metric] for metric in ("pr_auc", "f1", "recall", "precision")]
    facets = chart.facet(
        row=alt.Row("metric:N", title=None, sort=order, header=alt.Header(labelAngle=0, labelAlign="left"))
    )
    return facets.properties(title="Candidates on out-of-fold rows").configure_view(stroke=None)


def trials(table: pd.DataFrame) -> alt.Chart:
    """PR-AUC of each completed trial, and the best so far."""
    done = table[table["state"] == "complete"].assign(best=lambda t: t["pr_auc"].cummax())
    x = alt.X("trial:Q", title="Trial", axis=alt.Axis(tickMinStep=1))
    axis = alt.Axis(format=".3f")
    y = alt.Y("pr_auc:Q", title="PR-AUC, mean over folds", scale=alt.Scale(zero=False), axis=axis)
    dots = alt.Chart(done).mark_circle(size=80, color=HEALTHY, opacity=1).encode(x=x, y=y, tooltip=list(table.columns))
    best = alt.Chart(done).mark_line(interpolate="step-after", color=FAILED).encode(
        x=x, y=alt.Y("best:Q", title="PR-AUC, mean over folds", scale=alt.Scale(zero=False), axis=axis)
    )  # fmt: skip
    pruned = int((table["state"] == "pruned").sum())
    return _framed(best + dots, "PR-AUC by trial", f"{len(done)} trials completed, {pruned} pruned")


def distributions(rows: pd.DataFrame, bins: int = 30) -> list[alt.Chart]:
    """A histogram of each sensor, failures apart, as shares of their own kind."""
    failed = rows[LABEL.name].to_numpy().astype(bool)
    charts = []
    for sensor in SENSORS:
        values = rows[sensor.name].to_numpy()
        edges = np.histogram_bin_edges(values, bins)
        lines = []
        for kind, chosen in (("healthy", ~failed), ("failed", failed)):
            counts = np.histogram(values[chosen], edges)[0]
            shares = counts / max(counts.sum(), 1)
            lines += [(kind, low, high, share) for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True)]
        table = pd.DataFrame(lines, columns=["kind", "low", "high", "share"])
        colour = alt.Color("kind:N", title=None, scale=alt.Scale(domain=["healthy", "failed"], range=[HEALTHY, FAILED]))
        chart = alt.Chart(table).mark_bar(opacity=0.5).encode(
            x=alt.X("low:Q", bin="binned", title=f"{sensor.label} [{sensor.unit}]", scale=alt.Scale(zero=False)),
            x2="high:Q", y=alt.Y("share:Q", stack=None, title="Share", axis=alt.Axis(format="%")), color=colour,
        )  # fmt: skip
        charts.append(chart.properties(width=WIDTH - 80, height=140))
    return charts


def _framed(chart: alt.Chart | alt.LayerChart, title: str, subtitle: str) -> alt.Chart:
    return chart.properties(width=WIDTH, height=HEIGHT, title=alt.TitleParams(title, subtitle=subtitle, anchor="start"))
