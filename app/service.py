"""The objects that the routes share: settings, metrics, the model watcher, and the queues for slow work."""

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request

from predictive_maintenance.config.serving_params import ServingParams

from . import logs
from .bounded_executor import BoundedExecutor
from .metrics import Metrics
from .problems import Problem
from .serving.audit_log import AuditLog
from .serving.model_watcher import ModelWatcher
from .serving.prediction_log import PredictionLog
from .serving.retention import retention_warning
from .serving.served_model import ServedModel
from .serving.store_queue import StoreQueue
from .settings import Settings
from .worker.batch_worker import BatchWorker


@dataclass(frozen=True, kw_only=True)
class Service:
    """The shared objects of one application. `log` and `audit` are None if they are off."""

    settings: Settings
    params: ServingParams
    metrics: Metrics
    watcher: ModelWatcher
    executor: BoundedExecutor
    batches: BatchWorker
    store: StoreQueue
    log: PredictionLog | None
    audit: AuditLog | None

    @property
    def model_name(self) -> str:
        return self.params.registry.model_name

    @property
    def warning(self) -> str | None:
        """What is wrong, with the way to fix it; None if nothing is. It may contain addresses and paths."""
        found = (self.watcher.warning, self.store.access.problem, self.retention_warning, logs.problem())
        return "; ".join(filter(None, found)) or None

    @property
    def retention_warning(self) -> str | None:
        """Why the store does not keep what the served model needs; None if it does."""
        model = self.watcher.model
        return retention_warning(model.scorer.machine, self.settings.store_retention_days) if model else None

    @property
    def summary(self) -> str | None:
        """`warning` for clients without a key: without addresses, paths and texts of libraries."""
        store = "the store of readings cannot be used" if self.store.access.problem else None
        return "; ".join(filter(None, (self.watcher.summary, store, self.retention_warning, logs.problem()))) or None

    def served_model(self) -> ServedModel:
        """Return the model that is served now. Raises Problem 503 with the reason if there is none."""
        if (model := self.watcher.model) is None:
            raise self.no_model()
        return model

    def no_model(self) -> Problem:
        """The problem of a request that needs a model while none is served."""
        reason = self.watcher.summary or "the model is being loaded"
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"no model is ready: {reason}", headers={"Retry-After": "5"})


def get_service(request: Request) -> Service:
    """Return the shared objects of the application that received the request."""
    return request.app.state.service
