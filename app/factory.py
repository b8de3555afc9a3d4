"""An application made of its parts: settings, the names in the registry, and where that registry is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp

from predictive_maintenance.config import Params
from predictive_maintenance.config import Registry as RegistryNames
from predictive_maintenance.registry import RegisteredVersions, connect_to_read, tracking_uri

from . import documentation, problems
from .access import Guarded, Observed
from .champion import Champion
from .direct import Direct, FrontedApp
from .folder import ModelFolder
from .following import Event, Follower, Registry
from .metrics import Metrics
from .routes import health, invocations, model, predict
from .service import Service, Workroom
from .settings import Settings
from .store import ModelStore

DESCRIPTION = """
Which machine will fail, how sure that is, and why. The model is the one in production; a promotion is followed
within seconds, without a restart. Try **POST /predict** with one of its examples.
"""


def open_registry(names: RegistryNames) -> Registry:
    """MLflow's registry, for one who only reads. Raises RegistryError."""
    return RegisteredVersions(connect_to_read(names))


def create_app(
    settings: Settings, params: Params, open_registry: Callable[[RegistryNames], Registry] = open_registry
) -> FastAPI:
    """An application that follows the model and the alias that `params.registry` names."""
    metrics = Metrics()

    def followed(event: Event, champion: Champion | None) -> None:
        serving = (champion.version.version, champion.scorer.spec.algorithm) if champion else None
        metrics.followed(event, serving)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        names = params.registry
        folder = ModelFolder(settings.model_dir) if settings.model_dir else None
        store = ModelStore(settings.model_cache, folder.uri if folder else tracking_uri(), names.model_name)
        follower = Follower(
            lambda: folder or open_registry(names), store, settings.poll_seconds, settings.max_backoff_seconds, followed
        )
        app.state.service = Service(settings, params, metrics, follower, Workroom(settings.max_waiting))
        await asyncio.to_thread(follower.start, settings.registry_wait_seconds)
        yield
        follower.stop()
        app.state.service.workroom.close()

    app = FrontedApp(
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
    documentation.install(app, needs_key=settings.api_key is not None)
    answering: ASGIApp = Direct(app.framework, [route for module in modules for route in module.router.routes])
    if settings.api_key:
        answering = Guarded(answering, settings.api_key.get_secret_value())
    app.front = Observed(answering, metrics)
    return app
