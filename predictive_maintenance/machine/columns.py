"""Models of the columns in a description: identification, time, categories, sensors, label and failure modes."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..strict_model import StrictModel
from .names import Name, Text, Unit

Headers = tuple[Text, ...]
"""A column's names in files, compared without case, spaces, punctuation and unit."""
SourceTable = Annotated[
    Name | None,
    Field(
        description="The table of machine attributes, such as machines, that has this column. It is joined to the readings by "
        "machine. Default: the readings have it."
    ),
]


class IdColumn(StrictModel):
    """Your id of a reading, canonical name `reading_id`."""

    label: Text = "Reading"
    headers: Headers = ()


class MachineColumn(StrictModel):
    """The machine that a reading is from, canonical name `machine_id`."""

    label: Text = "Machine"
    headers: Headers = ()


class TimeColumn(StrictModel):
    """The time of a reading: a timestamp, or a counter such as cycles or operating hours."""

    kind: Literal["timestamp", "counter"]
    label: Text = "Time"
    unit: Annotated[Unit, Field(description="Unit of the counter, such as h.")] = ""
    headers: Headers = ()

    @model_validator(mode="after")
    def _unit_of_a_counter(self) -> Self:
        if self.kind == "counter" and not self.unit:
            raise ValueError("unit is missing: a counter has one, for example h, or a unit listed in units")
        if self.kind == "timestamp" and self.unit:
            raise ValueError("unit is not allowed: a timestamp has none")
        return self


class Category(StrictModel):
    """A column with one of several values. A model gets the position of the value as a number."""

    label: Text
    values: Annotated[tuple[Text, ...], Field(min_length=2, max_length=1000)]
    ordered: Annotated[bool, Field(description="Whether `values` are in ascending order.")] = False
    unseen: Annotated[
        Literal["reject", "other"],
        Field(description="What happens to another value: the row is rejected, or the value counts as `other`."),
    ] = "reject"
    from_table: SourceTable = None
    headers: Headers = ()
    description: Annotated[Text | None, Field(description="Explanation for the API and the dashboard.")] = None

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        if repeated := [value for place, value in enumerate(self.values) if value in self.values[:place]]:
            raise ValueError(f"values: {repeated[0]!r} is listed twice")
        if self.unseen == "other" and OTHER in self.values:
            raise ValueError(f"values: {OTHER!r} stands for the values that are not listed: remove it")
        return self

    @property
    def known_values(self) -> tuple[str, ...]:
        """The values that have a code, in order: the position is the code."""
        return (*self.values, OTHER) if self.unseen == "other" else self.values


OTHER = "other"
"""The value of a category that stands for all values that are not listed."""


class Sensor(StrictModel):
    """A measured number."""

    label: Text
    unit: Annotated[Unit, Field(description="Canonical unit, such as K or mm/s; none for a ratio or a count.")] = ""
    range: Annotated[
        tuple[float, float],
        Field(description="Lowest and highest physically possible value. Other values are rejected."),
    ]
    resolution: Annotated[
        float | None,
        Field(gt=0, description="Smallest difference that matters. Default: a thousandth of the range or less."),
    ] = None
    step: Annotated[float | None, Field(gt=0, description="Step of form fields. Default: the resolution.")] = None
    required: Annotated[bool, Field(description="Whether every reading must have a value.")] = True
    from_table: SourceTable = None
    headers: Headers = ()
    description: Annotated[Text | None, Field(description="Explanation for the API and the dashboard.")] = None

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        low, high = self.range
        if not low < high:
            raise ValueError(f"range: {low:g} is not below {high:g}")
        if self.resolution and self.resolution > high - low:
            raise ValueError(f"resolution: {self.resolution:g} is larger than the range {low:g} to {high:g}")
        return self

    @property
    def smallest_difference(self) -> float:
        """The resolution: by default a thousandth of the range, rounded down to a power of ten."""
        low, high = self.range
        return self.resolution or float(f"1e{math.floor(math.log10((high - low) / 1000))}")
