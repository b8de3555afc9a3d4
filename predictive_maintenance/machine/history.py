"""The section `history` of a description: windows over a machine's earlier readings and events, and the features from them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..strict_model import StrictModel
from .columns import Sensor, TimeColumn
from .events import EventTable
from .names import Name
from .spans import Span, SpanText, parse_duration, parse_span

Statistic = Literal["mean", "std", "min", "max", "range", "slope", "change", "last_difference", "missing_share"]

_STATISTIC_LABELS: Mapping[Statistic, str] = {
    "mean": "mean", "std": "standard deviation", "min": "minimum", "max": "maximum", "range": "range", "slope": "slope",
    "change": "change", "last_difference": "last difference", "missing_share": "missing share",
}  # fmt: skip


class EventHistory(StrictModel):
    """Which features are made from the events of one table."""

    count_over: Annotated[
        tuple[SpanText, ...], Field(description="Spans of time before a reading: the number of events is a feature.")
    ] = ()
    time_since_last: Annotated[
        bool, Field(description="Whether the time since the last event before a reading is a feature.")
    ] = False
    by_type: Annotated[bool, Field(description="Whether each type of event has features of its own.")] = False

    @model_validator(mode="after")
    def _has_a_feature(self) -> Self:
        if not self.count_over and not self.time_since_last:
            raise ValueError("nothing is computed from these events: add count_over or time_since_last: true")
        return self


class History(StrictModel):
    """Which statistics of a machine's recent readings and events are features, over which windows."""

    windows: Annotated[
        tuple[SpanText, ...],
        Field(
            description="Windows that end at a reading, inclusive: 3h, 24h, 7d (with s, min, h or d), a span of the "
            "counter such as 30, or a number of readings such as 5 readings.",
        ),
    ] = ()
    statistics: Annotated[tuple[Statistic, ...], Field(min_length=1)] = ("mean", "std", "min", "max", "slope")
    sensors: Annotated[tuple[str, ...], Field(description="Default: all sensors of the readings.")] = ()
    time_since_start: Annotated[
        bool, Field(description="Whether the counter is a feature, such as the cycles since the machine was new.")
    ] = False
    events: Annotated[
        Mapping[Name, EventHistory], Field(description="Features from the tables in the section events, by table.")
    ] = {}
    same_instant: Annotated[
        bool,
        Field(description="Whether an event at the time of a reading is before it. Default: only earlier ones are."),
    ] = False

    @model_validator(mode="after")
    def _has_a_feature(self) -> Self:
        if not self.windows and not self.events and not self.time_since_start:
            raise ValueError("nothing is computed from the history: add windows or events")
        return self


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
    measured = [name for name, sensor in sensors.items() if not sensor.from_table]
    for name, span, statistic in product(history.sensors or measured, spans, history.statistics):
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


@dataclass(frozen=True, kw_only=True)
class EventFeature:
    """The number of events of a table in the `span` before a reading or, without a span, the time since the last one.

    `type` is the type of events that count; None: all of them. A time is in hours, or in the unit of the counter.
    """

    name: str
    label: str
    unit: str
    table: str
    type: str | None
    span: Span | None


def event_features(history: History, tables: Mapping[str, EventTable], time: TimeColumn) -> Iterator[EventFeature]:
    """The features of events, in order: by table, by type, then the counts by span, then the time since the last one."""
    hours = "h" if time.kind == "timestamp" else time.unit
    for name, rule in history.events.items():
        table = tables[name]
        for kind in table.types if rule.by_type else (None,):
            prefix = name if kind is None else f"{name}_{name_part(kind)}"
            label = table.label if kind is None else f"{table.label}, {kind}"
            for span in (parse_duration(text, time) for text in rule.count_over):
                yield EventFeature(
                    name=f"{prefix}_count_{span.name}", label=f"{label}, count of {span.text}", unit="",
                    table=name, type=kind, span=span,
                )  # fmt: skip
            if rule.time_since_last:
                yield EventFeature(
                    name=f"{prefix}_time_since_last", label=f"{label}, time since the last one", unit=hours,
                    table=name, type=kind, span=None,
                )  # fmt: skip


def name_part(value: str) -> str:
    """A type of event as a part of the names of features: small letters, digits and _."""
    return re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")
