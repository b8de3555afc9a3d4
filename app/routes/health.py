"""For machines that look after machines: alive, ready, metrics."""

import time
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from ..metrics import CONTENT_TYPE
from ..problems import ProblemDetails
from ..schemas.model import Health
from ..service import Service, service

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Alive, and how it is", response_model=Health)
async def health(request: Request) -> Any:
    """200 as soon as the process serves; what is wrong stands in the answer."""
    return describe(service(request))


@router.head("/ready", include_in_schema=False)
@router.get("/ready", summary="Ready to score", response_model=Health, responses={503: {"model": ProblemDetails}})
async def ready(request: Request) -> Any:
    """200 with a champion that passed its golden rows, 503 with the reason otherwise; of the worker that answers."""
    service(request).champion()
    return describe(service(request))


@router.get(
    "/metrics", summary="For Prometheus", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    here = service(request)
    return Response(here.metrics.render(here.follower.following.last_success), HTTPStatus.OK, media_type=CONTENT_TYPE)


def describe(here: Service) -> Health:
    """The state of the service, in words for a person and in fields for a program."""
    champion, following = here.follower.champion, here.follower.following
    trouble = here.follower.trouble
    return Health(
        status="not ready" if champion is None else "degraded" if trouble else "ok",
        trouble=trouble,
        serving_version=champion.version.version if champion else None,
        production_version=following.production,
        serving_since=champion.serving_since.isoformat(timespec="seconds") if champion else None,
        restored_from_disk=following.restored and following.last_success is None,
        registry_answered_seconds_ago=(
            None if following.last_success is None else round(time.time() - following.last_success, 1)
        ),
    )
