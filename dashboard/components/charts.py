"""Altair charts. No Streamlit.

The colours are from the palette of M. Okabe and K. Ito for colour-blind readers. No chart relies on colour alone.
"""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from app.schemas.model import Scores
from app.schemas.prediction import Contribution, Curve
from dashboard.formatting import label_with_unit, number
from predictive_maintenance.evaluation.metrics import METRICS
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.unit_text import unit_text

BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#8A8F98"
COMPARED_METRICS = ("recall", "precision", "f1", "pr_auc")

_INCREASES, _DECREASES = "increases the failure probability", "decreases it"
_OWN, _SELECTED = "model's threshold", "selected threshold"


def contributions(
    shown: Sequence[Contribution], machine: Machine, others: Sequence[Contribution] = ()
) -> alt.LayerChart:
    """Bars of each input's contribution to the failure probability, in percentage points, and of the sum of the others."""
    points = [part.contribution * 100 for part in shown]
    names = [_name_and_value(part, machine) for part in shown]
    if others:
        points.append(sum(part.contribution for part in others) * 100)
        names.append(f"the {len(others)} others together")
    table = pd.DataFrame(
        {
            "sensor": names,
            "points": points,
            "effect": [_INCREASES if point > 0 else _DECREASES for point in points],
            "text": [f"{point:+.1f}" for point in points],
        }
    )
    highest = max(1.0, float(table["points"].abs().max()) * 1.25)
    y = alt.Y("sensor:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))
    scale = alt.Scale(domain=[min(0.0, float(table["points"].min()) * 1.25), highest])
    bars = (
        alt.Chart(table)
        .mark_bar(cornerRadius=2)
        .encode(
            x=alt.X("points:Q", title="percentage points of failure probability", scale=scale),
            y=y,
            color=alt.Color(
                "effect:N",
                title=None,
                scale=alt.Scale(domain=[_INCREASES, _DECREASES], range=[VERMILION, BLUE]),
                legend=alt.Legend(orient="top", labelLimit=260),
            ),
            tooltip=[alt.Tooltip("sensor:N", title="Sensor"), alt.Tooltip("text:N", title="Percentage points")],
        )
    )
    labels = alt.Chart(table).encode(x="points:Q", y=y, text="text:N")
    right = labels.transform_filter("datum.points >= 0").mark_text(align="left", dx=4, color=GREY)
    left = labels.transform_filter("datum.points < 0").mark_text(align="right", dx=-4, color=GREY)
    return (bars + right + left).properties(height=44 * len(table) + 60)


def _name_and_value(part: Contribution, machine: Machine) -> str:
    if part.sensor in machine.event_tables:
        return part.label
    if isinstance(part.value, str):
        return f"{part.label}: {part.value}"
    if part.value is None:
        return f"{part.label}: not measured"
    return f"{part.label}: {number(part.value, machine.decimals(part.sensor))} {unit_text(part.unit)}".strip()


def curve(curve: Curve, threshold: float) -> alt.LayerChart:
    """Failure probability over one sensor's values, with the reading as a point and the decision threshold as a line."""
    table = pd.DataFrame({"value": curve.values, "probability": curve.probabilities})
    nearest = min(range(len(curve.values)), key=lambda index: abs(curve.values[index] - curve.value))
    # Not nice: the last label may be so near to the end of the axis that the edge of the chart would cut it off.
    x = alt.X("value:Q", title=header(curve), scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(labelBound=True))
    y = alt.Y("probability:Q", title="failure probability", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    tips = [
        alt.Tooltip("value:Q", title=header(curve)),
        alt.Tooltip("probability:Q", title="Failure probability", format=".1%"),
    ]
    line = alt.Chart(table).mark_line(interpolate="step-after", color=BLUE).encode(x=x, y=y, tooltip=tips)
    limit = alt.Chart(pd.DataFrame({"probability": [threshold]})).mark_rule(strokeDash=[4, 4], color=VERMILION)
    point = alt.Chart(table.iloc[[nearest]]).mark_point(filled=True, size=90, color=VERMILION, opacity=1)
    return (line + limit.encode(y="probability:Q") + point.encode(x=x, y=y, tooltip=tips)).properties(height=200)


def header(curve: Curve) -> str:
    return label_with_unit(curve.label, curve.unit)


def scores(scores_by_version: Mapping[str, Scores]) -> alt.LayerChart:
    """Metrics on held-out rows with confidence intervals, one row per metric and version."""
    rows = [
        (METRICS[name], version, found.metrics[name].value, found.metrics[name].low, found.metrics[name].high)
        for version, found in scores_by_version.items()
        for name in COMPARED_METRICS
        if name in found.metrics
    ]
    table = pd.DataFrame(rows, columns=["metric", "version", "value", "low", "high"])
    names = list(scores_by_version)
    colour = alt.Color(
        "version:N", title=None, sort=names, scale=alt.Scale(domain=names, range=[BLUE, ORANGE]),
        legend=alt.Legend(orient="top"),
    )  # fmt: skip
    tips = [
        alt.Tooltip("metric:N", title="Metric"),
        alt.Tooltip("version:N", title="Version"),
        *(alt.Tooltip(f"{name}:Q", title=name.capitalize(), format=".3f") for name in ("value", "low", "high")),
    ]
    base = alt.Chart(table).encode(
        y=alt.Y("metric:N", sort=None, title=None),
        yOffset=alt.YOffset("version:N", sort=names),
        color=colour,
        tooltip=tips,
    )
    intervals = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title="on held-out rows, with confidence intervals", scale=alt.Scale(domain=[0, 1])),
        x2="high:Q",
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        x="value:Q", shape=alt.Shape("version:N", sort=names, title=None, legend=None)
    )
    return (intervals + points).properties(height=60 * len(COMPARED_METRICS) * max(1, len(names)) / 2 + 60)


def costs(table: pd.DataFrame, own: float, selected: float, currency: str) -> alt.LayerChart:
    """Cost per 1,000 readings by decision threshold, with the model's own and the selected threshold marked."""
    line = (
        alt.Chart(table)
        .mark_line(interpolate="step-before", color=BLUE)
        .encode(
            x=alt.X(
                "threshold:Q", title="decision threshold", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")
            ),
            y=alt.Y("cost:Q", title=f"{currency} per 1,000 readings", scale=alt.Scale(zero=True)),
            tooltip=[
                alt.Tooltip("threshold:Q", title="Decision threshold", format=".1%"),
                alt.Tooltip("caught:Q", title="Failures caught"),
                alt.Tooltip("missed:Q", title="Failures missed"),
                alt.Tooltip("false_alarms:Q", title="False alarms"),
                alt.Tooltip("cost:Q", title=f"{currency} per 1,000 readings", format=",.0f"),
            ],
        )
    )
    marks = pd.DataFrame({"threshold": [own, selected], "which": [_OWN, _SELECTED]})
    rules = (
        alt.Chart(marks)
        .mark_rule(strokeWidth=2)
        .encode(
            x="threshold:Q",
            strokeDash=alt.StrokeDash("which:N", title=None, legend=None),
            color=alt.Color(
                "which:N",
                title=None,
                scale=alt.Scale(domain=[_OWN, _SELECTED], range=[GREY, VERMILION]),
                legend=alt.Legend(orient="top"),
            ),
        )
    )
    return (line + rules).properties(height=280)
