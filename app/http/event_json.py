"""Events of several tables in a JSON body."""

from http import HTTPStatus

from pydantic import ValidationError

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.events import Events, check_events
from predictive_maintenance.machine.machine import Machine

from ..problems import Problem, field_problem
from ..schemas.events import EVENTS, as_events
from ..schemas.reading import ReadingSchema
from ..serving.kept_events import EventsByMachine, event_faults, events_by_machine
from .duplicate_keys import REASON as DUPLICATE_KEY
from .duplicate_keys import find_duplicate_keys
from .json_validation import json_problem

_MOST_EVENTS = 1_000
_VALUES_PER_EVENT = 5
"""Machine, time and type, with some to spare. Errors of more values would take the time of other requests."""
_SPARE_VALUES = 200
"""Commas in the names of machines."""


def check_event_count(body: bytes) -> None:
    """Raise Problem for more events than one request may have, or more values than events have, before they are validated."""
    objects, commas = body.count(b"{"), body.count(b",")
    if objects > _MOST_EVENTS + 1 or commas > _VALUES_PER_EVENT * _MOST_EVENTS:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {_MOST_EVENTS:,} events: send them in parts"
        )
    if commas > _SPARE_VALUES + _VALUES_PER_EVENT * objects:
        raise field_problem([(None, "", "has more values than its events have fields")])


def read_json_events(body: bytes, schema: ReadingSchema, max_skew_seconds: float) -> EventsByMachine:
    """The events of each machine in `body`, events by table. Raises Problem for an invalid one. Too slow for the event loop."""
    try:
        given = schema.kept.kept_events.validate_json(body)
    except ValidationError as error:
        raise json_problem(error, tuple(schema.machine.description.events)) from None
    if duplicates := find_duplicate_keys(body):
        raise field_problem([(None, key, DUPLICATE_KEY) for _, key in duplicates])
    return _by_machine(schema.machine, as_events(given, schema.machine), max_skew_seconds)


def _by_machine(machine: Machine, given: Events, max_skew_seconds: float) -> EventsByMachine:
    """The events of each machine. Raises Problem for an invalid one."""
    try:
        check_events(machine, given)
    except DataError as error:
        raise field_problem([(None, EVENTS, str(error).removeprefix(f"{EVENTS}: "))]) from None
    for table, columns in given.items():
        faults = event_faults(machine, columns, max_skew_seconds) if len(columns[machine.time_name]) else ()
        if errors := [(None, f"{table}.{place}.{field}", reason) for place, field, reason in faults]:
            raise field_problem(errors)
    return events_by_machine(machine, given)
