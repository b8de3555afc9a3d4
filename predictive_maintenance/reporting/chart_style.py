"""Colours and sizes of all charts, and their image files."""

from collections.abc import Mapping
from pathlib import Path

import altair as alt

# Okabe and Ito's palette, distinguishable for people with colour vision deficiency.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#999999"

WIDTH, HEIGHT = 460, 280


def titled(chart: alt.Chart | alt.LayerChart, title: str, subtitle: str) -> alt.Chart:
    """`chart` in the standard size with a title and a subtitle."""
    return chart.properties(width=WIDTH, height=HEIGHT, title=alt.TitleParams(title, subtitle=subtitle, anchor="start"))


def save_png(charts: Mapping[str, alt.Chart], folder: Path) -> None:
    """Write each chart to `folder` as a PNG file with its name."""
    for name, chart in charts.items():
        chart.save(folder / f"{name}.png", scale_factor=2)
