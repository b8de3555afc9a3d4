"""An application made of its parts: settings, the names in the registry, and where that registry is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from predictive_maintenance.config.params import Params
from predictive_maintenance.config.params import RegistrySettings as RegistryNames
from predictive_maintenance.tracking.connection import connect_read_only, tracking_uri
from predictive_maintenance.tracking.registry_reader import RegistryReader

from . import openapi, problems
from .http.fast_path import FastPathApp, FastPathMiddleware
from .metrics import Metrics
from .middleware import ApiKeyMiddleware, RequestLoggingMiddleware
from .routes import health, invocations, model, predict
from .service import BoundedExecutor, Service
from .serving.local_registry import LocalRegistry
from .serving.model_cache import ModelCache
from .serving.model_watcher import Event, ModelWatcher, ReadableRegistry
from .serving.served_model import ServedModel
from .settings import Settings

DESCRIPTION = """
Which machine will fail, how sure that is, and why. The model is the one in production; a promotion is followed
within seconds, without a restart. Try **POST /predict** with one of its examples.
"""


def open_registry(names: RegistryNames) -> ReadableRegistry:
    """MLflow's registry, for one who only reads. Raises RegistryError."""
    return RegistryReader(connect_read_only(names))


def create_app(
    settings: Settings, params: Params, open_registry: Callable[[RegistryNames], ReadableRegistry] = open_registry
) -> FastAPI:
    """An application that follows the model and the alias that `params.registry` names."""
    metrics = Metrics()

    def followed(event: Event, champion: ServedModel | None) -> None:
        serving = (champion.version.version, champion.scorer.spec.algorithm) if champion else None
        metrics.followed(event, serving)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        names = params.registry
        folder = LocalRegistry(settings.model_dir) if settings.model_dir else None
        store = ModelCache(settings.model_cache, folder.uri if folder else tracking_uri(), names.model_name)
        follower = ModelWatcher(
            lambda: folder or open_registry(names), store, settings.poll_seconds, settings.max_backoff_seconds, followed
        )
        app.state.service = Service(
            settings=settings,
            params=params,
            metrics=metrics,
            follower=follower,
            workroom=BoundedExecutor(settings.max_waiting),
        )
        await asyncio.to_thread(follower.start, settings.registry_wait_seconds)
        yield
        follower.stop()
        app.state.service.workroom.close()

    app = FastPathApp(
        title="Predictive maintenance",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    modules = (predict, model, health, invocations)
    for module in modules:
        app.include_router(module.router)
    problems.install(app)
    openapi.install(app, needs_key=settings.api_key is not None)
    answering: ASGIApp = FastPathMiddleware(
        app.framework, [route for module in modules for route in module.router.routes]
    )
    if settings.api_key:
        answering = ApiKeyMiddleware(answering, settings.api_key.get_secret_value())
    app.front = RequestLoggingMiddleware(answering, metrics)
    return app
