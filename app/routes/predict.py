"""Scoring of one reading or a batch, and what-if analysis."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from predictive_maintenance.errors import DataError
from predictive_maintenance.history.features import complete_reading
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.unit_hints import conversion_hint
from predictive_maintenance.validation.value_validation import invalid_values

from ..http.disconnect import run_while_connected
from ..http.fast_path import FastPathRoute
from ..http.json_validation import FieldError, validate_reading
from ..http.media_types import JSON, MEDIA_TYPES, TABLES, request_media_type, response_media_type
from ..http.request_body import read_body
from ..problem_responses import ProblemDetails
from ..problems import Problem, count_by_field, field_problem
from ..schemas.events import EVENTS, as_events
from ..schemas.prediction import BatchPrediction, Prediction, WhatIf
from ..schemas.reading import HISTORY
from ..service import Service, get_service
from ..serving.assessment import assess, explanation_response, what_if_response
from ..serving.prediction_log import scored_reading
from ..serving.served_model import ServedModel
from .batches import ANSWER_HEADERS, score_batch

router = APIRouter(tags=["predict"], route_class=FastPathRoute)
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ProblemDetails} for code in (400, 401, 406, 413, 415, 422, 503, 504)
}

_FLAG: TypeAdapter[bool] = TypeAdapter(bool)
_NUMBERS = (int, float)
_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "Add the contribution of each sensor and the distance from each operating limit.",
    "schema": {"type": "boolean", "default": False},
}
_INPUTS = {
    "name": "inputs",
    "in": "query",
    "description": "Add the readings to an answer that is a table.",
    "schema": {"type": "boolean", "default": False},
}
LOG = {
    "name": "log",
    "in": "query",
    "description": "Count the readings and log the predictions, for monitoring and feedback. Send false for a trial.",
    "schema": {"type": "boolean", "default": True},
}
_BATCH_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "model": BatchPrediction,
        "headers": ANSWER_HEADERS,
        "content": {table: {"schema": {"type": "string", "format": "binary"}} for table in TABLES},
    }
}


@router.post(
    "/predict",
    summary="Score one reading",
    response_model=Prediction,
    responses=ERRORS,
    openapi_extra={"parameters": [_EXPLAIN, LOG]},
)
async def predict(request: Request) -> Response:
    """Failure probability, decision, risk level, cost, exceeded operating limits and recommended action.

    A key that appears more than once in the reading, its history or its events is an error (422).
    """
    service = get_service(request)
    explain, is_logged = _flag(request, "explain"), _flag(request, "log", default="true")
    model, reading = await _read_reading(service, request, is_logged=is_logged)
    try:
        answer = assess(model, service.model_name, reading)
    except DataError as error:
        raise _without_value(service, model, reading, error, is_logged=is_logged) from None
    if explain:
        explanation = await run_while_connected(request, service.executor.run(model.explainer.explain, reading))
        answer["explanation"] = explanation_response(explanation, model.scorer.machine, reading)
    if is_logged:
        service.metrics.count_reading(model.version.version, answer["failure_probability"], answer["predicted_failure"])
    if is_logged and service.log:
        service.log.add(scored_reading(model, reading, answer, request.scope.get("request_id", "")))
    return Response(to_json(answer), media_type=JSON)


@router.post(
    "/predict/what-if",
    summary="Run a what-if analysis",
    response_model=WhatIf,
    responses=ERRORS,
)
async def predict_what_if(request: Request) -> Response:
    """The failure probability for other values of each sensor, and the nearest value at which the decision changes.

    The values cover the sensor's range in training; the other sensors stay fixed. The reading is neither counted nor logged.
    """
    service = get_service(request)
    model, reading = await _read_reading(service, request, is_logged=False)
    try:
        answer = await run_while_connected(request, service.executor.run(what_if_response, model, reading))
    except DataError as error:
        raise _without_value(service, model, reading, error, is_logged=False) from None
    return Response(to_json(answer), media_type=JSON)


@router.post(
    "/predict/batch",
    summary="Score a batch",
    response_model=BatchPrediction,
    responses=ERRORS | _BATCH_ANSWER,
    openapi_extra={"parameters": [_INPUTS, LOG]},
)
async def predict_batch(request: Request) -> Response:
    """Readings as JSON records, JSON columns, CSV, Parquet or Arrow. The Accept header selects the format of the answer.

    Each invalid row gets its errors; the other rows are scored. A table's columns are matched by their headers, which may
    have units; unknown columns are ignored. With `inputs`, a table of answers also has the readings, in canonical columns
    and units. CSV is written for programs: an id that a spreadsheet would read as a formula is not escaped.
    """
    inputs, is_logged = _flag(request, "inputs"), _flag(request, "log", default="true")
    media_type = request_media_type(request, MEDIA_TYPES)
    answer_type = response_media_type(request, MEDIA_TYPES, media_type)
    if inputs and answer_type == JSON:
        raise field_problem([(None, "inputs", f"needs a table as answer: accept {' or '.join(TABLES)}")])
    return await score_batch(request, media_type, answer_type, inputs=inputs, is_logged=is_logged)


async def _read_reading(service: Service, request: Request, *, is_logged: bool) -> tuple[ServedModel, dict[str, Any]]:
    """Return the served model and the reading in the body. Raises Problem for an invalid reading, and counts it if logged."""
    request_media_type(request, (JSON,))
    body = bytes(await read_body(request, service.settings.max_reading_bytes, "PDM_MAX_READING_BYTES"))
    model = service.served_model()
    try:
        reading = validate_reading(body, model.schema, partial(range_errors, model))
    except Problem as problem:
        raise counted(service, model, problem, is_logged=is_logged) from None
    machine = model.scorer.machine
    try:
        events = as_events(reading.get(EVENTS, {}), machine)
        return model, dict(complete_reading(machine, reading, reading.get(HISTORY, ()), events))
    except DataError as error:
        raise counted(service, model, field_problem([_past_error(str(error))]), is_logged=is_logged) from None


def _past_error(text: str) -> FieldError:
    """The field of an error in the history or the events of a reading."""
    field, _, reason = text.partition(": ")
    return (None, field, reason) if field in (HISTORY, EVENTS) else (None, HISTORY, text)


def _without_value(
    service: Service, model: ServedModel, reading: Mapping[str, Any], error: DataError, *, is_logged: bool
) -> Problem:
    """The problem of a reading with valid values for which a formula has no finite value, as in a batch."""
    machine = model.scorer.machine
    columns = {name: np.array([reading[name]], dtype=object) for name in machine.category_names}
    numbers = (*machine.sensor_names, *machine.time_names, *machine.history_features)
    columns |= {name: np.array([reading.get(name)], dtype=np.float64) for name in numbers}
    faults = invalid_values(columns, machine.input_names, machine)
    errors: list[FieldError] = [(None, fault.column, fault.reason) for fault in faults]
    return counted(service, model, field_problem(errors or [(None, "", str(error))]), is_logged=is_logged)


def counted(service: Service, model: ServedModel, problem: Problem, *, is_logged: bool = True) -> Problem:
    """`problem` of a reading, after it is counted, unless the request is not logged."""
    if is_logged:
        fields = count_by_field((field for _, field, _ in problem.errors), model.schema.names)
        service.metrics.count_rejected(fields)
        if service.log:
            service.log.inputs.add(rejected=1, fields=fields)
    return problem


def _flag(request: Request, name: str, default: str = "false") -> bool:
    """Return a boolean query parameter. Raises Problem 422 for any other value."""
    if not request.scope["query_string"]:
        return default == "true"
    try:
        return _FLAG.validate_python(request.query_params.get(name, default))
    except ValidationError:
        raise field_problem([(None, name, "should be true or false")]) from None


def range_errors(model: ServedModel, values: Mapping[str, Any]) -> list[FieldError]:
    """An error for each sensor in `values` outside its physical limits, which the version describes.

    A value that would be within its range in training after a conversion of the unit gets a hint.
    """
    machine = model.scorer.machine
    wrong, history = _names_out_of_range(machine, values), values.get(HISTORY, ())
    if not wrong and not history:
        return []
    hints = {
        name: conversion_hint(machine.columns[name], model.training_ranges.get(name), values[name]) for name in wrong
    }
    errors: list[FieldError] = [(None, name, machine.range_reason(name) + hint) for name, hint in hints.items()]
    for place, earlier in enumerate(history):
        names = _names_out_of_range(machine, earlier) if isinstance(earlier, dict) else []
        if names:  # as validation of a list, this ends at its first invalid entry
            return errors + [(None, f"{HISTORY}.{place}.{name}", machine.range_reason(name)) for name in names]
    return errors


def _names_out_of_range(machine: Machine, values: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, (low, high) in machine.ranges.items()
        if isinstance(value := values.get(name), _NUMBERS) and not low <= value <= high
    ]
