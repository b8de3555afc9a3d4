"""The latest check of production by `predictive-maintenance monitor --watch`."""

from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Request, Response

from ..problem_responses import ProblemDetails
from ..schemas.monitoring import Monitoring
from ..service import get_service
from .store_answers import answer_from_store

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

router = APIRouter(prefix="/monitoring", tags=["store"])

_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ProblemDetails} for code in (401, 503)}
_NEVER: dict[str, Any] = {"model_version": None, "windows": [], "lasting": [], "silent_machines": [], "silent_count": 0}


@router.get("", summary="Get the latest check of production", response_model=Monitoring, responses=_ERRORS)
async def monitoring(request: Request) -> Response:
    """The latest check: windows of production compared with training, and the performance where labels are known.

    `predictive-maintenance monitor --watch` keeps it: nothing is computed for this answer, and its size is bounded.
    """
    name = get_service(request).model_name

    def read(store: "Store") -> dict[str, Any]:
        from predictive_maintenance.store.times import seconds_as_text

        if (found := store.production_check(name)) is None:
            return {"model_name": name, "checked": None, **_NEVER}
        checked, content = found
        return {"model_name": name, "checked": seconds_as_text(checked), **msgspec.json.decode(content)}

    return await answer_from_store(request, read)
