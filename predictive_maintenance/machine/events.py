"""The section `events` of a description: tables of what happened to machines, such as errors, maintenance and failures."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from ..strict_model import StrictModel
from .columns import Headers
from .names import Text

EVENT_TYPE = "type"
"""The canonical name of the column with the type of an event."""


class EventType(StrictModel):
    """The column that says what kind of event it was, canonical name `type`."""

    label: Text = "Type"
    values: Annotated[tuple[Text, ...], Field(min_length=1, max_length=1000)]
    headers: Headers = ()

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        if repeated := [value for place, value in enumerate(self.values) if value in self.values[:place]]:
            raise ValueError(f"values: {repeated[0]!r} is listed twice")
        return self


class EventTable(StrictModel):
    """A table with one row an event: its machine, its time and, if there are several kinds of event, its type.

    The headers of machine and time are those of the readings, and further ones of this table.
    """

    label: Text
    machine_headers: Headers = ()
    time_headers: Headers = ()
    type: EventType | None = None

    @property
    def types(self) -> tuple[str, ...]:
        """The types of events; () if they are not distinguished."""
        return self.type.values if self.type else ()
