"""Readings for the store: kept, and scored with the earlier ones that the store has of their machine."""

import re
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from predictive_maintenance.machine.names import MACHINE_ID

from ..http.fast_path import FastPathRoute
from ..http.json_validation import validate_reading
from ..http.media_types import JSON, MEDIA_TYPES, TABLES, request_media_type, response_media_type
from ..http.request_body import read_body, too_large
from ..problem_responses import ProblemDetails
from ..problems import Problem, field_problem
from ..schemas.prediction import BatchPrediction, Prediction
from ..service import Service, get_service
from ..serving.kept_reading import NewReading, check_formulas, time_key
from ..serving.kept_rows import machine_id_fault
from ..serving.prediction_log import stored_reading
from ..serving.served_model import ServedModel
from ..worker.byte_budget import HeldBytes
from .batches import ANSWER_HEADERS, keep_batch
from .predict import ERRORS, counted, range_errors

router = APIRouter(tags=["store"], route_class=FastPathRoute)

CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ProblemDetails}}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Prediction | BatchPrediction,
        "headers": ANSWER_HEADERS,
        "content": {table: {"schema": {"type": "string", "format": "binary"}} for table in TABLES},
    }
}
_COLUMNS = re.compile(rb'\s*\{\s*("[^"\\]*"\s*:\s*\[|\})')
"""The beginning of an object of columns. No field of a single reading is a list."""


@router.post(
    "/readings",
    summary="Keep readings and score them",
    response_model=Prediction | BatchPrediction,
    responses=ERRORS | CONFLICT | _ANSWER,
)
async def readings(request: Request) -> Response:
    """Like /predict for a JSON object, and like /predict/batch for anything else; the earlier readings come from the store.

    A reading is scored with what was before it, also if it comes late. A repeated one is answered again and stored once; one
    with other values at the same time is an error, and the stored one stays. An answer means that the readings are committed.
    """
    service = get_service(request)
    media_type = request_media_type(request, MEDIA_TYPES)
    answer_type = response_media_type(request, MEDIA_TYPES, media_type)
    held = HeldBytes(service.batches.budget)
    try:
        body = await read_body(request, service.settings.max_request_bytes, "PDM_MAX_REQUEST_BYTES", held.add)
        model = service.served_model()
        require_places(model)
        if media_type != JSON or not _is_one_reading(body):
            return await keep_batch(request, model, body, held, media_type, answer_type)
    except BaseException:
        held.release()
        raise
    held.release()  # a single reading is small
    if answer_type != JSON:
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"the answer to a single reading is {JSON}: accept it")
    return await _keep_one(service, model, bytes(body), request.scope.get("request_id", ""))


def require_places(model: ServedModel) -> None:
    """Raise Problem if the readings of the served model have no machine and time, so that no store can keep them."""
    machine = model.scorer.machine
    if not machine.can_be_kept:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"the description of the {machine.description.name} in version {model.version.version} has no machine or no time, so "
            "that no readings are kept: use /predict, or describe both (docs/how-to/describe-your-machine.md)",
        )


def _is_one_reading(body: bytes | bytearray) -> bool:
    return body[:64].lstrip()[:1] == b"{" and not _COLUMNS.match(body)


async def _keep_one(service: Service, model: ServedModel, body: bytes, request_id: str) -> Response:
    if len(body) > service.settings.max_reading_bytes:
        raise too_large(service.settings.max_reading_bytes, "PDM_MAX_READING_BYTES")
    machine = model.scorer.machine
    try:
        reading = validate_reading(body, model.schema.kept, partial(range_errors, model))
        if reason := machine_id_fault(reading[MACHINE_ID]):
            raise field_problem([(None, MACHINE_ID, reason)])
        check_formulas(machine, reading)
        key = time_key(machine, reading, service.settings.max_clock_skew_seconds)
    except Problem as problem:
        raise counted(service, model, problem) from None
    new = NewReading(model=model, model_name=service.model_name, reading=reading, key=key)
    kept = await service.store.keep(new)
    service.metrics.count_kept({kept.outcome: 1})
    if isinstance(kept.answer, Problem):
        raise counted(service, model, kept.answer)
    service.metrics.count_reading(
        model.version.version, kept.answer["failure_probability"], kept.answer["predicted_failure"]
    )
    if service.log:
        service.log.add(stored_reading(new, kept.answer, request_id))
    return Response(to_json(kept.answer), media_type=JSON)
