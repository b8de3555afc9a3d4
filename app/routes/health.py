"""Liveness, readiness and metrics."""

import asyncio
import os
import time
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Request, Response

from predictive_maintenance.config.params_reader import MACHINE_VARIABLE
from predictive_maintenance.errors import StoreError

from ..metrics import CONTENT_TYPE, LatestCheck, StoreMetrics
from ..problem_responses import ProblemDetails
from ..problems import Problem
from ..schemas.health import Health
from ..service import Service, get_service

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

router = APIRouter(tags=["health"])

_STORE_SECONDS = 1.0
"""For which metrics wait for the store: Prometheus gives up after 10 s by default."""


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Check liveness", response_model=Health)
async def health(request: Request) -> Any:
    """Always 200 while the process runs. The answer says whether a model is served and what is wrong, without addresses."""
    return describe_health(get_service(request))


@router.head("/ready", include_in_schema=False)
@router.get("/ready", summary="Check readiness", response_model=Health, responses={503: {"model": ProblemDetails}})
async def ready(request: Request) -> Any:
    """200 if this worker serves a model that passed its golden-row check, otherwise 503 with the reason."""
    service = get_service(request)
    service.served_model()
    return describe_health(service)


@router.get(
    "/metrics", summary="Get metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
async def metrics(request: Request) -> Response:
    """Metrics in the text format of Prometheus."""
    service = get_service(request)
    content = service.metrics.render(service.watcher.state.last_success, await _of_store(service))
    return Response(content, HTTPStatus.OK, media_type=CONTENT_TYPE)


class _CheckContent(msgspec.Struct):
    silent_count: int


async def _of_store(service: Service) -> StoreMetrics | None:
    """What the store knows for the metrics; None if it is not used, or does not answer in time."""
    if not service.store.access.is_used:  # a request for metrics should not make a store
        return None
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            return await service.store.read(partial(_read, service.model_name), notes_use=False)
    except (StoreError, TimeoutError, Problem):  # the store is away, which /health reports, or has a long queue
        return None


def _read(model_name: str, store: "Store") -> StoreMetrics:
    check = None
    if found := store.production_check(model_name):
        checked, content = found
        silent = msgspec.json.decode(content, type=_CheckContent).silent_count
        check = LatestCheck(checked, silent, int(store.open_incident(model_name) is not None))
    return StoreMetrics(store.delivery_counts(model_name), check)


def describe_health(service: Service, *, details: bool = False) -> Health:
    """Return the state of the service. Only `details` may contain addresses: some health routes need no key."""
    model, state = service.watcher.model, service.watcher.state
    warning = service.warning if details else service.summary
    return Health(
        status="not ready" if model is None else "degraded" if warning else "ok",
        warning=warning,
        serving_version=model.version.version if model else None,
        production_version=state.production,
        serving_since=model.serving_since.isoformat(timespec="seconds") if model else None,
        restored_from_disk=state.restored and state.last_success is None,
        machine=os.environ.get(MACHINE_VARIABLE) or None,
        registry_answered_seconds_ago=(
            None if state.last_success is None else round(time.time() - state.last_success, 1)
        ),
    )
