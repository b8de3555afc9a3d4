"""The section `history` of a description: windows over a machine's earlier readings, and the features made from them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from ..strict_model import StrictModel
from .columns import Sensor, TimeColumn
from .names import Text

Statistic = Literal["mean", "std", "min", "max", "range", "slope", "change", "last_difference", "missing_share"]

_STATISTIC_LABELS: Mapping[Statistic, str] = {
    "mean": "mean", "std": "standard deviation", "min": "minimum", "max": "maximum", "range": "range", "slope": "slope",
    "change": "change", "last_difference": "last difference", "missing_share": "missing share",
}  # fmt: skip
_MICROSECONDS = {"s": 1e6, "min": 60e6, "h": 3_600e6, "d": 86_400e6}
READINGS = "readings"
SLOPE_UNIT_US = _MICROSECONDS["h"]
"""Slopes of machines with timestamps are per hour, those with a counter per unit of the counter."""


def _number_as_text(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


Window = Annotated[
    Text,
    BeforeValidator(_number_as_text),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]}),
]


class History(StrictModel):
    """Which statistics of a machine's recent readings are features, over which windows."""

    windows: Annotated[
        tuple[Window, ...],
        Field(
            min_length=1,
            description="Windows that end at a reading, inclusive: 3h, 24h, 7d (with s, min, h or d), a span of the "
            "counter such as 30, or a number of readings such as 5 readings.",
        ),
    ]
    statistics: Annotated[tuple[Statistic, ...], Field(min_length=1)] = ("mean", "std", "min", "max", "slope")
    sensors: Annotated[tuple[str, ...], Field(description="Default: all sensors.")] = ()


@dataclass(frozen=True)
class Span:
    """The length of a window: a difference of times (microseconds, or the counter's unit), or a number of readings.

    `text` is for people; `name` is a part of the names of features.
    """

    text: str
    name: str
    length: float | None = None
    readings: int | None = None


@dataclass(frozen=True)
class WindowFeature:
    """One statistic of one sensor over one window."""

    name: str
    label: str
    unit: str
    sensor: str
    statistic: Statistic
    span: Span


def parse_span(text: str, time: TimeColumn) -> Span:
    """Parse a window such as 24h, 30 or 5 readings. Raises ValueError with valid examples."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(.*)", text.strip())
    number, unit = (float(found[1]), found[2]) if found else (0.0, "")
    if unit in (READINGS, "reading") and number.is_integer() and number >= 1:
        plural = "reading" if number == 1 else READINGS
        return Span(f"{number:g} {plural}", f"{number:g}{plural}", readings=int(number))
    scales = _MICROSECONDS if time.kind == "timestamp" else {time.unit: 1.0, "": 1.0}
    if number <= 0 or unit not in scales:
        examples = "24h, 7d, 30min" if time.kind == "timestamp" else f"30, or 30 {time.unit}"
        raise ValueError(f"{text!r} is not a window: write {examples}, or 5 readings")
    unit = unit or time.unit
    name = re.sub(r"[^a-z0-9]", "", unit.lower())
    return Span(f"{number:g} {unit}", f"{number:g}{name}".replace(".", "_"), length=number * scales.get(unit, 1.0))


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
