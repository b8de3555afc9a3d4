"""The section `history` of a description: windows over a machine's earlier readings, and the features made from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal

from pydantic import Field

from ..strict_model import StrictModel
from .columns import Sensor, TimeColumn
from .spans import Span, SpanText, parse_span

Statistic = Literal["mean", "std", "min", "max", "range", "slope", "change", "last_difference", "missing_share"]

_STATISTIC_LABELS: Mapping[Statistic, str] = {
    "mean": "mean", "std": "standard deviation", "min": "minimum", "max": "maximum", "range": "range", "slope": "slope",
    "change": "change", "last_difference": "last difference", "missing_share": "missing share",
}  # fmt: skip


class History(StrictModel):
    """Which statistics of a machine's recent readings are features, over which windows."""

    windows: Annotated[
        tuple[SpanText, ...],
        Field(
            min_length=1,
            description="Windows that end at a reading, inclusive: 3h, 24h, 7d (with s, min, h or d), a span of the "
            "counter such as 30, or a number of readings such as 5 readings.",
        ),
    ]
    statistics: Annotated[tuple[Statistic, ...], Field(min_length=1)] = ("mean", "std", "min", "max", "slope")
    sensors: Annotated[tuple[str, ...], Field(description="Default: all sensors.")] = ()
    time_since_start: Annotated[
        bool, Field(description="Whether the counter is a feature, such as the cycles since the machine was new.")
    ] = False


@dataclass(frozen=True)
class WindowFeature:
    """One statistic of one sensor over one window."""

    name: str
    label: str
    unit: str
    sensor: str
    statistic: Statistic
    span: Span


def window_features(history: History, sensors: Mapping[str, Sensor], time: TimeColumn) -> Iterator[WindowFeature]:
    """The features of a history, in order: by sensor, then by window, then by statistic."""
    spans = [parse_span(text, time) for text in history.windows]
    per = "h" if time.kind == "timestamp" else time.unit
    for name, span, statistic in product(history.sensors or sensors, spans, history.statistics):
        sensor = sensors[name]
        unit = {"slope": f"{sensor.unit or 1}/{per}", "missing_share": ""}.get(statistic, sensor.unit)
        yield WindowFeature(
            name=f"{name}_{statistic}_{span.name}",
            label=f"{sensor.label}, {_STATISTIC_LABELS[statistic]} of {span.text}",
            unit=unit,
            sensor=name,
            statistic=statistic,
            span=span,
        )
