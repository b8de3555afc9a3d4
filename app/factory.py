"""Create the application from its settings and the names in the model registry."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from predictive_maintenance import __version__
from predictive_maintenance.config.params import RegistrySettings as RegistryNames
from predictive_maintenance.config.serving_params import ServingParams
from predictive_maintenance.store.location import store_url
from predictive_maintenance.tracking.connection import connect_read_only, tracking_uri
from predictive_maintenance.tracking.registry_reader import RegistryReader
from predictive_maintenance.tracking.signing import parse_public_key

from . import openapi, problem_responses
from .access import RouteRoles
from .bounded_executor import BoundedExecutor
from .http.allowed_hosts import AllowedHostsMiddleware
from .http.fast_path import FastPathMiddleware
from .metrics import Metrics
from .middleware import ApiKeyMiddleware, ProblemMiddleware, RequestLoggingMiddleware
from .routes import (
    audit,
    deliveries,
    events,
    feedback,
    health,
    incidents,
    invocations,
    machines,
    model,
    monitoring,
    predict,
    readings,
    shadow,
)
from .schemas.reading import ReadingSchema
from .service import Service
from .serving.audit_log import AuditLog, Refusal
from .serving.isolated_check import IsolatedCheck
from .serving.local_registry import LocalRegistry
from .serving.long_lived import exclude_from_collection
from .serving.model_cache import ModelCache
from .serving.model_loader import ModelLoader
from .serving.model_watcher import ModelWatcher, ReadableRegistry, WatcherEvent
from .serving.prediction_log import LogLimits, PredictionLog
from .serving.retention import warn_of_short_retention
from .serving.served_model import ServedModel
from .serving.store_access import StoreAccess, StoreOptions
from .serving.store_queue import StoreQueue
from .settings import Settings
from .worker.batch_worker import BatchWorker

DESCRIPTION = """
Predicts machine failures: probability, decision, risk level, explanation and recommended action. The service uses the
production model and follows promotions and rollbacks within seconds, without a restart. Try **POST /predict** with one of
its examples.
"""

TAGS: list[dict[str, Any]] = [
    {"name": "predict", "description": "Score one reading or a batch."},
    {"name": "store", "description": "Readings that the service keeps, and the machines that they are from."},
    {"name": "people", "description": "What people do, and who did it."},
    {"name": "model", "description": "The served model, all versions and the training runs."},
    {"name": "health", "description": "Liveness, readiness and Prometheus metrics."},
    {"name": "clouds", "description": "The routes that SageMaker and Azure ML call."},
]

_LAST_WRITE_SECONDS = 1.0
"""For the predictions, and for the entries of the audit log, that wait at the end. The requests before have had their time, and
containers are killed after 10 s.
"""


def open_registry(names: RegistryNames) -> ReadableRegistry:
    """Return the MLflow registry, opened read-only. Raises RegistryError."""
    return RegistryReader(connect_read_only(names))


def create_app(
    settings: Settings,
    params: ServingParams,
    open_registry: Callable[[RegistryNames], ReadableRegistry] = open_registry,
) -> FastAPI:
    """Return an application that serves the model and the alias that `params.registry` names."""
    metrics = Metrics()
    app = FastAPI(
        title="Predictive maintenance",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=_lifespan(settings, params, metrics, open_registry),
        redirect_slashes=False,  # the redirect would repeat the request's Host
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    modules = (
        predict,
        readings,
        events,
        machines,
        feedback,
        audit,
        deliveries,
        incidents,
        monitoring,
        shadow,
        model,
        health,
        invocations,
    )
    for module in modules:
        app.include_router(module.router)
    problem_responses.install(app)
    first = ReadingSchema(params.machine)
    keys, roles = settings.keys, RouteRoles(route for module in modules for route in module.router.routes)
    openapi.install(app, roles if keys else None, schema=lambda: _accepted_readings(app, first))
    # The middleware that is added last is the outermost.
    app.add_middleware(ProblemMiddleware)
    app.add_middleware(FastPathMiddleware, routes=[route for module in modules for route in module.router.routes])
    if keys:
        app.add_middleware(ApiKeyMiddleware, keys=keys, roles=roles, report=lambda refusal: _note_refusal(app, refusal))
    if settings.allowed_hosts is not None:
        app.add_middleware(AllowedHostsMiddleware, hosts=settings.allowed_hosts)
    app.add_middleware(RequestLoggingMiddleware, metrics=metrics)
    return app


def _store_options(settings: Settings, model_name: str) -> StoreOptions:
    return StoreOptions(
        url=settings.store_url.get_secret_value() if settings.store_url else store_url(),
        model_name=model_name,
        timeout_seconds=settings.store_timeout_seconds,
        synchronous=settings.store_synchronous,
        retention_days=settings.store_retention_days,
        prediction_days=settings.prediction_log_days,
        audit_days=settings.audit_days,
        max_clock_skew_seconds=settings.max_clock_skew_seconds,
    )


def _prediction_log(settings: Settings, access: StoreAccess, metrics: Metrics, model_name: str) -> PredictionLog | None:
    if not settings.logs_predictions:
        return None
    limits = LogLimits(
        rows=settings.prediction_log_rows,
        bytes=settings.prediction_log_bytes,
        seconds=settings.prediction_log_seconds,
    )
    return PredictionLog(access, metrics, model_name, limits)


def _audit_log(settings: Settings, access: StoreAccess, metrics: Metrics, model_name: str) -> AuditLog | None:
    return AuditLog(access, metrics, model_name, settings.audit_seconds) if settings.audits else None


def _note_refusal(app: FastAPI, refusal: Refusal) -> None:
    service: Service = app.state.service
    if service.audit:
        service.audit.note_refusal(refusal)


def _accepted_readings(app: FastAPI, first: ReadingSchema) -> ReadingSchema:
    """The readings of the served version; `first` before one is served."""
    service: Service | None = getattr(app.state, "service", None)
    return service.watcher.model.schema if service and service.watcher.model else first


def _lifespan(
    settings: Settings,
    params: ServingParams,
    metrics: Metrics,
    open_registry: Callable[[RegistryNames], ReadableRegistry],
) -> Any:
    def count_event(event: WatcherEvent, model: ServedModel | None) -> None:
        metrics.count_event(event, (model.version.version, model.scorer.spec.algorithm) if model else None)
        if model and event in ("loaded", "restored"):
            warn_of_short_retention(model.scorer.machine, settings.store_retention_days)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        names = params.registry
        local = LocalRegistry(settings.model_dir) if settings.model_dir else None
        cache = ModelCache(settings.model_cache, local.uri if local else tracking_uri(), names.model_name)
        loader = ModelLoader(
            model_name=names.model_name,
            isolated_check=IsolatedCheck(
                seconds=settings.model_load_seconds,
                memory_bytes=settings.model_load_bytes,
                records=settings.model_cache.expanduser() / "checked",
            ),
            check_tags=lambda served: model.model_card(served, names.model_name),
            public_key=parse_public_key(settings.model_public_key),
        )
        store = StoreQueue(StoreAccess(_store_options(settings, names.model_name)), settings.max_waiting)
        audit_log = _audit_log(settings, store.access, metrics, names.model_name)
        watcher = ModelWatcher(
            lambda: local or open_registry(names),
            cache,
            settings.poll_seconds,
            settings.max_backoff_seconds,
            count_event,
            loader=loader,
            on_production=audit_log.note_production if audit_log else lambda _: None,
        )
        service = Service(
            settings=settings,
            params=params,
            metrics=metrics,
            watcher=watcher,
            executor=BoundedExecutor(settings.max_waiting, "explanations and events"),
            batches=BatchWorker(
                max_waiting=settings.max_waiting,
                max_held_bytes=2 * settings.max_request_bytes,
                deadline_seconds=settings.batch_deadline_seconds,
                memory_mib=settings.batch_memory_mib,
            ),
            store=store,
            log=_prediction_log(settings, store.access, metrics, names.model_name),
            audit=audit_log,
        )
        app.state.service = service
        if service.log:
            service.log.start()
        if service.audit:
            service.audit.note_settings(settings.shown() | {"release": __version__})
            service.audit.start()
        await asyncio.to_thread(watcher.start, settings.registry_wait_seconds)
        exclude_from_collection("start")
        yield
        watcher.stop()
        end = time.monotonic() + min(_LAST_WRITE_SECONDS, settings.shutdown_seconds)
        if service.log:
            service.log.close(end - time.monotonic())
        if service.audit:
            service.audit.close(max(0.0, end - time.monotonic()))
        service.executor.close()
        service.batches.close()
        service.store.close()

    return lifespan
