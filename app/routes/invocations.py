"""The routes that SageMaker and Azure ML call: /ping and /invocations."""

from typing import Any

from fastapi import APIRouter, Request, Response

from ..http.asgi import header
from ..http.fast_path import FastPathRoute
from ..http.media_types import CSV, INVOCATION_TYPES, JSON, JSON_LINES, request_media_type, response_media_type
from ..schemas.health import Health
from ..schemas.prediction import BatchPrediction
from ..service import get_service
from .batches import ANSWER_HEADERS, score_batch
from .health import describe_health
from .predict import ERRORS

router = APIRouter(tags=["clouds"], route_class=FastPathRoute)

INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": BatchPrediction,
        "headers": ANSWER_HEADERS,
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
)
async def invocations(request: Request) -> Response:
    """Like /predict/batch, for JSON, CSV and JSON lines. A single record and a CSV without a header are accepted, too.

    A CSV without a header has the columns of a reading, in their order. An inference id is returned as it was sent.
    """
    media_type = request_media_type(request, INVOCATION_TYPES)
    answer_type = response_media_type(request, INVOCATION_TYPES, media_type)
    headers = {}
    if inference_id := header(request.scope, INFERENCE_ID):
        headers["X-Amzn-SageMaker-Inference-Id"] = inference_id
    return await score_batch(request, media_type, answer_type, invocation=True, headers=headers)
