"""Charts of an evaluation by failure event: lead times, and alarms over time."""

import altair as alt
import numpy as np
import pandas as pd

from ..evaluation.event_evaluation import EventEvaluation
from ..evaluation.failure_events import EventScores
from ..evaluation.timelines import Timeline
from .chart_style import BLUE, GREY, VERMILION, WIDTH, titled

_TIMELINE_HEIGHT = 90
_MOST_POINTS = 500  # of a line: Altair refuses charts of more than 5,000 rows


def event_charts(events: EventEvaluation, threshold: float) -> dict[str, alt.Chart | alt.VConcatChart]:
    """Every chart by its file name without suffix."""
    charts: dict[str, alt.Chart | alt.VConcatChart] = {"lead_times": lead_times(events)}
    if events.timelines:
        charts["alarm_timelines"] = timelines(events, threshold)
    return charts


def lead_times(events: EventEvaluation) -> alt.Chart:
    """The share of failures caught at least so long ahead, by the model and by the naive rules."""
    columns = {"This model": events.held_out} | {rule.label: rule.scores for rule in events.naive}
    table = pd.concat([_caught_by_lead(name, scores) for name, scores in columns.items()])
    colours = [BLUE, *[GREY] * len(events.naive)]
    line = alt.Chart(table).mark_line(interpolate="step-before").encode(
        x=alt.X("lead:Q", title=f"Lead time, {events.rules.lead_unit.label}"),
        y=alt.Y("share:Q", title="Failures caught", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("rule:N", title=None, scale=alt.Scale(domain=list(columns), range=colours)),
        order="lead:Q", tooltip=["rule:N", "lead:Q", "share:Q"],
    )  # fmt: skip
    horizon = pd.DataFrame({"lead": [events.rules.horizon.length / events.rules.lead_unit.length]})
    rule = alt.Chart(horizon).mark_rule(color=GREY, strokeDash=[4, 4]).encode(x="lead:Q")
    return titled(
        line + rule,
        "Failures caught by lead time",
        f"{events.held_out.failures:,} failures of held-out machines; dashed: the horizon",
    )


def timelines(events: EventEvaluation, threshold: float) -> alt.VConcatChart:
    """Risk, alarms and failures of the sampled machines over time."""
    charts = [_timeline(timeline, threshold, events.rules.lead_unit.label) for timeline in events.timelines]
    subtitle = [
        "bars: alarms, blue if true, red if false; red lines: failures, dashed if missed",
        "black line: risk; grey line: threshold",
    ]
    return alt.vconcat(*charts).properties(
        title=alt.TitleParams("Alarms of some held-out machines", subtitle=subtitle, anchor="start")
    )


def _caught_by_lead(name: str, scores: EventScores) -> pd.DataFrame:
    """The share of the failures caught at least so long ahead, at 0 and at each lead time; at some if there are many."""
    leads = np.sort(scores.lead_times)
    counts = np.append(len(leads), np.arange(len(leads), 0, -1))
    table = pd.DataFrame({"rule": name, "lead": np.append(0, leads), "share": counts / max(scores.failures, 1)})
    shown = np.linspace(0, len(table) - 1, min(len(table), _MOST_POINTS)).round().astype(int)
    return table.iloc[shown]


def _timeline(timeline: Timeline, threshold: float, unit: str) -> alt.LayerChart:
    temporal = isinstance(timeline.risk["time"].dtype, pd.DatetimeTZDtype)
    kind, title, scale = ("T", "", alt.Scale(type="utc")) if temporal else ("Q", unit, alt.Scale(zero=False))
    x, begin = (alt.X(f"{name}:{kind}", title=title, scale=scale) for name in ("time", "begin"))
    y = alt.Y("probability:Q", title="Risk", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=3))
    colour = alt.Color("kind:N", legend=None, scale=alt.Scale(domain=["true", "false"], range=[BLUE, VERMILION]))
    dash = alt.StrokeDash("kind:N", legend=None, scale=alt.Scale(domain=["caught", "missed"], range=[[1, 0], [4, 4]]))
    bars = alt.Chart(timeline.alarms).mark_rect(opacity=0.25).encode(x=begin, x2="end", color=colour)
    risk = alt.Chart(timeline.risk).mark_line(color="black", strokeWidth=1).encode(x=x, y=y)
    level = alt.Chart(pd.DataFrame({"probability": [threshold]})).mark_rule(color=GREY).encode(y=y)
    failures = alt.Chart(timeline.failures).mark_rule(color=VERMILION, strokeWidth=2).encode(x=x, strokeDash=dash)
    return alt.layer(bars, level, risk, failures).properties(
        width=WIDTH, height=_TIMELINE_HEIGHT, title=f"Machine {timeline.machine}: {', '.join(timeline.kinds)}"
    )
