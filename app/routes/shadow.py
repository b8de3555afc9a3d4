"""The candidate beside the version in production: what `predictive-maintenance shadow` counts in the store."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from ..problem_responses import ProblemDetails
from ..schemas.shadow import ComparisonList
from ..service import get_service
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.shadow.summary import Summary
    from predictive_maintenance.store.rows import DecisionCounts
    from predictive_maintenance.store.store import Store

router = APIRouter(prefix="/shadow", tags=["store"])

_MOST_SHOWN = 20
_READINGS = 1_000
_DAY_SECONDS = 86_400
_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ProblemDetails} for code in (401, 422, 503)}


@router.get("", summary="Compare the candidate with production", response_model=ComparisonList, responses=_ERRORS)
async def shadow(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_SHOWN, description="Most comparisons in the answer.")] = 1,
    machines: Annotated[int, Query(ge=0, le=1_000, description="Most machines of each comparison.")] = 20,
) -> Response:
    """How the candidate decides about the readings that production scores. `predictive-maintenance shadow` counts it."""
    name = get_service(request).model_name

    def read(store: "Store") -> dict[str, Any]:
        from predictive_maintenance.shadow.summary import summarise
        from predictive_maintenance.store import comparisons

        found = [summarise(store, one, most_machines=machines) for one in comparisons.find(store, name, most=limit)]
        return {"model_name": name, "comparisons": [_shown(one) for one in found]}

    return await answer_from_store(request, read)


def _shown(summary: "Summary") -> dict[str, Any]:
    """A comparison as `schemas.shadow.Comparison` has it."""
    from predictive_maintenance.store.times import seconds_as_text

    comparison, counts = summary.comparison, summary.counts
    return {
        "model_version": comparison.version,
        "candidate_version": comparison.candidate,
        "state": comparison.state,
        "reason": comparison.reason,
        "started": seconds_as_text(comparison.started),
        "updated": seconds_as_text(comparison.checked),
        "predictions": counts.predictions,
        "left_out": comparison.left_out,
        "agreement": summary.agreement and vars(summary.agreement),
        "alarm_agreement": summary.alarm_agreement and vars(summary.alarm_agreement),
        "alarms_of_both": counts.both,
        "only_production": counts.only_production,
        "only_candidate": counts.only_candidate,
        "mean_absolute_difference": _mean_difference(counts),
        "currency": comparison.currency,
        "costs_by_production": _costs(counts, counts.costs_production, counts.costs_candidate_by_production),
        "costs_by_candidate": _costs(counts, counts.costs_production_by_candidate, counts.costs_candidate),
        "outcomes": comparison.labelled,
        "days": [
            {
                "day": seconds_as_text(day * _DAY_SECONDS)[:10],
                "predictions": found.predictions,
                "same_decision": found.same,
            }
            for day, found in sorted(summary.days.items())
        ],
        "machines": [
            {
                "machine_id": name,
                "predictions": found.predictions,
                "only_production": found.only_production,
                "only_candidate": found.only_candidate,
                "mean_absolute_difference": _mean_difference(found),
            }
            for name, found in summary.machines
            if found.different
        ],
        "promotion": comparison.promotion,
    }


def _mean_difference(counts: "DecisionCounts") -> float | None:
    return counts.difference / counts.predictions if counts.predictions else None


def _costs(counts: "DecisionCounts", production: float, candidate: float) -> dict[str, float] | None:
    """Costs of 1,000 readings."""
    if not counts.predictions:
        return None
    scale = _READINGS / counts.predictions
    return {"production": production * scale, "candidate": candidate * scale}
