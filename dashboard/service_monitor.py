"""Polls the API once for all sessions, and keeps the last known state while the API is not reachable."""

import shlex
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TypeVar

from app.schemas.deliveries import DeliveryList
from app.schemas.health import Health
from app.schemas.incidents import IncidentList
from app.schemas.model import ModelCard, VersionList
from app.schemas.shadow import ComparisonList
from app.schemas.training_runs import TrainingRunList
from dashboard.api_client import ApiClient, ApiError
from dashboard.traffic import Counters, Traffic, is_restart, parse_counters, traffic_between
from predictive_maintenance.config import commands

SHOWN_INCIDENTS = 5
SHOWN_MESSAGES = 20
REGISTRY_POLL_SECONDS = 30.0
"""Interval for what the API reads from the registry. The served version is polled every time."""
TRAFFIC_WINDOW_SECONDS = 900.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The last known state of the service, received at `received_at`.

    `error` is the reason why the last poll got no response. `failed_requests` are the errors of single requests while the
    service itself responded.
    """

    url: str
    received_at: datetime | None = None
    error: str | None = None
    failed_requests: tuple[str, ...] = ()
    health: Health | None = None
    model_card: ModelCard | None = None
    versions: VersionList | None = None
    training_runs: TrainingRunList | None = None
    counters: Counters | None = None
    traffic: Traffic | None = None
    incidents: IncidentList | None = None
    deliveries: DeliveryList | None = None
    comparisons: ComparisonList | None = None

    @property
    def version(self) -> str | None:
        """The served version, as last known."""
        return self.health.serving_version if self.health else None

    @property
    def redraw_key(self) -> tuple[object, ...]:
        """The values whose change requires that a page is drawn again as a whole."""
        production = self.health.production_version if self.health else None
        missing = (self.model_card is None, self.versions is None, self.training_runs is None)
        return self.version, production, self.error is None, missing

    def flow_command(self, arguments: str) -> str:
        """The command of the training flow with `arguments`, for the machine of the service."""
        return commands.flow_command(arguments + self._machine_argument)

    def program_command(self, arguments: str) -> str:
        """The command of this project with `arguments`, for the machine of the service."""
        return commands.program_command(arguments + self._machine_argument)

    @property
    def _machine_argument(self) -> str:
        machine = self.health.machine if self.health else None
        return f" --machine {shlex.quote(machine)}" if machine else ""

    @property
    def health_message(self) -> str | None:
        """The problem that the service reports about itself."""
        return self.health.warning if self.health else None

    def age_seconds(self, now: datetime) -> float | None:
        return None if self.received_at is None else (now - self.received_at).total_seconds()


@dataclass(kw_only=True)
class ServiceMonitor:
    """Polls an API at most every `poll_seconds`, for any number of callers. Thread-safe."""

    api: ApiClient
    poll_seconds: float
    clock: Callable[[], float] = time.monotonic
    _snapshot: Snapshot = field(init=False)
    _polled_at: float = field(init=False, default=float("-inf"))
    _registry_polled_at: float = field(init=False, default=float("-inf"))
    _recent_counters: deque[Counters] = field(init=False, default_factory=deque)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._snapshot = Snapshot(url=self.api.url)

    @property
    def is_new(self) -> bool:
        """Whether the API was not polled yet. The first call of `snapshot` waits for the response."""
        return self._polled_at == float("-inf")

    def snapshot(self) -> Snapshot:
        """Return a state that is at most `poll_seconds` old. Returns the previous state while another thread polls."""
        if self._lock.acquire(blocking=self.is_new):
            try:
                if self.clock() - self._polled_at >= self.poll_seconds:
                    self._snapshot = self._poll()
                    self._polled_at = self.clock()
            finally:
                self._lock.release()
        return self._snapshot

    def _poll(self) -> Snapshot:
        previous = self._snapshot
        failed_requests: list[str] = []
        try:
            health = self.api.health()
        except ApiError as error:
            return replace(previous, error=str(error))

        def request(call: Callable[[], T], fallback: T | None) -> T | None:
            try:
                return call()
            except ApiError as error:
                failed_requests.append(str(error))
                return fallback

        current = replace(previous, received_at=datetime.now(UTC), error=None, health=health)
        if health.warning and (status := request(self.api.status, None)):
            current = replace(current, health=status)
        if self._registry_is_due(previous, current):
            current = replace(
                current,
                model_card=request(self.api.model_card, previous.model_card) if health.serving_version else None,
                versions=request(self.api.versions, previous.versions),
                training_runs=request(self.api.training_runs, previous.training_runs),
            )
            if previous.counters and previous.counters.log:  # the service has a store
                current = replace(
                    current,
                    incidents=request(lambda: self.api.incidents(SHOWN_INCIDENTS), previous.incidents),
                    comparisons=request(self.api.comparisons, previous.comparisons),
                    deliveries=(
                        request(lambda: self.api.deliveries(SHOWN_MESSAGES), previous.deliveries)
                        if health.serving_version
                        else None
                    ),
                )
            self._registry_polled_at = self.clock()
        counters = request(lambda: parse_counters(self.api.metrics(), self.clock()), None)
        if counters is not None:
            current = self._add_traffic(current, counters)
        return replace(current, failed_requests=tuple(dict.fromkeys(failed_requests)))

    def _registry_is_due(self, previous: Snapshot, current: Snapshot) -> bool:
        changed = current.redraw_key != previous.redraw_key or current.health_message != previous.health_message
        expired = self.clock() - self._registry_polled_at >= REGISTRY_POLL_SECONDS
        return changed or expired or bool(previous.failed_requests)

    def _add_traffic(self, current: Snapshot, counters: Counters) -> Snapshot:
        recent = self._recent_counters
        if recent and is_restart(recent[-1], counters):
            recent.clear()
        recent.append(counters)
        while counters.at - recent[0].at > TRAFFIC_WINDOW_SECONDS:
            recent.popleft()
        traffic = traffic_between(recent[0], counters) if counters.at > recent[0].at else None
        return replace(current, counters=counters, traffic=traffic)
