"""Messages about alarms that `predictive-maintenance notify` has not delivered."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from ..problem_responses import ProblemDetails
from ..schemas.deliveries import DeliveryList
from ..service import get_service
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.machine.machine import Machine
    from predictive_maintenance.store.rows import Delivery
    from predictive_maintenance.store.store import Store

router = APIRouter(prefix="/deliveries", tags=["store"])

_MOST_SHOWN = 1_000
_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ProblemDetails} for code in (401, 422, 503)}


@router.get("", summary="List messages that were not delivered", response_model=DeliveryList, responses=_ERRORS)
async def deliveries(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MOST_SHOWN, description="Most messages in the answer.")] = 100,
) -> Response:
    """Messages about alarms for another system that were given up, or wait to be sent again.

    `notify` sends them; `notify --repeat-dead` sends those again that were given up.
    """
    service = get_service(request)
    name, machine = service.model_name, service.served_model().scorer.machine

    def read(store: "Store") -> dict[str, Any]:
        from predictive_maintenance.store.times import seconds_as_text

        counts = store.delivery_counts(name)
        failed = [*store.deliveries(name, "dead", most=limit), *store.deliveries(name, "waiting", most=limit)]
        return {
            "model_name": name,
            "began": seconds_as_text(counts.began) if counts.began else None,
            "waiting": counts.waiting,
            "dead": counts.dead,
            "messages": [_shown(one, machine) for one in failed[:limit]],
        }

    return await answer_from_store(request, read)


def _shown(delivery: "Delivery", machine: "Machine") -> dict[str, Any]:
    """A delivery as `schemas.deliveries.Message` has it."""
    from predictive_maintenance.store.times import seconds_as_text, shown_time

    return {
        "machine_id": delivery.machine_id,
        "opened": shown_time(delivery.alarm.opened, machine),
        "event": f"alarm.{delivery.what}",
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt": seconds_as_text(delivery.due) if delivery.state == "waiting" else None,
        "reason": delivery.reason,
    }
