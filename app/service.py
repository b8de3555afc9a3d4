"""What a running application holds: its settings, its metrics, the champion it follows, its room for heavy work."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import Request

from predictive_maintenance.config.params import Params

from .metrics import Metrics
from .problems import Problem
from .serving.model_watcher import ModelWatcher
from .serving.served_model import ServedModel
from .settings import Settings

T = TypeVar("T")


class BoundedExecutor:
    """One thread for what would keep the event loop too long, and a bounded queue before it."""

    def __init__(self, max_waiting: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="workroom")
        self._max_waiting, self._waiting = max_waiting, 0

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """`work(*arguments)` in the thread. Raises Problem 503 when too many are waiting already."""
        if self._waiting >= self._max_waiting:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._waiting} batches or explanations are waiting already (PDM_MAX_WAITING): try again in a moment",
                headers={"Retry-After": "1"},
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown(wait=True)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One application's parts."""

    settings: Settings
    params: Params
    metrics: Metrics
    follower: ModelWatcher
    workroom: BoundedExecutor

    @property
    def model_name(self) -> str:
        return self.params.registry.model_name

    def champion(self) -> ServedModel:
        """The champion of this moment. Raises Problem 503 with the reason where there is none."""
        if (champion := self.follower.champion) is None:
            reason = self.follower.trouble or "the model is being loaded"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"no model is ready: {reason}", headers={"Retry-After": "5"})
        return champion


def service(request: Request) -> Service:
    """The parts of the application that a request came to."""
    return request.app.state.service
