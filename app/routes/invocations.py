"""The same service under the names that SageMaker and Azure ML ask for: /ping and /invocations."""

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
from ..schemas.model import Health
from ..schemas.prediction import EXAMPLE_HEALTHY, BatchPrediction
from ..service import Service, service
from ..serving.served_model import ServedModel
from .health import describe
from .predict import BATCH_BODY, ERRORS, scored

router = APIRouter(tags=["clouds"], route_class=FastPathRoute)

JSON_LINES = "application/jsonlines"
INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
_FIRST_LINE_BYTES = 1024
_KINDS = (JSON, CSV, JSON_LINES)
_CONTENT = BATCH_BODY["requestBody"]["content"]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: _CONTENT[JSON],
            CSV: _CONTENT[CSV],
            JSON_LINES: {"schema": {"type": "string"}, "example": f"{to_json(EXAMPLE_HEALTHY).decode()}\n"},
        },
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"model": BatchPrediction, "content": {kind: {"schema": {"type": "string"}} for kind in (CSV, JSON_LINES)}}
}


@router.head("/ping", include_in_schema=False)
@router.get("/ping", summary="Ready to score, for SageMaker", response_model=Health, responses={503: ERRORS[503]})
async def ping(request: Request) -> Response:
    """As /ready: 200 with a champion that passed its golden rows, 503 with the reason otherwise."""
    here: Service = service(request)
    here.champion()
    return Response(describe(here).model_dump_json(), media_type=JSON)


@router.post(
    "/invocations",
    summary="Score readings, for SageMaker and Azure ML",
    response_model=BatchPrediction,
    responses=ERRORS | _ANSWER,
    openapi_extra=_BODY,
)
async def invocations(request: Request) -> Response:
    """As /predict/batch, for JSON, CSV and JSON lines; one record alone and a CSV without a header are read, too.

    A CSV without a header has the columns of a reading in their order. An inference id comes back as it was sent.
    """
    here: Service = service(request)
    kind = request_media_type(request, _KINDS)
    answer_kind = response_media_type(request, _KINDS, kind)
    body = await read_body(request, here.settings.max_request_bytes)
    champion = here.champion()
    answer = await here.workroom.run(_invoked, here, champion, body, kind, answer_kind)
    headers = {"X-Model-Version": champion.version.version}
    if given := header(request.scope, INFERENCE_ID):
        headers["X-Amzn-SageMaker-Inference-Id"] = given
    return Response(answer, media_type=answer_kind, headers=headers)


def _invoked(here: Service, champion: ServedModel, body: bytes, kind: str, answer_kind: str) -> bytes:
    """The whole of it at once, off the event loop: turning a large body around takes as long as reading it."""
    lines = answer_kind == JSON_LINES
    batch_kind = JSON if kind == JSON_LINES else kind
    answer = scored(here, champion, _as_batch(body, kind), batch_kind, JSON if lines else answer_kind)
    return _lines(answer) if lines else answer


def _as_batch(body: bytes, kind: str) -> bytes:
    """`body` as /predict/batch takes it."""
    if kind == JSON_LINES:
        return b"[" + b",".join(line for line in body.splitlines() if line.strip()) + b"]"
    if kind == CSV:
        return body if _has_header(body) else ",".join(INPUT_NAMES).encode() + b"\n" + body
    if body.lstrip()[:1] == b"{" and _is_one_record(body):
        return b"[" + body + b"]"
    return body


def _is_one_record(body: bytes) -> bool:
    """Whether an object is one reading, and not columns. What is no JSON is told by who reads it."""
    try:
        return not isinstance(from_json(body).get(PRODUCT_TYPE.name), list)
    except ValueError:
        return False


def _has_header(body: bytes) -> bool:
    """Whether the first line is anything but a reading, which begins with its product type."""
    first = re.split(rb"[\r\n]", body[:_FIRST_LINE_BYTES], maxsplit=1)[0].decode("utf-8", "replace")
    cells = [cell.strip(' "') for cell in first.split(",")]
    return not (len(cells) == len(INPUT_NAMES) and cells[0] in PRODUCT_TYPES)


def _lines(answer: bytes) -> bytes:
    """The predictions of a JSON answer, each a line with the model that made it."""
    whole = from_json(answer)
    predictions = whole.pop("predictions")
    if isinstance(predictions, dict):
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"columns are answered as columns: accept {JSON} or {CSV}")
    model = {name: whole[name] for name in ("model_name", "model_version")}
    return b"".join(to_json(prediction | model) + b"\n" for prediction in predictions)
