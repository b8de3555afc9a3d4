"""The objects that the routes share: settings, metrics, the model watcher, and the queues for slow work."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request

from predictive_maintenance.config.serving_params import ServingParams

from . import logs
from .metrics import Metrics
from .problems import Problem
from .serving.model_watcher import ModelWatcher
from .serving.retention import retention_warning
from .serving.served_model import ServedModel
from .serving.store_queue import StoreQueue
from .settings import Settings
from .worker.batch_worker import BatchWorker

T = TypeVar("T")


class BoundedExecutor:
    """One thread for work that would block the event loop, with a bounded queue."""

    def __init__(self, max_waiting: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="executor")
        self._max_waiting, self._waiting = max_waiting, 0

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return `work(*arguments)`, called in the thread. Raises Problem 503 if the queue is full.

        If this is cancelled before the thread calls `work`, it does not.
        """
        if self._waiting >= self._max_waiting:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._waiting} explanations are waiting already (PDM_MAX_WAITING): try again in a moment",
                headers={"Retry-After": "1"},
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End without waiting: the server has already waited for the requests."""
        self._thread.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, kw_only=True)
class Service:
    """The shared objects of one application."""

    settings: Settings
    params: ServingParams
    metrics: Metrics
    watcher: ModelWatcher
    executor: BoundedExecutor
    batches: BatchWorker
    store: StoreQueue

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
