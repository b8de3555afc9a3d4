"""Scoring of one reading or a batch, and what-if analysis."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.machine.sensors import SENSOR_NAMES, limit_reason
from predictive_maintenance.machine.unit_hints import conversion_hint

from ..http.disconnect import run_while_connected
from ..http.fast_path import FastPathRoute
from ..http.json_validation import READING, FieldError, validate_reading
from ..http.media_types import CSV, JSON, MEDIA_TYPES, TABLES, request_media_type, response_media_type
from ..http.request_body import read_body
from ..problem_responses import ProblemDetails
from ..problems import Problem, field_problem
from ..schemas.prediction import (
    EXAMPLE_HEALTHY,
    EXAMPLE_OVERSTRAINED,
    BatchPrediction,
    Prediction,
    Readings,
    WhatIf,
)
from ..service import Service, get_service
from ..serving.assessment import assess, explanation_response, what_if_response
from ..serving.served_model import ServedModel
from .batches import score_batch

router = APIRouter(tags=["predict"], route_class=FastPathRoute)
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemDetails} for code in (400, 401, 406, 413, 415, 422, 503, 504)
}

_FLAG: TypeAdapter[bool] = TypeAdapter(bool)
_COLUMNAR = {name: [reading[name] for reading in (EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED)] for name in EXAMPLE_HEALTHY}
_CSV = "\n".join(
    ",".join(str(reading[name]) for name in EXAMPLE_HEALTHY) for reading in (EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED)
)
_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "Add the contribution of each sensor and the distance from each operating limit.",
    "schema": {"type": "boolean", "default": False},
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": READING.json_schema(),
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
    "description": "Add the readings to an answer that is a table.",
    "schema": {"type": "boolean", "default": False},
}
BATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "anyOf": [
                        {"type": "array", "minItems": 1, "items": READING.json_schema()},
                        TypeAdapter(Readings).json_schema(),
                    ]
                },
                "examples": {
                    "records": {"summary": "Records", "value": [EXAMPLE_HEALTHY, EXAMPLE_OVERSTRAINED]},
                    "columns": {"summary": "Columns", "value": _COLUMNAR},
                },
            },
            CSV: {"schema": {"type": "string"}, "example": f"{','.join(EXAMPLE_HEALTHY)}\n{_CSV}\n"},
            **{table: {"schema": {"type": "string", "format": "binary"}} for table in TABLES if table != CSV},
        },
    }
}
_BATCH_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": BatchPrediction,
        "content": {table: {"schema": {"type": "string", "format": "binary"}} for table in TABLES},
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
    """Failure probability, decision, risk level, cost, exceeded operating limits and recommended action.

    A key that appears more than once in the reading is an error (422).
    """
    service = get_service(request)
    explain = _flag(request, "explain")
    model, reading = await _read_reading(service, request)
    answer = assess(model, service.model_name, reading)
    if explain:
        explanation = await run_while_connected(request, service.executor.run(model.explainer.explain, reading))
        answer["explanation"] = explanation_response(explanation, reading)
    service.metrics.count_reading(model.version.version, answer["failure_probability"], answer["predicted_failure"])
    return Response(to_json(answer), media_type=JSON)


@router.post(
    "/predict/what-if",
    summary="Run a what-if analysis",
    response_model=WhatIf,
    responses=ERRORS,
    openapi_extra=_BODY,
)
async def predict_what_if(request: Request) -> Response:
    """The failure probability for other values of each sensor, and the nearest value at which the decision changes.

    The values cover the sensor's range in training; the other sensors stay fixed. The reading is not counted in the metrics.
    """
    service = get_service(request)
    model, reading = await _read_reading(service, request)
    answer = await run_while_connected(request, service.executor.run(what_if_response, model, reading))
    return Response(to_json(answer), media_type=JSON)


@router.post(
    "/predict/batch",
    summary="Score a batch",
    response_model=BatchPrediction,
    responses=ERRORS | _BATCH_ANSWER,
    openapi_extra=BATCH_BODY | {"parameters": [_INPUTS]},
)
async def predict_batch(request: Request) -> Response:
    """Readings as JSON records, JSON columns, CSV, Parquet or Arrow. The Accept header selects the format of the answer.

    Each invalid row gets its errors; the other rows are scored. A table's columns are matched by their headers, which may
    have units; unknown columns are ignored. With `inputs`, a table of answers also has the readings, in canonical columns
    and units. CSV is written for programs: an id that a spreadsheet would read as a formula is not escaped.
    """
    inputs = _flag(request, "inputs")
    media_type = request_media_type(request, MEDIA_TYPES)
    answer_type = response_media_type(request, MEDIA_TYPES, media_type)
    if inputs and answer_type == JSON:
        raise field_problem([(None, "inputs", f"needs a table as answer: accept {' or '.join(TABLES)}")])
    return await score_batch(request, media_type, answer_type, inputs=inputs)


async def _read_reading(service: Service, request: Request) -> tuple[ServedModel, dict[str, Any]]:
    """Return the served model and the reading in the body. Raises Problem for an invalid reading, and counts it."""
    request_media_type(request, (JSON,))
    try:
        body = bytes(await read_body(request, service.settings.max_reading_bytes, "PDM_MAX_READING_BYTES"))
        model = service.watcher.model
        reading = validate_reading(body, partial(_range_errors, model))
        if model is None:
            raise service.no_model()
    except Problem as problem:
        service.metrics.count_rejected(Counter(field for _, field, _ in problem.errors))
        raise
    return model, reading


def _flag(request: Request, name: str) -> bool:
    """Return a boolean query parameter, false if it is not given. Raises Problem 422 for any other value."""
    if not request.scope["query_string"]:
        return False
    try:
        return _FLAG.validate_python(request.query_params.get(name, "false"))
    except ValidationError:
        raise field_problem([(None, name, "should be true or false")]) from None


def _range_errors(model: ServedModel | None, values: Mapping[str, Any]) -> list[FieldError]:
    """An error for each sensor in `values` outside its physical limits, which the model version declares.

    A value that would be within its range in training after a conversion of the unit gets a hint.
    """
    if model is None:
        return []
    limits, usual = model.scorer.spec.limits, model.training_ranges
    wrong = [name for name in SENSOR_NAMES if name in values and not limits[name][0] <= values[name] <= limits[name][1]]
    hints = {name: conversion_hint(MILLING.columns[name], usual.get(name), values[name]) for name in wrong}
    return [(None, name, limit_reason(name, *limits[name]) + hint) for name, hint in hints.items()]
