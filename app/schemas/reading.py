"""What the API accepts as readings of a machine, made from the description of the version that it serves."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, NotRequired

import msgspec
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from predictive_maintenance.machine.columns import Category, Sensor
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import READING_ID

_MAX_TEXT_CHARACTERS = 200

Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=_MAX_TEXT_CHARACTERS), msgspec.Meta(max_length=_MAX_TEXT_CHARACTERS)]


class ReadingSchema:
    """The readings of `machine`: as one JSON object, and as an object of columns. Immutable and thread-safe.

    `names` are the fields in order; `reading` validates one reading, `columns` a JSON object of columns. Both are typed
    dicts: validation takes half of the time of a model. Ranges are in the OpenAPI document only, because routes report a
    value outside its range together with the range.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.names = (READING_ID, *machine.input_names)
        self.type = _typed_dict("Reading", _fields(machine))
        self.reading: TypeAdapter[dict[str, Any]] = TypeAdapter(self.type)

    @cached_property
    def columns(self) -> TypeAdapter[dict[str, list[Any]]]:
        """Readings as columns of equal length."""
        return TypeAdapter(_typed_dict("Readings", _column_fields(self.machine)))

    @cached_property
    def examples(self) -> Mapping[str, tuple[str, dict[str, Any]]]:
        """The label and the reading of each example in the description, by name."""
        numbers = set(self.machine.sensor_names)
        return {
            name: (
                example.label,
                {key: float(value) if key in numbers else value for key, value in example.reading.items()},
            )
            for name, example in self.machine.description.examples.items()
        }

    @property
    def example(self) -> dict[str, Any]:
        """The first example; without one, a reading with the middle of each range."""
        for _, reading in self.examples.values():
            return dict(reading)
        description = self.machine.description
        return {name: category.values[0] for name, category in description.categories.items()} | {
            name: round((low + high) / 2, self.machine.decimals(name) or 0)
            for name, (low, high) in self.machine.ranges.items()
            if name in self.machine.required_sensor_names
        }


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    made = TypedDict(name, fields)  # type: ignore[misc]  # the fields are known at run time only
    return with_config(ConfigDict(extra="forbid", strict=True))(made)


def _fields(machine: Machine) -> dict[str, Any]:
    description = machine.description
    reading_id = Annotated[Text | None, Field(description="Your id of the reading, returned with the answer.")]
    fields: dict[str, Any] = {READING_ID: NotRequired[reading_id]}
    for name, category in description.categories.items():
        fields[name] = Annotated[_value_type(category), Field(description=_described(category))]
    for name, sensor in description.sensors.items():
        low, high = sensor.range
        shown = Field(description=_described(sensor), json_schema_extra={"minimum": low, "maximum": high})
        fields[name] = Annotated[Number, shown] if sensor.required else NotRequired[Annotated[Number | None, shown]]
    return fields


def _column_fields(machine: Machine) -> dict[str, Any]:
    description = machine.description
    fields: dict[str, Any] = {READING_ID: NotRequired[list[Text | None]]}
    for name, category in description.categories.items():
        value: Any = _value_type(category)
        fields[name] = list[value]
    for name, sensor in description.sensors.items():
        low, high = sensor.range
        number = Annotated[Number, Field(json_schema_extra={"minimum": low, "maximum": high})]
        fields[name] = list[number] if sensor.required else NotRequired[list[number | None]]
    return fields


def _value_type(category: Category) -> Any:
    return Literal[category.values] if category.unseen == "reject" else Text


def _described(column: Category | Sensor) -> str:
    if column.description:
        return column.description
    unit = f" in {column.unit}" if isinstance(column, Sensor) and column.unit else ""
    return f"{column.label}{unit}."
