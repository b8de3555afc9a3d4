"""The routes that SageMaker and Azure ML call: /ping and /invocations."""

import re
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import from_json, to_json

from predictive_maintenance.machine.sensors import INPUT_NAMES, PRODUCT_TYPE, PRODUCT_TYPES

from ..http.asgi import header
from ..http.fast_path import FastPathRoute
from ..http.media_types import CSV, JSON, request_media_type, response_media_type
from ..http.request_body import read_body
from ..problems import Problem
from ..schemas.health import Health
from ..schemas.prediction import EXAMPLE_HEALTHY, BatchPrediction
from ..service import Service, get_service
from ..serving.served_model import ServedModel
from .health import describe_health
from .predict import BATCH_BODY, ERRORS, score_body

router = APIRouter(tags=["clouds"], route_class=FastPathRoute)

JSON_LINES = "application/jsonlines"
INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
_FIRST_LINE_BYTES = 1024
_MEDIA_TYPES = (JSON, CSV, JSON_LINES)
_BATCH_CONTENT = BATCH_BODY["requestBody"]["content"]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: _BATCH_CONTENT[JSON],
            CSV: _BATCH_CONTENT[CSV],
            JSON_LINES: {"schema": {"type": "string"}, "example": f"{to_json(EXAMPLE_HEALTHY).decode()}\n"},
        },
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": BatchPrediction,
        "content": {media_type: {"schema": {"type": "string"}} for media_type in (CSV, JSON_LINES)},
    }
}


@router.head("/ping", include_in_schema=False)
@router.get("/ping", summary="Check readiness (SageMaker)", response_model=Health, responses={503: ERRORS[503]})
async def ping(request: Request) -> Response:
    """Like /ready: 200 if this worker serves a model that passed its golden-row check, otherwise 503 with the reason."""
    service = get_service(request)
    service.served_model()
    return Response(describe_health(service).model_dump_json(), media_type=JSON)


@router.post(
    "/invocations",
    summary="Score readings (SageMaker, Azure ML)",
    response_model=BatchPrediction,
    responses=ERRORS | _ANSWER,
    openapi_extra=_BODY,
)
async def invocations(request: Request) -> Response:
    """Like /predict/batch, for JSON, CSV and JSON lines. A single record and a CSV without a header are accepted, too.

    A CSV without a header has the columns of a reading, in their order. An inference id is returned as it was sent.
    """
    service = get_service(request)
    media_type = request_media_type(request, _MEDIA_TYPES)
    answer_type = response_media_type(request, _MEDIA_TYPES, media_type)
    body = await read_body(request, service.settings.max_request_bytes)
    model = service.served_model()
    answer = await service.executor.run(_invoke, service, model, body, media_type, answer_type)
    headers = {"X-Model-Version": model.version.version}
    if inference_id := header(request.scope, INFERENCE_ID):
        headers["X-Amzn-SageMaker-Inference-Id"] = inference_id
    return Response(answer, media_type=answer_type, headers=headers)


def _invoke(service: Service, model: ServedModel, body: bytes, media_type: str, answer_type: str) -> bytes:
    """Convert the body, score it and convert the answer, all off the event loop: each may take long."""
    lines = answer_type == JSON_LINES
    batch_type = JSON if media_type == JSON_LINES else media_type
    answer = score_body(service, model, _as_batch(body, media_type), batch_type, JSON if lines else answer_type)
    return _as_lines(answer) if lines else answer


def _as_batch(body: bytes, media_type: str) -> bytes:
    """Convert `body` to a body of /predict/batch."""
    if media_type == JSON_LINES:
        return b"[" + b",".join(line for line in body.splitlines() if line.strip()) + b"]"
    if media_type == CSV:
        return body if _has_header(body) else ",".join(INPUT_NAMES).encode() + b"\n" + body
    if body.lstrip()[:1] == b"{" and _is_one_record(body):
        return b"[" + body + b"]"
    return body


def _is_one_record(body: bytes) -> bool:
    """Whether a JSON object is one reading, not columns. Invalid JSON is reported when the batch is read."""
    try:
        return not isinstance(from_json(body).get(PRODUCT_TYPE.name), list)
    except ValueError:
        return False


def _has_header(body: bytes) -> bool:
    """Whether the first line is not a reading, which begins with a product type."""
    first = re.split(rb"[\r\n]", body[:_FIRST_LINE_BYTES], maxsplit=1)[0].decode("utf-8", "replace")
    cells = [cell.strip(' "') for cell in first.split(",")]
    return not (len(cells) == len(INPUT_NAMES) and cells[0] in PRODUCT_TYPES)


def _as_lines(answer: bytes) -> bytes:
    """Convert a JSON answer to JSON lines: a prediction on each, with the model's name and version."""
    document = from_json(answer)
    predictions = document["predictions"]
    if isinstance(predictions, dict):
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"columns have no JSON lines: accept {JSON} or {CSV}, or send records")
    model = {name: document[name] for name in ("model_name", "model_version")}
    return b"".join(to_json(prediction | model) + b"\n" for prediction in predictions)
