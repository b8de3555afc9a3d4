"""Incidents: what `predictive-maintenance monitor --watch` found and keeps in the store."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from ..problem_responses import ProblemDetails
from ..schemas.incidents import IncidentList
from ..service import get_service
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.store.rows import Incident
    from predictive_maintenance.store.store import Store

router = APIRouter(prefix="/incidents", tags=["store"])

_MOST_SHOWN = 1_000
_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ProblemDetails} for code in (401, 422, 503)}


@router.get("", summary="List the incidents of monitoring", response_model=IncidentList, responses=_ERRORS)
async def incidents(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_SHOWN, description="Most incidents in the answer.")] = 100,
) -> Response:
    """Lasting differences between production and training, and scheduled trainings: the open one, then the newest first.

    `monitor --watch` opens and closes them.
    """
    name = get_service(request).model_name

    def read(store: "Store") -> dict[str, Any]:
        return {"model_name": name, "incidents": [_shown(one) for one in store.incidents(name, most=limit)]}

    return await answer_from_store(request, read)


def _shown(incident: "Incident") -> dict[str, Any]:
    """An incident as `schemas.incidents.Incident` has it."""
    return {
        "incident": incident.key,
        "model_version": incident.version,
        "opened": _time(incident.opened),
        "reasons": incident.reasons,
        "training_started": _time(incident.trained),
        "training_ended": _time(incident.training_ended),
        "training_result": incident.training_result,
        "closed": _time(incident.closed),
        "closed_by": incident.closed_by,
    }


def _time(seconds: int | None) -> str | None:
    from predictive_maintenance.store.times import seconds_as_text

    return None if seconds is None else seconds_as_text(seconds)
