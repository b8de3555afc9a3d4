"""Stretches of time or of readings, such as 24h, 30 cycles or 5 readings: windows and horizons."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from .names import Text

if TYPE_CHECKING:
    from .columns import TimeColumn

_MICROSECONDS: Mapping[str, float] = {"s": 1e6, "min": 60e6, "h": 3_600e6, "d": 86_400e6}
SLOPE_UNIT_US = _MICROSECONDS["h"]
"""Slopes of machines with timestamps are per hour, those with a counter per unit of the counter."""

READINGS = "readings"


def _number_as_text(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


SpanText = Annotated[
    Text,
    BeforeValidator(_number_as_text),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]}),
]
"""A span as it is written in a description: text, or a number of the counter's unit."""


@dataclass(frozen=True)
class Span:
    """A difference of times, `length` (microseconds, or the counter's unit), or else a number of `readings`.

    `text` is for people; `name` is a part of the names of features.
    """

    text: str
    name: str
    length: float = 0.0
    readings: int | None = None


def parse_span(text: str, time: "TimeColumn") -> Span:
    """Parse a span such as 24h, 30 or 5 readings. Raises ValueError with valid examples."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(.*)", text.strip())
    number, unit = (float(found[1]), found[2]) if found else (0.0, "")
    if unit in (READINGS, "reading") and number.is_integer() and number >= 1:
        plural = "reading" if number == 1 else READINGS
        return Span(f"{number:g} {plural}", f"{number:g}{plural}", readings=int(number))
    try:
        return parse_duration(text, time)
    except ValueError as error:
        raise ValueError(f"{error}, or 5 readings") from None


def parse_duration(text: str, time: "TimeColumn") -> Span:
    """Parse a difference of times such as 24h, or 30 of a counter. Raises ValueError with valid examples."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(.*)", text.strip())
    number, unit = (float(found[1]), found[2]) if found else (0.0, "")
    scales = _MICROSECONDS if time.kind == "timestamp" else {time.unit: 1.0, "": 1.0}
    if number <= 0 or unit not in scales:
        examples = "24h, 7d, 30min" if time.kind == "timestamp" else f"30, or 30 {time.unit}"
        raise ValueError(f"{text!r} is not a span of time: write {examples}")
    unit = unit or time.unit
    name = re.sub(r"[^a-z0-9]", "", unit.lower())
    return Span(f"{number:g} {unit}", f"{number:g}{name}".replace(".", "_"), length=number * scales.get(unit, 1.0))


def parse_lead(text: str, time: "TimeColumn") -> Span:
    """Parse a difference of times that may be 0. Raises ValueError with valid examples."""
    return Span("0", "0") if re.fullmatch(r"0+(\.0+)?", text.strip()) else parse_duration(text, time)
