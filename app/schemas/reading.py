"""What the API accepts as readings of a machine, made from the description of the version that it serves."""

from collections.abc import Iterable, Mapping
from copy import copy
from functools import cached_property
from typing import Annotated, Any, Literal, NotRequired

import msgspec
from pydantic import ConfigDict, FailFast, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from predictive_maintenance.machine.columns import Category, Sensor
from predictive_maintenance.machine.events import EVENT_TYPE
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP

from .events import EVENTS, event_fields

_MAX_TEXT_CHARACTERS = 200

HISTORY = "history"
"""The field of a single reading with earlier readings of its machine."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=_MAX_TEXT_CHARACTERS), msgspec.Meta(max_length=_MAX_TEXT_CHARACTERS)]


class ReadingSchema:
    """The readings of `machine`: as one JSON object, and as an object of columns. Immutable and thread-safe.

    `names` are the fields of a record in order. `record` validates one of a batch, `columns` a JSON object of columns, and
    `reading` a single reading, which may have the fields `history` and `events` if the machine has them. All are typed dicts:
    validation takes half of the time of a model. Ranges are in the OpenAPI document only, because routes report a
    value outside its range together with the range.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.names = (READING_ID, *machine.history_names, *machine.input_names)
        self.type = _typed_dict("Reading", _fields(machine))
        self.record: TypeAdapter[dict[str, Any]] = TypeAdapter(self.type)
        self.reading, self.reading_names = self.record, self.names
        if machine.needs_history:
            self.reading = TypeAdapter(_typed_dict("Reading", _reading_fields(machine)))
            self.reading_names = (*self.names, HISTORY, *((EVENTS,) if machine.event_tables else ()))

    @property
    def events_example(self) -> dict[str, Any]:
        """An event in each table of the description."""
        place = self._example_place(1)
        return {
            name: [place | ({EVENT_TYPE: table.types[0]} if table.types else {})]
            for name, table in self.machine.description.events.items()
        }

    @cached_property
    def kept_events(self) -> TypeAdapter[dict[str, list[dict[str, Any]]]]:
        """The events of several machines in all tables of the description."""
        return TypeAdapter(_events_type(self.machine, self.machine.description.events, of_one_machine=False))

    @cached_property
    def events(self) -> TypeAdapter[dict[str, list[dict[str, Any]]]]:
        """The events of several machines by table."""
        return TypeAdapter(_events_type(self.machine, self.machine.event_tables, of_one_machine=False))

    @cached_property
    def kept(self) -> "ReadingSchema":
        """The same readings, of which each one has its machine and time, and no history: the store has it."""
        schema = copy(self) if self.machine.needs_history else ReadingSchema(self.machine.kept())
        schema.reading, schema.reading_names = schema.record, schema.names
        return schema

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
                self._example_place(number)
                | {key: float(value) if key in numbers else value for key, value in example.reading.items()},
            )
            for number, (name, example) in enumerate(self.machine.description.examples.items(), start=1)
        }

    @property
    def example(self) -> dict[str, Any]:
        """The first example; without one, a reading with the middle of each range."""
        for _, reading in self.examples.values():
            return dict(reading)
        description = self.machine.description
        return (
            self._example_place(1)
            | {name: category.values[0] for name, category in description.categories.items()}
            | {
                name: round((low + high) / 2, self.machine.decimals(name) or 0)
                for name, (low, high) in self.machine.ranges.items()
                if name in self.machine.required_sensor_names
            }
        )

    def _example_place(self, number: int) -> dict[str, Any]:
        """Machine and time of an example, each example of another machine; {} without history."""
        values: dict[str, Any] = {
            MACHINE_ID: f"machine {number}", TIMESTAMP: "2024-01-31T12:00:00Z", COUNTER: 1.0,
        }  # fmt: skip
        return {name: values[name] for name in self.machine.history_names}


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    made = TypedDict(name, fields)  # type: ignore[misc]  # the fields are known at run time only
    return with_config(ConfigDict(extra="forbid", strict=True))(made)


def _fields(machine: Machine) -> dict[str, Any]:
    description = machine.description
    reading_id = Annotated[Text | None, Field(description="Your id of the reading, returned with the answer.")]
    fields: dict[str, Any] = {READING_ID: NotRequired[reading_id]} | _place_fields(machine)
    for name, category in description.categories.items():
        fields[name] = Annotated[_value_type(category), Field(description=_described(category))]
    for name, sensor in description.sensors.items():
        low, high = sensor.range
        shown = Field(description=_described(sensor), json_schema_extra={"minimum": low, "maximum": high})
        fields[name] = Annotated[Number, shown] if sensor.required else NotRequired[Annotated[Number | None, shown]]
    return fields


def _place_fields(machine: Machine) -> dict[str, Any]:
    """Machine and time of a reading, if features depend on earlier readings."""
    if not machine.needs_history:
        return {}
    name = Annotated[Text, Field(description="The machine. A reading is scored with the earlier ones of its machine.")]
    if machine.time_is_counter:
        time: Any = Annotated[Number, Field(description=f"{machine.labels[COUNTER]} in {machine.unit(COUNTER)}.")]
    else:
        time = Annotated[Text, Field(description="Time of the reading, ISO 8601. Without a zone it is UTC.")]
    return {MACHINE_ID: name, machine.time_name: time}


def _reading_fields(machine: Machine) -> dict[str, Any]:
    """The fields of a single reading of a machine with history.

    Validation of a list ends at its first invalid entry: the errors of all of them would take seconds.
    """
    fields = _fields(machine)
    earlier = fields | {name: NotRequired[fields[name]] for name in (MACHINE_ID, *machine.category_names)}
    if not machine.time_names:
        fields[machine.time_name] = NotRequired[fields[machine.time_name]]
    fields[MACHINE_ID] = NotRequired[fields[MACHINE_ID]]
    described = Field(
        description="Earlier readings of the same machine, in any order, as far back as the longest window. Without them, the "
        "reading is scored as the first one of its machine."
    )
    entry = _typed_dict("EarlierReading", earlier)
    fields[HISTORY] = NotRequired[Annotated[list[entry], FailFast(), described]]  # type: ignore[valid-type]
    if machine.event_tables:
        events = Field(description="Events of the same machine by table. A table that is not given has no events.")
        fields[EVENTS] = NotRequired[
            Annotated[_events_type(machine, machine.event_tables, of_one_machine=True), events]
        ]
    return fields


def _events_type(machine: Machine, names: Iterable[str], *, of_one_machine: bool) -> Any:
    """A typed dict of tables of events."""
    tables = {}
    described = event_fields(machine, names, _place_fields(machine), of_one_machine=of_one_machine)
    for name, (fields, description) in described.items():
        entries: Any = list[_typed_dict(f"Event_{name}", fields)]  # type: ignore[misc]  # known at run time only
        tables[name] = NotRequired[Annotated[entries, FailFast(), Field(description=description)]]
    return _typed_dict("Events", tables)


def _column_fields(machine: Machine) -> dict[str, Any]:
    description = machine.description
    fields: dict[str, Any] = {READING_ID: NotRequired[list[Text | None]]}
    for name, place in _place_fields(machine).items():
        fields[name] = list[place]  # type: ignore[valid-type]  # known at run time only
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
