"""Score the batch in a request with the worker process: shared by /predict/batch, /invocations and /readings."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import numpy as np
from fastapi import Request, Response
from msgspec import structs

from ..access import actor_of
from ..http.chunked_answer import ChunkedAnswer
from ..http.disconnect import run_while_connected
from ..http.media_types import JSON
from ..http.request_body import read_body
from ..problems import Problem, count_by_field
from ..service import Service, get_service
from ..serving.served_model import ServedModel
from ..worker.byte_budget import HeldBytes
from ..worker.messages import Job, Scored, Stored

WARNINGS_HEADER = "X-Warnings"
_MAX_WARNINGS = 10
_FLOAT_BYTES = 8
_REFUSALS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)

ANSWER_HEADERS: dict[str, Any] = {
    "X-Model-Version": {"description": "The version that scored the batch.", "schema": {"type": "string"}},
    WARNINGS_HEADER: {
        "description": "The warnings about the batch as a whole, a JSON list of texts, of an answer that is not JSON. Absent "
        "without warnings.",
        "schema": {"type": "string"},
    },
}


async def score_batch(
    request: Request,
    media_type: str,
    answer_type: str,
    *,
    inputs: bool = False,
    invocation: bool = False,
    is_logged: bool = True,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer as `answer_type`, and count it if it is logged. Raises Problem if the batch is not scored."""
    service = get_service(request)
    held = HeldBytes(service.batches.budget)
    try:
        body = await read_body(request, service.settings.max_request_bytes, "PDM_MAX_REQUEST_BYTES", held.add)
        model = service.served_model()
        job = _job(service, model, media_type, answer_type, inputs=inputs, invocation=invocation)
        return await run_job(request, model, job, body, held, headers, is_logged=is_logged)
    except BaseException:
        held.release()
        raise


async def keep_batch(
    request: Request, model: ServedModel, body: bytes | bytearray, held: HeldBytes, media_type: str, answer_type: str
) -> Response:
    """Keep the readings in `body` in the store, and return their answer as `score_batch` does."""
    service = get_service(request)
    with service.store.access.used_elsewhere() as store:
        job = _job(service, model, media_type, answer_type, store=store)
        return await run_job(request, model, job, body, held)


async def keep_event_batch(
    request: Request, model: ServedModel, body: bytes | bytearray, held: HeldBytes, media_type: str, table: str
) -> int:
    """Keep the events in `body`, of one table or EVERY_TABLE, in the store, and return their number. Raises Problem."""
    service, actor = get_service(request), actor_of(request)
    with service.store.access.used_elsewhere() as store:
        job = _job(service, model, media_type, JSON, store=store, events=table, actor=actor)
        result, _ = await run_while_connected(request, service.batches.run(job, body, held))
    assert isinstance(result, Stored)
    return result.events


async def run_job(
    request: Request,
    model: ServedModel,
    job: Job,
    body: bytes | bytearray,
    held: HeldBytes,
    headers: Mapping[str, str] | None = None,
    *,
    is_logged: bool = True,
) -> Response:
    """Return the answer to a job, and count it if it is logged. The answer releases what is `held`; an error does not."""
    service = get_service(request)
    log = service.log if is_logged else None
    if log:
        job = structs.replace(job, request_id=request.scope.get("request_id", ""), log_bytes=log.batch_bytes)
    try:
        result, answer = await run_while_connected(request, service.batches.run(job, body, held))
    except Problem as problem:
        if log and problem.status in _REFUSALS:
            fields = count_by_field((field for _, field, _ in problem.errors), model.schema.names)
            log.inputs.add(rejected=1, fields=fields)  # as one: its number of readings is unknown
        raise
    assert isinstance(result, Scored)
    version = model.version.version
    if is_logged:
        service.metrics.count_batch(version, np.frombuffer(result.probabilities), result.alarms)
        service.metrics.count_rejected(result.errors)
        service.metrics.count_kept(result.kept)
    if log:
        log.add_batch(version, result.log, len(result.probabilities) // _FLOAT_BYTES)
        log.inputs.add(rejected=result.rejected, fields=result.errors)
    sent = {"X-Model-Version": version, **(headers or {})}
    if result.warnings and job.answer_type != JSON:
        sent[WARNINGS_HEADER] = warnings_header(result.warnings)
    return ChunkedAnswer(answer, job.answer_type, sent, held.release)


def warnings_header(warnings: Sequence[str]) -> str:
    """Return warnings as the value of a header: a JSON list in ASCII, which clients and proxies limit to some KiB."""
    further = len(warnings) - _MAX_WARNINGS
    more = [f"and {further} more: a JSON answer has all"] if further > 0 else []
    return json.dumps([*warnings[:_MAX_WARNINGS], *more])


def _job(service: Service, model: ServedModel, media_type: str, answer_type: str, **fields: Any) -> Job:
    """The job of a batch for `model`. `fields` are the further ones of Job."""
    settings = service.settings
    return Job(
        folder=str(model.folder),
        version=model.version.to_json(),
        model_name=service.model_name,
        media_type=media_type,
        answer_type=answer_type,
        max_rows=settings.max_rows,
        max_record_bytes=settings.max_reading_bytes,
        max_table_bytes=settings.max_table_bytes,
        aliases=service.params.aliases,
        seconds=settings.batch_deadline_seconds + 1,
        **fields,
    )
