"""The machines in the store: the latest state of each, and the latest readings of one."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import Machine

from ..access import sees_people
from ..problem_responses import ProblemDetails
from ..problems import Problem, field_problem
from ..schemas.machines import MachineHistory, MachineList, OpenAlarm
from ..service import get_service
from .readings import CONFLICT, require_places
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import Alarm, Event, MachineState, Reading
    from predictive_maintenance.store.store import Store

router = APIRouter(prefix="/machines", tags=["store"])

_MOST_MACHINES, _MOST_READINGS = 1_000, 5_000
_ERRORS: dict[int | str, dict[str, Any]] = CONFLICT | {code: {"model": ProblemDetails} for code in (401, 422, 503)}


@router.get("", summary="List the machines", response_model=MachineList, responses=_ERRORS)
async def machines(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_MACHINES, description="Most machines in the answer.")] = 100,
    after: Annotated[str, Query(max_length=200, description="`next` of the page before.")] = "",
) -> Response:
    """The latest state of each machine that the store has readings of, by id, in pages."""
    service = get_service(request)
    model = service.served_model()
    require_places(model)
    if "\0" in after:
        raise field_problem([(None, "after", "is not the id of a machine")])
    name, described, with_names = service.model_name, model.scorer.machine, sees_people(request)

    def read(store: "Store") -> dict[str, Any]:
        found = store.machines(name, after=after, most=limit + 1)
        shown = found[:limit]
        return {
            "model_name": name,
            "machines": _summaries(shown, described, with_names),
            "next": shown[-1].machine_id if len(found) > limit else None,
        }

    return await answer_from_store(request, read)


@router.get(
    "/{machine_id:path}",
    summary="Get a machine",
    response_model=MachineHistory,
    responses=_ERRORS | {404: {"model": ProblemDetails}},
)
async def machine(
    request: Request,
    machine_id: Annotated[str, Path(max_length=200, description="The machine.")],
    limit: Annotated[int, Query(ge=1, le=_MOST_READINGS, description="Most readings in the answer.")] = 100,
    before: Annotated[
        str | None, Query(max_length=40, description="A time: only earlier readings, to go further back.")
    ] = None,
) -> Response:
    """The latest state of a machine, and its latest readings with what was predicted when they arrived."""
    from predictive_maintenance.store.times import LAST_KEY  # SQLAlchemy is imported when the store is needed

    service = get_service(request)
    model = service.served_model()
    require_places(model)
    described, name, with_names = model.scorer.machine, service.model_name, sees_people(request)
    end = LAST_KEY if before is None else time_key(described, before)

    def read(store: "Store") -> dict[str, Any] | None:
        if (found := store.machine(name, machine_id, before=end, most=limit)) is None:
            return None
        state, latest = found
        beginning = latest[-1].time if latest else LAST_KEY
        alarms, events = store.past(name, machine_id, beginning=beginning, most=limit)
        (summary,) = _summaries([state], described, with_names)
        scored = _scored(latest, described)
        return summary | {
            "model_name": name,
            "latest": [one | {"values": reading.sensors} for one, reading in zip(scored, latest, strict=True)],
            "alarms": [shown_alarm(alarm, described, with_names) for alarm in alarms],
            "events": _events(events, described),
        }

    if "\0" in machine_id:
        raise _unknown(machine_id)
    return await answer_from_store(request, read, _unknown(machine_id))


def _unknown(machine_id: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"the store has no readings of a machine {machine_id!r}")


def shown_alarm(alarm: "Alarm", machine: Machine, with_names: bool) -> dict[str, Any]:
    """An alarm as `schemas.machines.StoredAlarm` has it, without who acknowledged it unless `with_names`."""
    from predictive_maintenance.store.times import seconds_as_text, shown_time

    return {
        "opened": shown_time(alarm.opened, machine),
        "failure_probability": alarm.probability,
        "failure_mode": alarm.mode,
        "failure_mode_probability": alarm.mode_probability,
        "closed": None if alarm.closed is None else shown_time(alarm.closed, machine),
        "closed_by": alarm.closed_by,
        "feedback": alarm.verdict,
        "acknowledged": None if alarm.acknowledged is None else seconds_as_text(alarm.acknowledged),
        "acknowledged_by": alarm.acknowledged_by if with_names else None,
        "model_version": alarm.version,
    }


def _events(events: Sequence["Event"], machine: Machine) -> list[dict[str, Any]]:
    from predictive_maintenance.store.times import shown_times

    times = shown_times([event.time for event in events], machine)
    return [{"table": event.table, "time": time, "type": event.type} for event, time in zip(events, times, strict=True)]


def time_key(machine: Machine, text: str, parameter: str = "before") -> int:
    """The time in a query parameter as the store orders it. Raises Problem for an invalid one."""
    from predictive_maintenance.store.times import as_keys

    try:
        times = as_times([float(text) if machine.time_is_counter else text], machine)
    except (DataError, ValueError):
        raise field_problem([(None, parameter, f"is not a {machine.time_name} of this machine")]) from None
    return int(as_keys(times)[0])


def _summaries(states: Sequence["MachineState"], machine: Machine, with_names: bool) -> list[dict[str, Any]]:
    from predictive_maintenance.store.times import seconds_as_text

    return [
        {
            "machine_id": state.machine_id,
            "readings": state.readings,
            "alarm": _open_alarm(state, machine, with_names),
            "late_since": None if state.late_since is None else seconds_as_text(state.late_since),
            **scored,
        }
        for state, scored in zip(states, _scored(states, machine), strict=True)
    ]


def _open_alarm(state: "MachineState", machine: Machine, with_names: bool) -> dict[str, Any] | None:
    if state.alarm is None:
        return None
    shown = shown_alarm(state.alarm, machine, with_names)
    return {name: value for name, value in shown.items() if name in OpenAlarm.model_fields}


def _scored(rows: Sequence["MachineState | Reading"], machine: Machine) -> list[dict[str, Any]]:
    from predictive_maintenance.store.times import seconds_as_text, shown_times

    times = shown_times([row.time for row in rows], machine)
    return [
        {
            "time": time,
            "received": seconds_as_text(row.received),
            "failure_probability": row.score and row.score.probability,
            "predicted_failure": row.score and row.score.alarm,
            "model_version": row.score and row.score.version,
        }
        for row, time in zip(rows, times, strict=True)
    ]
