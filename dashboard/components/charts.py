"""The charts of the pages, as altair charts. No Streamlit here.

Colours are those of M. Okabe and K. Ito that are told apart by the colour-blind; none is the only sign of anything.
"""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from app.schemas.model import Scores
from app.schemas.prediction import Contribution, Curve
from dashboard.formatting import number
from predictive_maintenance.evaluation.metrics import METRICS

BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#8A8F98"
RATES = ("recall", "precision", "f1", "pr_auc")


def contributions(parts: Sequence[Contribution]) -> alt.LayerChart:
    """What each sensor adds to the probability or takes from it, in percentage points."""
    table = pd.DataFrame(
        {
            "sensor": [f"{part.label}: {number(part.value)} {part.unit}" for part in parts],
            "points": [part.contribution * 100 for part in parts],
            "effect": ["raises the risk" if part.contribution > 0 else "lowers the risk" for part in parts],
            "text": [f"{part.contribution * 100:+.1f}" for part in parts],
        }
    )
    reach = max(1.0, float(table["points"].abs().max()) * 1.25)
    place = alt.Y("sensor:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))
    scale = alt.Scale(domain=[min(0.0, float(table["points"].min()) * 1.25), reach])
    bars = (
        alt.Chart(table)
        .mark_bar(cornerRadius=2)
        .encode(
            x=alt.X("points:Q", title="percentage points of failure probability", scale=scale),
            y=place,
            color=alt.Color(
                "effect:N",
                title=None,
                scale=alt.Scale(domain=["raises the risk", "lowers the risk"], range=[VERMILION, BLUE]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[alt.Tooltip("sensor:N", title="Sensor"), alt.Tooltip("text:N", title="Percentage points")],
        )
    )
    beyond = alt.Chart(table).encode(x="points:Q", y=place, text="text:N")
    right = beyond.transform_filter("datum.points >= 0").mark_text(align="left", dx=4, color=GREY)
    left = beyond.transform_filter("datum.points < 0").mark_text(align="right", dx=-4, color=GREY)
    return (bars + right + left).properties(height=44 * len(table) + 60)


def curve(told: Curve, threshold: float) -> alt.LayerChart:
    """The probability over one sensor's values; the point is the reading's own, the line across the threshold."""
    table = pd.DataFrame({"value": told.values, "probability": told.probabilities})
    own = min(range(len(told.values)), key=lambda place: abs(told.values[place] - told.value))
    x = alt.X("value:Q", title=f"{told.label} ({told.unit})", scale=alt.Scale(zero=False, nice=False))
    y = alt.Y("probability:Q", title="failure probability", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    tips = [alt.Tooltip("value:Q", title=told.unit), alt.Tooltip("probability:Q", title="probability", format=".1%")]
    line = alt.Chart(table).mark_line(interpolate="step-after", color=BLUE).encode(x=x, y=y, tooltip=tips)
    limit = alt.Chart(pd.DataFrame({"probability": [threshold]})).mark_rule(strokeDash=[4, 4], color=VERMILION)
    point = alt.Chart(table.iloc[[own]]).mark_point(filled=True, size=90, color=VERMILION, opacity=1)
    return (line + limit.encode(y="probability:Q") + point.encode(x=x, y=y, tooltip=tips)).properties(height=200)


def scores(told: Mapping[str, Scores]) -> alt.LayerChart:
    """Rates with their intervals on held-out rows, side by side by version."""
    lines = [
        (METRICS[name], version, found.metrics[name].value, found.metrics[name].low, found.metrics[name].high)
        for version, found in told.items()
        for name in RATES
        if name in found.metrics
    ]
    table = pd.DataFrame(lines, columns=["metric", "version", "value", "low", "high"])
    names = list(told)
    colour = alt.Color(
        "version:N", title=None, sort=names, scale=alt.Scale(domain=names, range=[BLUE, ORANGE]),
        legend=alt.Legend(orient="top"),
    )  # fmt: skip
    tips = [alt.Tooltip(f"{name}:{kind}", format=form) for name, kind, form in _TIPS]
    base = alt.Chart(table).encode(
        y=alt.Y("metric:N", sort=None, title=None),
        yOffset=alt.YOffset("version:N", sort=names),
        color=colour,
        tooltip=tips,
    )
    spans = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title="on held-out rows, with intervals", scale=alt.Scale(domain=[0, 1])), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        x="value:Q", shape=alt.Shape("version:N", sort=names, title=None, legend=None)
    )
    return (spans + points).properties(height=60 * len(RATES) * max(1, len(names)) / 2 + 60)


_TIPS = (("metric", "N", ""), ("version", "N", ""), ("value", "Q", ".3f"), ("low", "Q", ".3f"), ("high", "Q", ".3f"))


def costs(table: pd.DataFrame, threshold: float, chosen: float, currency: str) -> alt.LayerChart:
    """The cost of 1,000 readings over thresholds; rules at the model's own threshold and at the one looked at."""
    lines = (
        alt.Chart(table)
        .mark_line(interpolate="step-before", color=BLUE)
        .encode(
            x=alt.X("threshold:Q", title="threshold", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            y=alt.Y("cost:Q", title=f"{currency} per 1,000 readings", scale=alt.Scale(zero=True)),
            tooltip=[
                alt.Tooltip("threshold:Q", format=".1%"),
                alt.Tooltip("caught:Q"),
                alt.Tooltip("missed:Q"),
                alt.Tooltip("false_alarms:Q", title="false alarms"),
                alt.Tooltip("cost:Q", format=",.0f"),
            ],
        )
    )
    marks = pd.DataFrame({"threshold": [threshold, chosen], "which": ["the model's own", "looked at"]})
    rules = (
        alt.Chart(marks)
        .mark_rule(strokeWidth=2)
        .encode(
            x="threshold:Q",
            strokeDash=alt.StrokeDash("which:N", title=None, legend=None),
            color=alt.Color(
                "which:N",
                title=None,
                scale=alt.Scale(domain=["the model's own", "looked at"], range=[GREY, VERMILION]),
                legend=alt.Legend(orient="top"),
            ),
        )
    )
    return (lines + rules).properties(height=280)
