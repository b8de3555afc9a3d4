"""Following production: a thread that looks where the alias points, and swaps the champion when that has moved."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import structlog

from predictive_maintenance.errors import ModelError, RegistryError
from predictive_maintenance.tracking.entities import ModelVersion, TrainingRun

from .model_cache import ModelCache
from .served_model import ServedModel

Event = Literal["loaded", "restored", "refused", "unreachable"]

T = TypeVar("T")
_TRAININGS = 20

_log = structlog.get_logger()


class ReadableRegistry(Protocol):
    """What is read of a registry. Each method raises RegistryError when it does not answer."""

    def production(self) -> ModelVersion | None: ...

    def all(self) -> list[ModelVersion]: ...

    def trainings(self, most: int) -> list[TrainingRun]: ...

    def download(self, version: str, work: Path) -> Path: ...


@dataclass(frozen=True, kw_only=True)
class Following:
    """How the last look at the registry went. Times are seconds since the epoch."""

    looked_at: float | None = None
    last_success: float | None = None
    production: str | None = None
    error: str | None = None
    refused: str | None = None
    restored: bool = False

    @property
    def trouble(self) -> str | None:
        """What a person should know, None when all is well."""
        if self.error or self.refused:
            return self.error or self.refused
        if self.last_success is None:
            return "the registry has not answered yet"
        return None if self.production else "no version is in production: train one, or promote one"


class RefusedVersionError(ModelError):
    """The version that production names cannot be served: the champion stays."""


class ModelWatcher:
    """Holds the champion. `champion` is replaced in one assignment: a reader takes it once and uses what it got."""

    def __init__(
        self,
        open_registry: Callable[[], ReadableRegistry],
        store: ModelCache,
        poll_seconds: float,
        max_backoff_seconds: float,
        on_event: Callable[[Event, ServedModel | None], None] = lambda _event, _champion: None,
    ) -> None:
        self.champion: ServedModel | None = None
        self.following = Following()
        self._open_registry = open_registry
        self._registry: ReadableRegistry | None = None
        self._told_last: dict[str, list[Any]] = {}
        self._looking = threading.Lock()
        self._store = store
        self._poll_seconds, self._max_backoff_seconds = poll_seconds, max_backoff_seconds
        self._on_event = on_event
        self._looked_once, self._stopping = threading.Event(), threading.Event()
        self._swap = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="follow-production", daemon=True)

    def start(self, wait_seconds: float) -> None:
        """Begin to follow; return after the first look, or after `wait_seconds` with the last good model from disk."""
        self._thread.start()
        self._looked_once.wait(wait_seconds)
        if self.champion is None:
            self._restore()

    def stop(self) -> None:
        """Ask the thread to end. It is not waited for: it may be in the middle of a download."""
        self._stopping.set()
        self._store.close()

    def look(self) -> bool:
        """Look once, and follow. Whether the registry answered and what it names is served now.

        One at a time: what one look fetches and refuses, another must not find half removed.
        """
        with self._looking:
            return self._look()

    def _look(self) -> bool:
        now = time.time()
        try:
            self._registry = self._registry or self._open_registry()
            version = self._registry.production()
            named = version.version if version else None
            # What was refused stays so until this look has found it good: it is fetched and tried again meanwhile.
            refused = self.following.refused if named == self.following.production else None
            self.following = Following(looked_at=now, last_success=now, production=named, refused=refused)
            if version:
                self._follow(version)
                self.following = replace(self.following, refused=None)
        except (RegistryError, OSError) as error:
            self._failed(now, str(error))
            return False
        except RefusedVersionError as error:
            self._tell("refused", reason=str(error))
            self.following = replace(self.following, refused=str(error))
            return False
        return True

    @property
    def trouble(self) -> str | None:
        """What a person should know, None when all is well."""
        return self.following.trouble or self._store.trouble

    def history(self) -> tuple[list[ModelVersion], str | None]:
        """Every version, the newest first, and why the list is an old one. Raises RegistryError where there is none."""
        return self._listed("versions", lambda registry: registry.all())

    def trainings(self) -> tuple[list[TrainingRun], str | None]:
        """The latest trainings, as `history`."""
        return self._listed("trainings", lambda registry: registry.trainings(_TRAININGS))

    def _listed(self, what: str, ask: Callable[[ReadableRegistry], list[T]]) -> tuple[list[T], str | None]:
        """What the registry answers; what it last answered, and the reason, where it does not."""
        try:
            if self._registry is None:
                raise RegistryError(self.following.trouble or "the registry has not answered yet")
            self._told_last[what] = ask(self._registry)
        except RegistryError as error:
            if what not in self._told_last:
                raise
            return self._told_last[what], str(error)
        return self._told_last[what], None

    def _follow(self, version: ModelVersion) -> None:
        current = self.champion
        if current and (current.version.version, current.version.run_id) == (version.version, version.run_id):
            if current.version != version:
                self.champion = replace(current, version=version)  # the same model, newer tags
            return
        champion = self._load(version)
        with self._swap:
            self.champion = champion
        self._store.remember(version)
        self._tell("loaded", version=version.version, before=current.version.version if current else None)

    def _load(self, version: ModelVersion) -> ServedModel:
        if self._store.has(version):
            try:
                return self._loaded(version)
            except RefusedVersionError:
                pass  # damaged on this disk, which says nothing of the registry's files: they are brought anew
        return self._loaded(version)

    def _loaded(self, version: ModelVersion) -> ServedModel:
        try:
            return ServedModel.load(self._store.fetch(version, self._downloaded), version)
        except ModelError as error:
            self._store.forget(version)
            raise RefusedVersionError(f"version {version.version} is refused: {error}") from error

    def _downloaded(self, version: str, work: Path) -> Path:
        assert self._registry is not None
        return self._registry.download(version, work)

    def _restore(self) -> None:
        if (kept := self._store.last_good()) is None:
            return
        version, folder = kept
        try:
            champion = ServedModel.load(folder, version)
        except ModelError as error:
            self._tell("refused", reason=f"version {version.version} on disk: {error}")
            return
        with self._swap:
            if self.champion is None:  # the first look may have ended in the meantime
                self.champion = champion
                self.following = replace(self.following, restored=True)
        self._tell("restored", version=version.version)

    def _failed(self, now: float, reason: str) -> None:
        if self.following.error != reason:
            self._tell("unreachable", reason=reason)
        else:
            self._on_event("unreachable", self.champion)
        self.following = replace(self.following, looked_at=now, error=reason)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                failures = 0 if self.look() else failures + 1
            except Exception as error:  # noqa: BLE001  the thread must outlive what nobody foresaw, and say it
                failures += 1
                _log.error("following production failed", exc_info=error)
                self._failed(time.time(), f"unexpected: {error!r}")
            self._looked_once.set()
            self._stopping.wait(self._delay(failures))

    def _delay(self, failures: int) -> float:
        """Seconds to the next look: the poll interval, doubled by each failure in a row, and spread by a tenth."""
        delay = min(self._poll_seconds * 2 ** min(failures, 16), max(self._max_backoff_seconds, self._poll_seconds))
        return delay * random.uniform(0.9, 1.1)  # noqa: S311  no secret: workers should not all look at once

    def _tell(self, event: Event, **details: object) -> None:
        _log.log(20 if event in ("loaded", "restored") else 30, f"production model {event}", **details)
        self._on_event(event, self.champion)
