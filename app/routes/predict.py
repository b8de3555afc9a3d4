"""Scoring: one reading, or many at once."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from predictive_maintenance.machine.sensors import SENSOR_NAMES, limit_reason

from ..http.fast_path import FastPathRoute
from ..http.media_types import CSV, JSON, MEDIA_TYPES, TABLES, request_media_type, response_media_type
from ..http.request_body import checked_json, read_body
from ..problems import Problem, ProblemDetails, field_problem
from ..schemas.prediction import (
    EXAMPLE_HEALTHY,
    EXAMPLE_OVERSTRAINED,
    BatchPrediction,
    Prediction,
    Reading,
    Readings,
    WhatIf,
)
from ..service import Service, service
from ..serving.assessment import assess, explanation_response, what_if_response
from ..serving.served_model import ServedModel

router = APIRouter(tags=["predict"], route_class=FastPathRoute)
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemDetails} for code in (400, 401, 406, 413, 415, 422, 503)
}

_READING: TypeAdapter[Reading] = TypeAdapter(Reading)
_FLAG: TypeAdapter[bool] = TypeAdapter(bool)
_COLUMNAR = {name: [reading[name] for reading in (EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED)] for name in EXAMPLE_HEALTHY}
_CSV = "\n".join(
    ",".join(str(reading[name]) for name in EXAMPLE_HEALTHY) for reading in (EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED)
)
_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "Add what each sensor contributes.",
    "schema": {"type": "boolean", "default": False},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _READING.json_schema(),
                "examples": {
                    "healthy": {"summary": "A healthy machine", "value": EXAMPLE_HEALTHY},
                    "overstrained": {"summary": "A worn tool under a high load", "value": EXAMPLE_OVERSTRAINED},
                },
            }
        },
    },
}
_INPUTS = {
    "name": "inputs",
    "in": "query",
    "description": "Add the readings themselves to an answer that is a table.",
    "schema": {"type": "boolean", "default": False},
}
BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "anyOf": [
                        {"type": "array", "minItems": 1, "items": _READING.json_schema()},
                        TypeAdapter(Readings).json_schema(),
                    ]
                },
                "examples": {
                    "records": {"summary": "Records", "value": [EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED]},
                    "columns": {"summary": "Columns", "value": _COLUMNAR},
                },
            },
            CSV: {"schema": {"type": "string"}, "example": f"{','.join(EXAMPLE_HEALTHY)}\n{_CSV}\n"},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in TABLES if kind != CSV},
        },
    }
}
_BATCH_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": BatchPrediction,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TABLES},
    }
}


@router.post(
    "/predict",
    summary="Score one reading",
    response_model=Prediction,
    responses=ERRORS,
    openapi_extra=_BODY | {"parameters": [_EXPLAIN]},
)
async def predict(request: Request) -> Response:
    """Will this machine fail? Probability, decision, risk, cost, broken limits and what to do."""
    here = service(request)
    explain = _flag(request, "explain")
    champion, reading = await _reading(here, request)
    answer = assess(champion, here.model_name, reading)
    if explain:
        explanation = await here.workroom.run(champion.explainer.explain, reading)
        answer["explanation"] = explanation_response(explanation, reading)
    here.metrics.scored(champion.version.version, answer["failure_probability"], answer["predicted_failure"])
    return Response(to_json(answer), media_type="application/json")


@router.post(
    "/predict/what-if",
    summary="What would change the answer",
    response_model=WhatIf,
    responses=ERRORS,
    openapi_extra=_BODY,
)
async def predict_what_if(request: Request) -> Response:
    """How the probability changes with each sensor, the others held, and the nearest value that turns the decision.

    Over the values that the model has seen. These are questions, not readings: no metric counts them.
    """
    here = service(request)
    champion, reading = await _reading(here, request)
    return Response(
        to_json(await here.workroom.run(what_if_response, champion, reading)), media_type="application/json"
    )


@router.post(
    "/predict/batch",
    summary="Score many readings",
    response_model=BatchPrediction,
    responses=ERRORS | _BATCH_ANSWER,
    openapi_extra=BATCH_BODY | {"parameters": [_INPUTS]},
)
async def predict_batch(request: Request) -> Response:
    """Many readings at once: JSON records or columns, CSV, Parquet or Arrow; the answer in the kind asked for by Accept.

    A row that is wrong gets its errors in its place, the others are scored. Columns of a table are matched by their
    headers, units included, and those that are not known are ignored. With `inputs`, a table of answers holds the
    readings, too, in canonical columns and units.
    """
    here = service(request)
    inputs = _flag(request, "inputs")
    kind = request_media_type(request, MEDIA_TYPES)
    answer_kind = response_media_type(request, MEDIA_TYPES, kind)
    if inputs and answer_kind == JSON:
        raise field_problem([(None, "inputs", f"is for tables: accept {' or '.join(TABLES)}")])
    body = await read_body(request, here.settings.max_request_bytes)
    champion = here.champion()
    answer = await here.workroom.run(scored, here, champion, body, kind, answer_kind, inputs)
    return Response(answer, media_type=answer_kind, headers={"X-Model-Version": champion.version.version})


def scored(
    here: Service, champion: ServedModel, body: bytes, kind: str, answer_kind: str, inputs: bool = False
) -> bytes:
    """The answer to a batch, as bytes of `answer_kind`. Raises Problem where nothing of it can be used."""
    # Arrow comes with the first batch: a service that is only asked about single readings goes without its memory.
    from ..http.batch_request import NAMING, read_batch
    from ..http.batch_response import as_json, as_table, score_batch

    limits = champion.scorer.spec.limits
    naming = NAMING if inputs else ()
    batch = read_batch(body, kind, here.settings.max_rows, limits, here.params.columns.aliases, naming)
    answer = score_batch(batch, champion)
    here.metrics.scored_batch(champion.version.version, answer.probabilities, int(answer.decisions.sum()))
    here.metrics.reject(field for errors in batch.errors.values() for field, _ in errors)
    return as_json(answer, here.model_name) if answer_kind == JSON else as_table(answer, answer_kind, inputs)


async def _reading(here: Service, request: Request) -> tuple[ServedModel, dict[str, Any]]:
    """The champion, and the one valid reading of a request's body. A reading that is none is counted."""
    request_media_type(request, (JSON,))
    try:
        reading = checked_json(_READING, await read_body(request, here.settings.max_request_bytes))
        champion = here.champion()
        _check_limits(champion, reading)
    except Problem as problem:
        here.metrics.reject(field for _, field, _ in problem.errors)
        raise
    return champion, reading


def _flag(request: Request, name: str) -> bool:
    """A parameter of the query that is true or false. Raises Problem 422 for anything else."""
    if not request.scope["query_string"]:
        return False
    try:
        return _FLAG.validate_python(request.query_params.get(name, "false"))
    except ValidationError:
        raise field_problem([(None, name, "is neither true nor false")]) from None


def _check_limits(champion: ServedModel, reading: dict[str, Any]) -> None:
    """Raises Problem 422 for each sensor outside of its physical limits, which travel with the model."""
    limits = champion.scorer.spec.limits
    wrong = [name for name in SENSOR_NAMES if not limits[name][0] <= reading[name] <= limits[name][1]]
    if wrong:
        raise field_problem([(None, name, limit_reason(name, *limits[name])) for name in wrong])
