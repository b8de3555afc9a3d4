"""The machines in the store: the latest state of each, and the latest readings of one."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.time_order import as_times
from predictive_maintenance.machine.machine import Machine

from ..problem_responses import ProblemDetails
from ..problems import Problem, field_problem
from ..schemas.machines import MachineHistory, MachineList, OpenAlarm
from ..service import get_service
from .readings import CONFLICT, require_places

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import Alarm, Event, MachineState, Reading

router = APIRouter(prefix="/machines", tags=["store"])

_MOST_MACHINES, _MOST_READINGS = 1_000, 5_000
_ERRORS: dict[int | str, dict[str, Any]] = CONFLICT | {code: {"model": ProblemDetails} for code in (401, 422, 503)}


@router.get("", summary="List the machines", response_model=MachineList, responses=_ERRORS)
async def machines(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_MACHINES, description="Most machines in the answer.")] = 100,
    after: Annotated[str, Query(max_length=200, description="`next` of the page before.")] = "",
) -> Any:
    """The latest state of each machine that the store has readings of, by id, in pages."""
    service = get_service(request)
    model = service.served_model()
    require_places(model)
    if "\0" in after:
        raise field_problem([(None, "after", "is not the id of a machine")])
    name = service.model_name
    found = await service.store.read(lambda store: store.machines(name, after=after, most=limit + 1))
    shown = found[:limit]
    return {
        "model_name": name,
        "machines": [_summary(state, model.scorer.machine) for state in shown],
        "next": shown[-1].machine_id if len(found) > limit else None,
    }


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
) -> Any:
    """The latest state of a machine, and its latest readings with what was predicted when they arrived."""
    from predictive_maintenance.store.times import LAST_KEY  # SQLAlchemy is imported when the store is needed

    service = get_service(request)
    model = service.served_model()
    require_places(model)
    described, name = model.scorer.machine, service.model_name
    end = LAST_KEY if before is None else time_key(described, before)
    found = None
    if "\0" not in machine_id:
        found = await service.store.read(lambda store: store.machine(name, machine_id, before=end, most=limit))
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"the store has no readings of a machine {machine_id!r}")
    state, latest = found
    beginning = latest[-1].time if latest else LAST_KEY
    alarms, events = await service.store.read(
        lambda store: store.past(name, machine_id, beginning=beginning, most=limit)
    )
    return _summary(state, described) | {
        "model_name": name,
        "latest": [_scored(reading, described) | {"values": reading.sensors} for reading in latest],
        "alarms": [shown_alarm(alarm, described) for alarm in alarms],
        "events": [_event(event, described) for event in events],
    }


def shown_alarm(alarm: "Alarm", machine: Machine) -> dict[str, Any]:
    """An alarm as `schemas.machines.StoredAlarm` has it."""
    from predictive_maintenance.store.times import shown_time

    return {
        "opened": shown_time(alarm.opened, machine),
        "failure_probability": alarm.probability,
        "failure_mode": alarm.mode,
        "failure_mode_probability": alarm.mode_probability,
        "closed": None if alarm.closed is None else shown_time(alarm.closed, machine),
        "closed_by": alarm.closed_by,
        "model_version": alarm.version,
    }


def _event(event: "Event", machine: Machine) -> dict[str, Any]:
    from predictive_maintenance.store.times import shown_time

    return {"table": event.table, "time": shown_time(event.time, machine), "type": event.type}


def time_key(machine: Machine, text: str, parameter: str = "before") -> int:
    """The time in a query parameter as the store orders it. Raises Problem for an invalid one."""
    from predictive_maintenance.store.times import as_keys

    try:
        times = as_times([float(text) if machine.time_is_counter else text], machine)
    except (DataError, ValueError):
        raise field_problem([(None, parameter, f"is not a {machine.time_name} of this machine")]) from None
    return int(as_keys(times)[0])


def _summary(state: "MachineState", machine: Machine) -> dict[str, Any]:
    alarm = state.alarm and {
        name: value for name, value in shown_alarm(state.alarm, machine).items() if name in OpenAlarm.model_fields
    }
    return {"machine_id": state.machine_id, "readings": state.readings, "alarm": alarm, **_scored(state, machine)}


def _scored(scored: "MachineState | Reading", machine: Machine) -> dict[str, Any]:
    from predictive_maintenance.store.times import seconds_as_text, shown_time

    score = scored.score
    return {
        "time": shown_time(scored.time, machine),
        "received": seconds_as_text(scored.received),
        "failure_probability": score and score.probability,
        "predicted_failure": score and score.alarm,
        "model_version": score and score.version,
    }
