"""What is known of the service: one look every few seconds for all who watch, and the last known state while it is away."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TypeVar

from app.schemas.model import Health, ModelCard, TrainingList, VersionList
from dashboard.api_client import Api, ApiError
from dashboard.traffic import Counters, Traffic, between, is_restart, read_counters

REGISTRY_SECONDS = 30.0
"""How old what the registry tells may get: the version that is served is looked at every time."""
OBSERVED_SECONDS = 900.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The last known state, from `answered` on. `trouble` is why the API did not answer just now; `gaps` what it kept back."""

    url: str
    answered: datetime | None = None
    trouble: str | None = None
    gaps: tuple[str, ...] = ()
    health: Health | None = None
    card: ModelCard | None = None
    history: VersionList | None = None
    trainings: TrainingList | None = None
    counters: Counters | None = None
    observed: Traffic | None = None

    @property
    def version(self) -> str | None:
        """The version that serves, as last known."""
        return self.health.serving_version if self.health else None

    @property
    def signature(self) -> tuple[object, ...]:
        """What a page that does not live by itself is drawn from: another one asks to draw it again."""
        production = self.health.production_version if self.health else None
        gaps = (self.card is None, self.history is None, self.trainings is None)
        return self.version, production, self.trouble is None, gaps

    @property
    def health_trouble(self) -> str | None:
        """What the service says is wrong."""
        return self.health.trouble if self.health else None

    def age_seconds(self, now: datetime) -> float | None:
        return None if self.answered is None else (now - self.answered).total_seconds()


@dataclass(kw_only=True)
class ServiceMonitor:
    """Asks an API at most every `poll_seconds`, however many ask. Safe to use from several threads at once."""

    api: Api
    poll_seconds: float
    clock: Callable[[], float] = time.monotonic
    _snapshot: Snapshot = field(init=False)
    _looked: float = field(init=False, default=float("-inf"))
    _told: float = field(init=False, default=float("-inf"))
    _seen: deque[Counters] = field(init=False, default_factory=deque)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._snapshot = Snapshot(url=self.api.url)

    @property
    def is_new(self) -> bool:
        """Whether nothing was asked yet: the first answer may be waited for."""
        return self._looked == float("-inf")

    def snapshot(self) -> Snapshot:
        """The state as of now, or of the last `poll_seconds`. Who comes while another asks gets what is known already."""
        if self._lock.acquire(blocking=self.is_new):
            try:
                if self.clock() - self._looked >= self.poll_seconds:
                    self._snapshot = self._look()
                    self._looked = self.clock()
            finally:
                self._lock.release()
        return self._snapshot

    def _look(self) -> Snapshot:
        before = self._snapshot
        gaps: list[str] = []
        try:
            health = self.api.health()
        except ApiError as error:
            return replace(before, trouble=str(error))

        def ask(what: Callable[[], T], known: T | None) -> T | None:
            try:
                return what()
            except ApiError as error:
                gaps.append(str(error))
                return known

        now = replace(before, answered=datetime.now(UTC), trouble=None, health=health)
        news = now.signature != before.signature or now.health_trouble != before.health_trouble
        if news or before.gaps or self.clock() - self._told >= REGISTRY_SECONDS:
            now = replace(
                now,
                card=ask(self.api.card, before.card) if health.serving_version else None,
                history=ask(self.api.history, before.history),
                trainings=ask(self.api.trainings, before.trainings),
            )
            self._told = self.clock()
        counters = ask(lambda: read_counters(self.api.metrics(), self.clock()), None)
        if counters is not None:
            now = self._observe(now, counters)
        return replace(now, gaps=tuple(dict.fromkeys(gaps)))

    def _observe(self, now: Snapshot, counters: Counters) -> Snapshot:
        if self._seen and is_restart(self._seen[-1], counters):
            self._seen.clear()
        self._seen.append(counters)
        while counters.at - self._seen[0].at > OBSERVED_SECONDS:
            self._seen.popleft()
        observed = between(self._seen[0], counters) if counters.at > self._seen[0].at else None
        return replace(now, counters=counters, observed=observed)
