"""What people found out about alarms and predictions."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import FailFast, Field, TypeAdapter, ValidationError

from predictive_maintenance.machine.machine import Machine

from ..access import actor_of, sees_people
from ..http.disconnect import run_while_connected
from ..http.json_validation import json_problem
from ..http.media_types import JSON, request_media_type
from ..http.request_body import read_body
from ..problem_responses import ProblemDetails
from ..schemas.feedback import MOST_REPORTS, Feedback, FeedbackList, KeptFeedback
from ..service import get_service
from ..serving.kept_feedback import feedback_rows, keep_feedback
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import StoredFeedback
    from predictive_maintenance.store.store import Store

router = APIRouter(prefix="/feedback", tags=["store"])

_MOST_BYTES = 256 * 1024
_MOST_SHOWN = 1_000
_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ProblemDetails} for code in (400, 401, 413, 415, 422, 503)}
_ONE: TypeAdapter[Feedback] = TypeAdapter(Feedback)
_MANY: TypeAdapter[list[Feedback]] = TypeAdapter(
    Annotated[list[Feedback], FailFast(), Field(min_length=1, max_length=MOST_REPORTS)]
)
_BODY = {
    "required": True,
    "content": {
        JSON: {
            "schema": {"anyOf": [Feedback.model_json_schema(), {"type": "array", "items": Feedback.model_json_schema()}]},
            "example": {
                "machine_id": "P001", "alarm": "2025-06-30T12:00:00Z", "verdict": "confirmed", "failure_mode": "seal_failure",
                "by": "A. Smith",
            },
        }
    },
}  # fmt: skip


@router.post(
    "",
    summary="Report what was found out",
    response_model=KeptFeedback,
    responses=_ERRORS,
    openapi_extra={"requestBody": _BODY},
)
async def post_feedback(request: Request) -> Any:
    """Keep a report about an alarm or a prediction, or a list of at most 1,000, completely or not at all.

    All reports are kept, and the newest one about a subject counts. The same report again is not stored again. A report may
    come late: for an alarm that is closed, and for a version that is not served any more. Failures of machines with a table of
    failures are events: send them to /events.
    """
    service, actor = get_service(request), actor_of(request)
    request_media_type(request, (JSON,))
    body = bytes(await read_body(request, _MOST_BYTES, "no setting changes it: send reports in parts"))
    model = service.served_model()
    given = _read(body)
    machine, name = model.scorer.machine, service.model_name
    rows = feedback_rows(machine, given, service.settings.max_clock_skew_seconds)
    kept = service.store.write(lambda store: keep_feedback(store, machine, name, rows, actor))
    return KeptFeedback(**await run_while_connected(request, kept))


@router.get("", summary="List the reports", response_model=FeedbackList, responses=_ERRORS)
async def get_feedback(
    request: Request,
    state: Annotated[Literal["current", "all"], Query(description="The reports that count, or all.")] = "current",
    limit: Annotated[int, Query(ge=1, le=_MOST_SHOWN, description="Most reports in the answer.")] = 100,
    before: Annotated[int, Query(ge=1, lt=2**63, description="`next` of the page before.")] = 2**63 - 1,
) -> Response:
    """Reports about alarms and predictions, the newest first."""
    service = get_service(request)
    machine, name = service.served_model().scorer.machine, service.model_name
    with_names = sees_people(request)

    def read(store: "Store") -> dict[str, Any]:
        found = store.feedback(name, only_current=state == "current", before=before, most=limit + 1)
        shown = found[:limit]
        return {
            "model_name": name,
            "feedback": [_shown(one, machine, with_names) for one in shown],
            "next": shown[-1].key if len(found) > limit else None,
        }

    return await answer_from_store(request, read)


def _read(body: bytes) -> list[Feedback]:
    """The reports in a body. Raises Problem for an invalid one."""
    is_list = body[:64].lstrip()[:1] == b"["
    try:
        return _MANY.validate_json(body) if is_list else [_ONE.validate_json(body)]
    except ValidationError as error:
        raise json_problem(error, tuple(Feedback.model_fields)) from None


def _shown(report: "StoredFeedback", machine: Machine, with_names: bool) -> dict[str, Any]:
    """A report as `schemas.feedback.StoredFeedback` has it, without who reported it unless `with_names`."""
    from predictive_maintenance.store.times import seconds_as_text, shown_time

    kind, name, place = report.subject.kind, report.subject.name, report.subject.place
    return {
        "machine_id": name if kind == "alarm" else None,
        "alarm": shown_time(place, machine) if kind == "alarm" else None,
        "reading_id": name if kind == "reading" else None,
        "request_id": name if kind == "request" else None,
        "row": place if kind == "request" else None,
        "verdict": report.verdict,
        "failure_mode": report.mode,
        "failed": None if report.failed is None else shown_time(report.failed, machine),
        "comment": report.comment,
        "by": report.author if with_names else None,
        "received": seconds_as_text(report.received),
        "is_current": report.is_current,
    }
