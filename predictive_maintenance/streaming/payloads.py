"""The readings and events in a message, as the service accepts them."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import pydantic_core

from ..config.sources import READINGS
from ..errors import ConfigError, DataError, PredictiveMaintenanceError
from ..machine.events import EVENT_TYPE
from ..machine.header_matching import Column, HeaderMatch, describe_missing, match_headers
from ..machine.machine import Machine
from ..machine.names import MACHINE_ID, READING_ID, TIMESTAMP
from ..validation.epochs import time_of_number
from .expressions import PayloadExpression
from .source import Message
from .topics import Topic

_KNOWN_PAYLOADS = 256
"""How many different lists of headers are remembered with what they match."""

MachineAttributes = Mapping[str, Mapping[str, Any]]
"""Inputs that belong to a machine, such as its age, by machine and name, as far as they have a value."""


SHOWN_REASONS = 3
"""Why rows of a message are rejected is stated of so many of them: a list may have millions."""


class MessageRows(NamedTuple):
    """The rows of a message by their number in it, with canonical names and units.

    `reasons` has why others cannot be read, by their number, of the first SHOWN_REASONS; `unreadable` counts all of these.
    """

    table: str
    rows: dict[int, dict[str, Any]]
    reasons: dict[int, str]
    unreadable: int


class MessageReader:
    """Reads messages of `topics`. `aliases` are further headers of columns by canonical name.

    `attributes` are inputs for payloads that do not have them. `expressions` make the rows of a table from its payloads.
    `use_arrival`: a row without a time has the time of arrival of its message, unless that is retained. Raises ConfigError if the
    machine has no machine or time, or if its time is a counter and `use_arrival` is set.
    """

    def __init__(
        self,
        machine: Machine,
        topics: Sequence[Topic],
        aliases: Mapping[str, Sequence[str]],
        *,
        attributes: MachineAttributes = MappingProxyType({}),
        expressions: Mapping[str, PayloadExpression] = MappingProxyType({}),
        use_arrival: bool = False,
    ) -> None:
        name = machine.description.name
        if not machine.can_be_kept:
            raise ConfigError(f"the description of the {name} has no machine or no time, so that no readings are kept")
        if use_arrival and machine.time_is_counter:
            raise ConfigError(f"the time of the {name} is a counter: leave out --arrival-time")
        self._machine, self._topics, self._use_arrival = machine, topics, use_arrival
        self._aliases, self._attributes, self._expressions = aliases, attributes, expressions
        wanted = (READING_ID, MACHINE_ID, machine.time_name, *machine.input_names)
        readings = {name: column for name, column in machine.columns.items() if name in wanted}
        self._columns: dict[str, Mapping[str, Column]] = {READINGS: readings}
        self._columns |= {table: machine.event_columns(table) for table in machine.description.events}
        optional = {READING_ID, *machine.optional_sensor_names}
        self._required = {table: [name for name in own if name not in optional] for table, own in self._columns.items()}
        self._texts = {READING_ID, MACHINE_ID, EVENT_TYPE, *machine.category_names}
        self._match = lru_cache(_KNOWN_PAYLOADS)(self._match_headers)
        self._describe_missing = lru_cache(_KNOWN_PAYLOADS)(self._missing_reason)

    def read(self, message: Message) -> MessageRows:
        """The rows of a message. Raises DataError if it has none.

        Most values are not checked: the service does that.
        """
        for topic in self._topics:
            if (fields := topic.values(message.topic)) is not None:
                return self._rows(topic.table, fields, message)
        raise DataError(
            "no --topic matches: the broker still has a subscription of an earlier start with this --client-id"
        )

    def _rows(self, table: str, fields: Mapping[str, str], message: Message) -> MessageRows:
        payload, expression = _json(message), self._expressions.get(table)
        if not expression and not isinstance(payload, dict | list):
            raise DataError("the payload must be a JSON object of named values, or a list of them")
        rows, reasons, unreadable = dict[int, dict[str, Any]](), dict[int, str](), 0
        given = expression.rows(payload) if expression else payload if isinstance(payload, list) else [payload]
        for number, values in enumerate(given, start=1):
            try:
                rows[number] = self._row(table, values, fields, message)
            except PredictiveMaintenanceError as error:
                unreadable += 1
                if unreadable <= SHOWN_REASONS:
                    reasons[number] = expression.reason(str(error), payload) if expression else str(error)
        return MessageRows(table, rows, reasons, unreadable)

    def _row(self, table: str, given: Any, fields: Mapping[str, str], message: Message) -> dict[str, Any]:
        """Raises DataError, and SourceError if two names match the same column."""
        if not isinstance(given, dict):
            raise DataError("must be a JSON object of named values")
        values = {**given, **fields}  # a broker controls who publishes to a topic, not what a payload says
        match = self._match(table, tuple(values))
        row = {name: self._value(name, values[own[0]], own[1:]) for name, own in match.columns.items()}
        if table == READINGS:
            row = {**self._attributes.get(row.get(MACHINE_ID, ""), {}), **row}
        if self._use_arrival and row.get(self._machine.time_name) is None:
            if message.is_retained:
                raise DataError("the broker retained the message, so its time is unknown: send the time in the payload")
            row[self._machine.time_name] = datetime.fromtimestamp(message.received, UTC).isoformat()
        if missing := tuple(name for name in self._required[table] if name not in row):
            is_nested = any(isinstance(value, dict | list) for value in given.values())
            hint = "; read nested values with --payload" if is_nested else ""
            raise DataError(self._describe_missing(table, missing, tuple(values)) + hint)
        return row

    def _match_headers(self, table: str, headers: tuple[str, ...]) -> HeaderMatch:
        return match_headers(self._columns[table], headers, self._aliases)

    def _missing_reason(self, table: str, missing: tuple[str, ...], headers: tuple[str, ...]) -> str:
        return describe_missing(self._columns[table], missing, headers).replace("\n", "; ")

    def _value(self, name: str, value: Any, conversion: tuple[float, float]) -> Any:
        """The value in the canonical unit. A text or a bool is left for the service, which says why it is no number."""
        if not isinstance(value, str | int | float | None):
            raise DataError(f"{name}: must be one value, not a list or an object")
        if not isinstance(value, int | float) or isinstance(value, bool):
            return value
        if isinstance(value, float) and not math.isfinite(value):  # such as 1e999, which is JSON
            raise DataError(f"{name}: {value} is not a finite number")
        if name in self._texts:
            return str(value) if isinstance(value, int) else value
        if name == TIMESTAMP:
            if (time := time_of_number(value)) is None:
                raise DataError(
                    f"{name}: {value} is no time from 1990 to 2100, in any unit from seconds to nanoseconds"
                )
            return time.isoformat()
        if conversion == (1.0, 0.0):
            return value
        scale, offset = conversion
        converted = float(value) * scale + offset if abs(value) < 1e300 else math.inf
        if not math.isfinite(converted):
            raise DataError(f"{name}: {value} is too large")
        return converted


def _json(message: Message) -> Any:
    try:
        return pydantic_core.from_json(message.payload, allow_inf_nan=False)
    except ValueError as error:
        raise DataError(f"the payload is not JSON: {error}") from None
