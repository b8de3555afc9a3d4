"""Altair charts of one machine over time. No Streamlit.

Each chart is one subject over the same time axis; the charts stand below each other, with plots of the same width.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from dashboard.components.charts import BLUE, GREY, ORANGE, VERMILION
from dashboard.formatting import label_with_unit, percent
from dashboard.machine_history import ALARM, Timeline
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.unit_text import unit_text

_LABEL_WIDTH = 86
"""Pixels of the labels beside each plot, so that the plots begin at the same place."""
_RISK_HEIGHT, _SENSOR_HEIGHT, _ROW_HEIGHT, _AROUND_HEIGHT = 250, 180, 26, 80
"""Pixels. The first two include the title and the axis, which take the last one."""
_AXIS_TITLE_HEIGHT = 28
_FEW_POINTS = 80
_WINDOW_COLOUR = "#009E73"
_TIME_FORMATS = {
    **dict.fromkeys(("milliseconds", "seconds"), "%H:%M:%S"),
    **dict.fromkeys(("minutes", "hours"), "%H:%M"),
    **dict.fromkeys(("day", "date", "week", "month", "quarter"), "%b %d"),
    "year": "%Y",
}
_SHAPES = ("circle", "triangle-up", "diamond", "triangle-down", "cross")
_COLOURS = (BLUE, "#009E73", "#CC79A7", "#56B4E9", GREY)


def risk(found: Timeline, threshold: float, machine: Machine) -> alt.LayerChart:
    """Failure probability over time with the decision threshold, alarms as bands and failures as lines."""
    points = found.readings[["time", "when", "probability"]].dropna()
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=_value_axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    line = _line(points.rename(columns={"probability": "value"}), y, "Failure probability", ".1%", machine)
    limit = alt.Chart(pd.DataFrame({"value": [threshold]})).mark_rule(strokeDash=[4, 4], color=GREY, strokeWidth=2)
    return _on_axis(
        [*_background(found, machine), limit.encode(y=y), line],
        f"Failure probability; threshold {percent(threshold)}",
        _RISK_HEIGHT,
        found,
        machine,
    )


def sensor(
    found: Timeline, name: str, machine: Machine, window: pd.Series | None = None, window_text: str = ""
) -> alt.LayerChart:
    """The values of a sensor over time, with alarms as bands and failures as lines; `window` is a statistic at each reading."""
    column = machine.columns[name]
    title = label_with_unit(column.label, column.unit)
    points = found.readings[["time", "when", name]].rename(columns={name: "value"})
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=_value_axis(tickCount=4, format=",.6~g"))
    layers = [*_background(found, machine), _line(points.dropna(), y, title, ",.6~g", machine)]
    if window is not None:
        earlier = _line(points.assign(value=window).dropna(), y, window_text, ",.6~g", machine, _WINDOW_COLOUR)
        layers.append(earlier)
    return _on_axis(layers, title, _SENSOR_HEIGHT, found, machine)


def marks(found: Timeline, machine: Machine) -> alt.LayerChart:
    """Alarms as bars and events as points, one row for each kind."""
    rows = list(dict.fromkeys(found.marks["row"]))
    y = alt.Y(
        "row:N",
        title=None,
        sort=rows,
        axis=_value_axis(labelFontSize=11, labelLimit=_LABEL_WIDTH - 20, labelOverlap=False),
    )
    own = _styles(found, rows)
    scale = alt.Scale(domain=rows, range=[colour for colour, _ in own])
    shapes = alt.Scale(domain=rows, range=[shape for _, shape in own])
    tips = [
        alt.Tooltip("row:N", title="Table"), alt.Tooltip("what:N", title="What"), alt.Tooltip("when:N", title="When"),
    ]  # fmt: skip
    base = alt.Chart(found.marks).encode(
        x=_x("start", machine), y=y, color=alt.Color("row:N", scale=scale, legend=None), tooltip=tips
    )
    bars = base.transform_filter(alt.datum.kind == ALARM).mark_bar(height=12, cornerRadius=2).encode(x2="end:Q")
    points = base.transform_filter(alt.datum.kind != ALARM).mark_point(filled=True, size=80, opacity=1)
    layers = [bars, points.encode(shape=alt.Shape("row:N", scale=shapes, legend=None))]
    return _on_axis(layers, "Alarms and events", _ROW_HEIGHT * len(rows) + _AROUND_HEIGHT, found, machine)


def _styles(found: Timeline, rows: Sequence[str]) -> list[tuple[str, str]]:
    """Colour and shape of each row: those of alarms and failures as in the other charts, those of other events in turn."""
    fixed = dict.fromkeys(found.failures["row"], (VERMILION, "square")) | dict.fromkeys(
        found.alarms["row"], (ORANGE, "square")
    )
    own = [row for row in rows if row not in fixed]
    return [
        fixed.get(row) or (_COLOURS[own.index(row) % len(_COLOURS)], _SHAPES[own.index(row) % len(_SHAPES)])
        for row in rows
    ]


def _background(found: Timeline, machine: Machine) -> list[alt.Chart]:
    """Alarms and failures behind a line."""
    layers = []
    if len(found.alarms):
        band = alt.Chart(found.alarms).mark_rect(color=ORANGE, opacity=0.25)
        layers.append(band.encode(x=_x("start", machine), x2="end:Q"))
    if len(found.failures):
        rule = alt.Chart(found.failures).mark_rule(color=VERMILION, strokeWidth=2)
        layers.append(rule.encode(x=_x("start", machine)))
    return layers


def _line(
    points: pd.DataFrame, y: alt.Y, title: str, number_format: str, machine: Machine, colour: str = BLUE
) -> alt.Chart:
    tips = [alt.Tooltip("value:Q", title=title, format=number_format), alt.Tooltip("when:N", title="When")]
    few = colour == BLUE and len(points) <= _FEW_POINTS
    mark = {
        "color": colour,
        "strokeWidth": 1.5,
        "strokeDash": [1, 0] if colour == BLUE else [6, 3],
        "point": {"color": colour, "size": 22} if few else False,
    }
    return alt.Chart(points).mark_line(**mark).encode(x=_x("time", machine), y=y, tooltip=tips)


def _on_axis(layers: Sequence[alt.Chart], title: str, height: int, found: Timeline, machine: Machine) -> alt.LayerChart:
    """Layers over the whole time. Invisible marks at its ends extend the axis; domains of layers with bars do not merge."""
    ends = alt.Chart(pd.DataFrame({"time": found.span})).mark_rule(opacity=0).encode(x=_x("time", machine))
    height += _AXIS_TITLE_HEIGHT if machine.time_is_counter else 0
    return alt.layer(ends, *layers).properties(height=height, title=alt.Title(title, anchor="start", fontSize=13))


def _x(name: str, machine: Machine) -> alt.X:
    kind, scale = ("Q", alt.Scale(zero=False)) if machine.time_is_counter else ("T", alt.Scale(type="utc"))
    scale.nice, scale.padding = False, 0  # bars would move the ends of their axis
    formats = {} if machine.time_is_counter else {"format": _TIME_FORMATS}
    axis = alt.Axis(labelOverlap=True, labelFlush=True, tickCount=8, **formats)
    return alt.X(f"{name}:{kind}", title=unit_text(machine.unit(machine.time_name)) or None, scale=scale, axis=axis)


def _value_axis(**options: object) -> alt.Axis:
    return alt.Axis(minExtent=_LABEL_WIDTH, maxExtent=_LABEL_WIDTH, **options)
