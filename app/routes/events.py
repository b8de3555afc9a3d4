"""Events for the store, such as errors, maintenance and failures, and the alarms in it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from ..access import actor_of, sees_people
from ..http.disconnect import run_while_connected
from ..http.event_json import check_event_count, read_json_events
from ..http.media_types import JSON, MEDIA_TYPES, request_media_type, response_media_type
from ..http.request_body import read_body
from ..problem_responses import ProblemDetails
from ..problems import field_problem
from ..schemas.machines import AlarmList, KeptEvents
from ..service import Service, get_service
from ..serving.kept_events import keep_events
from ..worker.byte_budget import HeldBytes
from ..worker.messages import EVERY_TABLE
from .batches import keep_event_batch
from .machines import shown_alarm, time_key
from .readings import CONFLICT, require_places
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

router = APIRouter(tags=["store"])

_MOST_ALARMS = 1_000
_PAGE = "|"
_MOST_BYTES = 256 * 1024
_FEW_EVENTS = 20
"""Events that the service keeps itself: more take the time of other requests, and wait for the batches instead."""
_ERRORS: dict[int | str, dict[str, Any]] = CONFLICT | {
    code: {"model": ProblemDetails} for code in (400, 401, 406, 413, 415, 422, 503, 504)
}


@router.post("/events", summary="Keep events", response_model=KeptEvents, responses=_ERRORS)
async def events(
    request: Request,
    table: Annotated[
        str | None, Query(max_length=60, description="The table of the events in a CSV, Parquet or Arrow body.")
    ] = None,
) -> Any:
    """Keep events of machines: later readings are scored with them. A failure closes the machine's alarm.

    JSON has events by table, at most 1,000 and 256 KiB. CSV, Parquet and Arrow have those of the one that `table` names, within
    the limits of a batch. An event that the store has is not stored again. Events may come late: readings that were scored
    before keep their scores.
    """
    return {"events": await _keep(request, get_service(request), table)}


async def _keep(request: Request, service: Service, table: str | None) -> int:
    actor, media_type = actor_of(request), request_media_type(request, MEDIA_TYPES)
    if media_type != JSON:
        return await _keep_table(request, service, media_type, table)
    if table is not None:
        raise field_problem([(None, "table", "is for CSV, Parquet and Arrow: JSON has events by table")])
    body = bytes(await read_body(request, _MOST_BYTES, "no setting changes it: send events in parts, or as a table"))
    check_event_count(body)
    model = service.served_model()
    require_places(model)
    if body.count(b"{") > _FEW_EVENTS:
        held = HeldBytes(service.batches.budget)
        try:
            return await keep_event_batch(request, model, body, held, JSON, EVERY_TABLE)
        finally:
            held.release()
    machine, name, skew = model.scorer.machine, service.model_name, service.settings.max_clock_skew_seconds
    found = await run_while_connected(request, service.executor.run(read_json_events, body, model.schema, skew))
    kept = service.store.write(lambda store: keep_events(store, machine, name, found, actor))
    return await run_while_connected(request, kept)


async def _keep_table(request: Request, service: Service, media_type: str, table: str | None) -> int:
    response_media_type(request, (JSON,), JSON)
    held = HeldBytes(service.batches.budget)
    try:
        body = await read_body(request, service.settings.max_request_bytes, "PDM_MAX_REQUEST_BYTES", held.add)
        model = service.served_model()
        require_places(model)
        known = model.scorer.machine.description.events
        if table is None or table not in known:
            reason = f"{table!r} is no table of events" if table else "is missing"
            raise field_problem([(None, "table", f"{reason}: name one in the address, {_choices(known)}")])
        return await keep_event_batch(request, model, body, held, media_type, table)
    finally:
        held.release()


def _choices(tables: Iterable[str]) -> str:
    return " or ".join(f"/events?table={name}" for name in tables) or "but the machine has no events"


@router.get("/alarms", summary="List the alarms", response_model=AlarmList, responses=_ERRORS)
async def alarms(
    request: Request,
    state: Annotated[Literal["open", "all"], Query(description="Only open alarms, or all.")] = "open",
    limit: Annotated[int, Query(ge=1, le=_MOST_ALARMS, description="Most alarms in the answer.")] = 100,
    after: Annotated[str | None, Query(max_length=300, description="`next` of the page before.")] = None,
) -> Response:
    """Alarms of the machines in the store, the newest first."""
    from predictive_maintenance.store.times import LAST_KEY  # SQLAlchemy is imported when the store is needed

    service = get_service(request)
    model = service.served_model()
    require_places(model)
    machine, name, with_names = model.scorer.machine, service.model_name, sees_people(request)
    opened, _, last_id = (after or "").partition(_PAGE)
    if "\0" in last_id:
        raise field_problem([(None, "after", "is not the next page of alarms")])
    end = time_key(machine, opened, "after") if after else LAST_KEY

    def read(store: "Store") -> dict[str, Any]:
        found = store.alarms(name, only_open=state == "open", before=end, after=last_id, most=limit + 1)
        shown = [
            {"machine_id": machine_id, **shown_alarm(alarm, machine, with_names)} for machine_id, alarm in found[:limit]
        ]
        return {"model_name": name, "alarms": shown, "next": _next_page(shown[-1]) if len(found) > limit else None}

    return await answer_from_store(request, read)


def _next_page(last: dict[str, Any]) -> str:
    """The time and the machine of the last alarm of a page: several alarms may have opened at the same time."""
    return f"{last['opened']}{_PAGE}{last['machine_id']}"
