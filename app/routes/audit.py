"""Acknowledgements of alarms, and the audit log."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from ..access import actor_of
from ..http.disconnect import run_while_connected
from ..http.json_validation import json_problem
from ..http.media_types import JSON, request_media_type
from ..http.request_body import read_body
from ..problem_responses import ProblemDetails
from ..problems import Problem
from ..schemas.audit import (
    PERSON_HEADER,
    Acknowledgement,
    Action,
    AuditList,
    KeptAcknowledgement,
    NotedRefusal,
    RefusedPerson,
)
from ..schemas.base import Schema
from ..service import get_service
from ..serving.audit_log import Refusal
from ..serving.kept_acknowledgement import keep_acknowledgement
from .readings import CONFLICT, require_places
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import StoredAuditEntry
    from predictive_maintenance.store.store import Store

router = APIRouter(tags=["people"])

SchemaT = TypeVar("SchemaT", bound=Schema)

_MOST_BYTES = 16 * 1024
_MOST_SHOWN = 1_000
_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ProblemDetails} for code in (401, 403, 422, 503)}
_BODY_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ProblemDetails} for code in (400, 404, 413, 415)}
_SIGN_IN = "sign-in"


def _documented_body(schema: type[Schema]) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": schema.model_json_schema()}}}


@router.post(
    "/acknowledgements",
    summary="Acknowledge an alarm",
    response_model=KeptAcknowledgement,
    responses=CONFLICT | _ERRORS | _BODY_ERRORS,
    openapi_extra={"requestBody": _documented_body(Acknowledgement)},
)
async def acknowledge(request: Request) -> Any:
    """Note that somebody has seen an alarm: the person that the client names, or the name of its key.

    The first acknowledgement of an alarm stays. It says nothing about its cause: send that to /feedback.
    """
    actor, service = actor_of(request), get_service(request)
    given = await _read(request, Acknowledgement)
    model = service.served_model()
    require_places(model)
    machine, name, skew = model.scorer.machine, service.model_name, service.settings.max_clock_skew_seconds
    kept = service.store.write(lambda store: keep_acknowledgement(store, machine, name, given, actor, skew))
    return KeptAcknowledgement(**await run_while_connected(request, kept))


@router.post(
    "/audit/refusals",
    summary="Record a refused sign-in",
    response_model=NotedRefusal,
    responses=_ERRORS | _BODY_ERRORS,
    openapi_extra={"requestBody": _documented_body(RefusedPerson)},
)
async def note_refused_person(request: Request) -> Any:
    """Note that a client did not let a person in, whom it names in X-On-Behalf-Of. The dashboard does, if it has a list.

    As refused keys, refusals are counted for PDM_AUDIT_SECONDS, and are then one entry of the audit log.
    """
    actor, service = actor_of(request), get_service(request)
    given = await _read(request, RefusedPerson)
    if actor.person is None:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{PERSON_HEADER} is missing: name the person who was refused")
    if service.audit:
        client = request.client.host if request.client else ""
        service.audit.note_refusal(
            Refusal(actor.key, _SIGN_IN, HTTPStatus.FORBIDDEN.value, given.reason, client, actor.person)
        )
    return NotedRefusal(noted=service.audit is not None)


@router.get("/audit", summary="List the audit log", response_model=AuditList, responses=_ERRORS)
async def audit(
    request: Request,
    action: Annotated[list[Action] | None, Query(description="Only these actions; all by default.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_SHOWN, description="Most entries in the answer.")] = 100,
    before: Annotated[int, Query(ge=1, lt=2**63, description="`next` of the page before.")] = 2**63 - 1,
) -> Response:
    """Who did what: acknowledgements, feedback, promotions, rollbacks, settings, and requests whose key was refused.

    Promotions that `shadow` blocked are listed, too. The newest entry is first. Entries can be added only, and are removed
    after PDM_AUDIT_DAYS.
    """
    name, actions = get_service(request).model_name, tuple(action or ())

    def read(store: "Store") -> dict[str, Any]:
        found = store.audit(name, actions=actions, before=before, most=limit + 1)
        shown = found[:limit]
        return {
            "model_name": name,
            "entries": list(map(_shown, shown)),
            "next": shown[-1].key if len(found) > limit else None,
        }

    return await answer_from_store(request, read)


async def _read(request: Request, schema: type[SchemaT]) -> SchemaT:
    """The body of a request. Raises Problem for an invalid one."""
    request_media_type(request, (JSON,))
    body = bytes(await read_body(request, _MOST_BYTES, "no setting changes it"))
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise json_problem(error, tuple(schema.model_fields)) from None


def _shown(entry: "StoredAuditEntry") -> dict[str, Any]:
    """An entry as `schemas.audit.AuditEntry` has it."""
    from predictive_maintenance.store.times import seconds_as_text

    return {
        "entry": entry.key,
        "time": seconds_as_text(entry.at),
        "action": entry.action,
        "key": entry.actor.key,
        "person": entry.actor.person,
        "subject": entry.subject,
        "detail": entry.detail,
    }
