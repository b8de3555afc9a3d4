"""Error responses: problem details for HTTP APIs (RFC 9457), with one entry in `errors` for each invalid field."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import Scope

from predictive_maintenance.errors import RegistryError, StoreError, is_disk_full

from .problems import Problem, disk_full_problem, field_problem, store_problem

MEDIA_TYPE = "application/problem+json"

_log = structlog.get_logger()


class FieldError(BaseModel):
    """One invalid field."""

    row: int | None = Field(None, description="Row of the batch, counted from 1; null for a single reading.")
    field: str = Field(description="The invalid field; empty for the whole body or row.", examples=["torque_nm"])
    reason: str = Field(description="Why the field is invalid.", examples=["is missing"])


class ProblemDetails(BaseModel):
    """An error response (RFC 9457)."""

    type: str = Field("about:blank", description="Always `about:blank`: the status is the type of the problem.")
    title: str = Field(description="Reason phrase of the status.", examples=["Unprocessable Content"])
    status: int = Field(description="HTTP status.", examples=[422])
    detail: str = Field(description="What is wrong, in one sentence.", examples=["torque_nm: is missing"])
    request_id: str = Field(description="Id of the request in the service's log, also sent as `X-Request-ID`.")
    errors: list[FieldError] = Field([], description="Every invalid field, at most 100.")


def install(app: FastAPI) -> None:
    """Replace the exception handlers that FastAPI brings with `error_response`."""

    async def handle(request: Request, error: Exception) -> Response:
        return error_response(request.scope, error)

    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handle)


def error_response(scope: Scope, error: Exception) -> Response:
    """Return the response to any exception. An unexpected one is logged, and its text is not sent to the client."""
    match error:
        case Problem():
            problem = error
        case RegistryError():
            problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        case StoreError():
            problem = store_problem(error)
        case HTTPException():
            problem = Problem(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)
        case RequestValidationError():
            problem = field_problem([(None, str(detail["loc"][-1]), detail["msg"]) for detail in error.errors()])
        case OSError() if is_disk_full(error):
            _log.error("disk full", request_id=scope.get("request_id"), reason=str(error))
            problem = disk_full_problem()
        case _:
            _log.error("unexpected error", request_id=scope.get("request_id"), exc_info=error)
            trace.get_current_span().record_exception(error)
            detail = "internal error: report it to the operator of this service with the request id"
            problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
    return _problem_response(scope, problem)


def _problem_response(scope: Scope, problem: Problem) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        "request_id": scope.get("request_id", ""),
        "errors": [{"row": row, "field": field, "reason": reason} for row, field, reason in problem.errors],
    }
    return Response(to_json(body), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)
