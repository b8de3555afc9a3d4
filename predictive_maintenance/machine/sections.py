"""Models of the sections of a description other than columns: features, operating limits, group, examples, texts."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from ..strict_model import StrictModel
from .columns import Headers
from .names import Name, Text, Unit

Side = Literal["minimum", "maximum"]
Bound = Annotated[
    Annotated[float, Tag("[number]")] | Annotated[Mapping[str, float], Tag("[by value]")],
    Discriminator(lambda value: "[by value]" if isinstance(value, Mapping) else "[number]"),
]
"""A number, or a number for each value of a category."""


class Feature(StrictModel):
    """A number computed from sensors and other features."""

    label: Text
    unit: Unit = ""
    formula: Annotated[
        str, Field(description="Arithmetic: + - * / **, min, max, abs, sqrt, log, exp, numbers, pi, names.")
    ]
    decimals: Annotated[int | None, Field(ge=0, le=12, description="Decimals to round to. Default: not rounded.")] = (
        None
    )


class OperatingLimit(StrictModel):
    """The allowed values of a sensor or a feature. With both bounds it is two limits with the same action."""

    name: Name
    label: Text
    measure: Annotated[str, Field(description="The sensor or feature that is limited.")]
    minimum: Bound | None = None
    maximum: Bound | None = None
    by: Annotated[str | None, Field(description="The category whose values the bounds are given for.")] = None
    when: Annotated[str | None, Field(description="Condition under which the limit applies: speed_rpm < 1380.")] = None
    exclusive: Annotated[bool, Field(description="Whether the bound itself exceeds the limit.")] = False
    allowed: Annotated[Text | None, Field(description="The allowed values as text. Default: made from the bound.")] = (
        None
    )
    action: Annotated[Text, Field(description="How to return within the limit.")]

    def bounds(self) -> Iterator[tuple[Side, float | Mapping[str, float]]]:
        """The bounds that are given, with their sides."""
        if self.minimum is not None:
            yield "minimum", self.minimum
        if self.maximum is not None:
            yield "maximum", self.maximum


class GroupColumn(StrictModel):
    """Readings of one group are on one side of a split: those with the same value of `column`, or between two falls."""

    falls: Annotated[
        str | None, Field(description="A sensor: a group ends where it falls, as the wear of a new tool.")
    ] = None
    column: Annotated[Name | None, Field(description="A category, or another column with this canonical name.")] = None
    headers: Headers = ()

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.falls is None) == (self.column is None):
            raise ValueError("exactly one of falls and column is needed")
        if self.falls and self.headers:
            raise ValueError("headers is not allowed with falls: the sensor has headers")
        return self


def _group(word: str) -> str:
    if word not in ("row", "machine"):
        raise ValueError(f"{word!r} is not a group: write row, machine, {{falls: SENSOR}} or {{column: NAME}}")
    return word


Group = Annotated[
    Annotated[str, AfterValidator(_group), WithJsonSchema({"enum": ["row", "machine"]}), Tag("[word]")]
    | Annotated[GroupColumn, Tag("[column]")],
    Discriminator(lambda value: "[column]" if isinstance(value, Mapping | GroupColumn) else "[word]"),
]


class Example(StrictModel):
    """A reading for the API's document and the dashboard's form."""

    label: Text
    reading: Mapping[str, str | float]


class Texts(StrictModel):
    """Texts for people."""

    title: Annotated[Text | None, Field(description="Default: the name.")] = None
    summary: Annotated[Text | None, Field(description="One sentence about the machine and its data.")] = None
    group: Annotated[Text, Field(description="What a group is called, such as tool life.")] = "group"
    groups: Annotated[Text, Field(description="The plural of `group`.")] = "groups"
