"""The description of a kind of machine: what machines/NAME/machine.yaml contains."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from ..strict_model import LocatedValueError, StrictModel
from .columns import Category, Headers, IdColumn, Label, MachineColumn, Sensor, TimeColumn
from .names import ModelName, Name, Text, Unit

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


Group = Annotated[
    Annotated[Literal["row", "machine"], Tag("[word]")] | Annotated[GroupColumn, Tag("[column]")],
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


class MachineDescription(StrictModel):
    """One kind of machine: its columns, features, operating limits, label, groups and examples."""

    name: Text
    model_name: Annotated[ModelName, Field(description="Name of the registered model.")]
    id: IdColumn | None = None
    machine: MachineColumn | None = None
    time: TimeColumn | None = None
    units: Annotated[tuple[Unit, ...], Field(description="Units that are not physical, such as part or stroke.")] = ()
    categories: Mapping[Name, Category] = {}
    sensors: Annotated[Mapping[Name, Sensor], Field(min_length=1)]
    features: Mapping[Name, Feature] = {}
    operating_limits: tuple[OperatingLimit, ...] = ()
    label: Label
    group: Annotated[Group, Field(description="What must not be on both sides of a split.")] = "row"
    examples: Mapping[Name, Example] = {}
    texts: Texts = Texts()

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        from .checks import contradictions  # checks.py imports this module

        if found := list(contradictions(self)):
            raise LocatedValueError(found)
        return self

    def plain(self) -> dict[str, Any]:
        """The description as JSON values, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)
