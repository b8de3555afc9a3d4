"""Errors in one shape: problem details for HTTP APIs, RFC 9457, with the fields at fault in `errors`."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import Scope

from predictive_maintenance.errors import RegistryError

MEDIA_TYPE = "application/problem+json"

_MOST_ERRORS = 100
_log = structlog.get_logger()


class FieldError(BaseModel):
    """One thing that is wrong, and where. `row` counts from 1 in a batch."""

    row: int | None = Field(None, description="Row of a batch, from 1.")
    field: str = Field(description="The field at fault; empty for the whole body or row.", examples=["torque_nm"])
    reason: str = Field(examples=["is missing"])


class ProblemDetails(BaseModel):
    """What every error looks like (RFC 9457)."""

    type: str = Field("about:blank")
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["torque_nm: is missing"])
    request_id: str = Field(description="To find the request in the logs.")
    errors: list[FieldError] = Field([], description="Every field at fault, up to 100.")


class Problem(Exception):  # noqa: N818  the word of RFC 9457
    """An error for the client. `errors` are (row or None, field, reason)."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        errors: Sequence[tuple[int | None, str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, dict(headers or {})


def field_problem(errors: Sequence[tuple[int | None, str, str]]) -> Problem:
    """422 for fields that are wrong: the first ones in the sentence, and up to 100 of them in `errors`."""
    shown = "; ".join(f"{field}: {reason}" if field else reason for _, field, reason in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, shown + more, errors[:_MOST_ERRORS])


def install(app: FastAPI) -> None:
    """Give every error of `app` this shape."""

    @app.exception_handler(Problem)
    async def told(request: Request, problem: Problem) -> Response:
        return problem_response(request.scope, problem)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return problem_response(
            request.scope, Problem(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)
        )

    @app.exception_handler(RegistryError)
    async def registry_away(request: Request, error: RegistryError) -> Response:
        return problem_response(request.scope, Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))

    @app.exception_handler(RequestValidationError)
    async def wrong_parameter(request: Request, error: RequestValidationError) -> Response:
        details = [(None, str(detail["loc"][-1]), detail["msg"]) for detail in error.errors()]
        return problem_response(request.scope, field_problem(details))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return unexpected(request.scope, error)


def unexpected(scope: Scope, error: Exception) -> Response:
    """The answer to what nobody foresaw, which is told to the log."""
    _log.error("unexpected error", request_id=scope.get("request_id"), exc_info=error)
    detail = "an unexpected error, which is not yours: report it with the request id"
    return problem_response(scope, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail))


def problem_response(scope: Scope, problem: Problem) -> Response:
    """The answer that tells a problem; its request id is the one that the middleware put into `scope`."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        "request_id": scope.get("request_id", ""),
        "errors": [{"row": row, "field": field, "reason": reason} for row, field, reason in problem.errors],
    }
    return Response(to_json(body), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)
