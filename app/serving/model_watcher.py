"""Follow the production alias: a background thread polls the registry and swaps the served model when the alias moves."""

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

from .model_cache import ModelCache, StorageError
from .served_model import ServedModel

WatcherEvent = Literal["loaded", "restored", "refused", "unreachable"]

T = TypeVar("T")
_MAX_TRAINING_RUNS = 20
_LOST = "the registry's file was removed or replaced: restore it from a backup, or train a new model"
_DETAILS = "; the log and GET /model/status have the reason"

_random = random.Random()  # noqa: S311  not a secret: workers should not poll in step
_log = structlog.get_logger()


class ReadableRegistry(Protocol):
    """The methods of a registry that the service uses. Each raises RegistryError if the registry does not answer.

    `lost` returns why the registry is empty although models were registered, or None.
    """

    def production_version(self) -> ModelVersion | None: ...

    def list_versions(self) -> list[ModelVersion]: ...

    def lost(self) -> str | None: ...

    def training_runs(self, limit: int) -> list[TrainingRun]: ...

    def download(self, version: str, work: Path) -> Path: ...


@dataclass(frozen=True, kw_only=True)
class WatcherState:
    """The result of the last poll. Times are seconds since the epoch.

    `production` is the version that the alias names, `refused` why it is not served, `lost` why a registry without a
    production version is empty although models were registered, `error` why the registry did not answer, or why its answer
    cannot be stored. `restored`: the served model comes from disk.
    """

    polled_at: float | None = None
    last_success: float | None = None
    production: str | None = None
    error: str | None = None
    no_space: bool = False
    refused: str | None = None
    lost: str | None = None
    restored: bool = False

    @property
    def warning(self) -> str | None:
        """What is wrong, for the operator; None if nothing is."""
        if self.error or self.refused:
            return self.error or self.refused
        if self.last_success is None:
            return "the registry has not answered yet"
        return None if self.production else self.lost or "no version is in production: train or promote a version"

    @property
    def summary(self) -> str | None:
        """`warning` for clients without a key: without addresses, paths and texts of libraries."""
        if self.error:
            what = (
                "the production version cannot be stored"
                if self.no_space
                else "the registry or PDM_MODEL_DIR cannot be read"
            )
            return f"{what}{_DETAILS}"
        if self.refused:
            return f"version {self.production} is refused{_DETAILS}"
        return f"{_LOST}{_DETAILS}" if self.lost else self.warning


class LoadsModels(Protocol):
    """Loads a version from a folder. Both methods raise ModelError if the version cannot be served.

    ModelLoader checks a version in a separate process before. ServedModel itself loads it without.
    """

    def load(self, folder: Path, version: ModelVersion) -> ServedModel: ...

    def with_tags(self, model: ServedModel, version: ModelVersion) -> ServedModel: ...


class RefusedVersionError(ModelError):
    """The production version cannot be served. The served model stays."""


class ModelWatcher:
    """Hold the served model and keep it at the production version.

    `model` is replaced in one assignment: a request reads it once and uses that model to its end.
    """

    def __init__(
        self,
        open_registry: Callable[[], ReadableRegistry],
        cache: ModelCache,
        poll_seconds: float,
        max_backoff_seconds: float,
        on_event: Callable[[WatcherEvent, ServedModel | None], None] = lambda _event, _model: None,
        loader: LoadsModels = ServedModel,
        on_production: Callable[[ModelVersion], None] = lambda _version: None,
    ) -> None:
        self.model: ServedModel | None = None
        self.state = WatcherState()
        self._open_registry = open_registry
        self._registry: ReadableRegistry | None = None
        self._last_answers: dict[str, list[Any]] = {}
        self._polling = threading.Lock()
        self._cache = cache
        self._poll_seconds, self._max_backoff_seconds = poll_seconds, max_backoff_seconds
        self._on_event, self._on_production = on_event, on_production
        self._production: ModelVersion | None = None
        self._loader = loader
        self._polled_once, self._stopping = threading.Event(), threading.Event()
        self._swap = threading.Lock()
        self._logged_missing_model, self._logged_cache_problem = False, False
        self._thread = threading.Thread(target=self._run, name="model-watcher", daemon=True)

    def start(self, wait_seconds: float) -> None:
        """Start polling. Return after the first poll, or after `wait_seconds` with the last good model from disk."""
        self._log_cache_problem()
        self._thread.start()
        self._polled_once.wait(wait_seconds)
        if self.model is None:
            self._restore()

    def stop(self) -> None:
        """Ask the thread to end. Do not wait for it: a download may take minutes."""
        self._stopping.set()
        self._cache.close()

    def poll(self) -> bool:
        """Poll the registry once and serve the production version.

        Returns whether the registry answered and the production version is served. One poll at a time: the files that one
        poll downloads or deletes must not change under another.
        """
        with self._polling:
            return self._poll()

    def _poll(self) -> bool:
        now = time.time()
        try:
            self._registry = self._registry or self._open_registry()
            version = self._registry.production_version()
            production = version.version if version else None
            if version and version != self._production:  # another one, or with other tags
                self._production = version
                self._on_production(version)
            # A version that is refused or has no space stays so while it is downloaded and checked again.
            before = self.state if production == self.state.production else WatcherState()
            error = before.error if before.no_space else None
            self.state = WatcherState(
                polled_at=now,
                last_success=now,
                production=production,
                refused=before.refused,
                lost=None if version else self._registry.lost(),
                error=error,
                no_space=before.no_space,
            )
            if version:
                self._serve(version)
                self.state = replace(self.state, refused=None, error=None, no_space=False, restored=False)
            self._log_missing_model(version)
        except (RegistryError, OSError) as error:
            self._report_unreachable(now, str(error), no_space=isinstance(error, StorageError))
            return False
        except RefusedVersionError as error:
            self._report("refused", reason=str(error))
            self.state = replace(self.state, refused=str(error), error=None, no_space=False)
            return False
        return True

    @property
    def warning(self) -> str | None:
        """What is wrong, for the operator; None if nothing is."""
        return self.state.warning or self._cache.warning

    @property
    def summary(self) -> str | None:
        """`warning` for clients without a key."""
        kept = f"models cannot be kept on disk ({self._cache.problem})" if self._cache.problem else None
        return self.state.summary or kept

    def versions(self) -> tuple[list[ModelVersion], str | None]:
        """Return every version, the newest first, and why the list is outdated, or None.

        Raises RegistryError if the registry does not answer and has not answered before.
        """
        return self._ask("versions", lambda registry: registry.list_versions())

    def training_runs(self) -> tuple[list[TrainingRun], str | None]:
        """Return the latest training runs, the newest first, and why the list is outdated, or None. Raises as `versions`."""
        return self._ask("training runs", lambda registry: registry.training_runs(_MAX_TRAINING_RUNS))

    def _ask(self, what: str, ask: Callable[[ReadableRegistry], list[T]]) -> tuple[list[T], str | None]:
        """Return the registry's answer; if it does not answer, its last answer and the reason."""
        try:
            if self._registry is None:
                raise RegistryError(self.state.warning or "the registry has not answered yet")
            self._last_answers[what] = ask(self._registry)
        except RegistryError as error:
            if what not in self._last_answers:
                raise
            return self._last_answers[what], str(error)
        return self._last_answers[what], None

    def _serve(self, version: ModelVersion) -> None:
        current = self.model
        if current and (current.version.version, current.version.run_id) == (version.version, version.run_id):
            if current.version != version:
                self.model = self._with_tags(current, version)
            return
        model = self._load(version)
        with self._swap:
            self.model = model
        self._cache.set_last_good(version)
        self._log_cache_problem()
        self._report("loaded", version=version.version, before=current.version.version if current else None)

    def _with_tags(self, model: ServedModel, version: ModelVersion) -> ServedModel:
        try:
            return self._loader.with_tags(model, version)
        except ModelError as error:
            raise RefusedVersionError(f"the new tags of version {version.version} are refused: {error}") from error

    def _load(self, version: ModelVersion) -> ServedModel:
        if self._cache.has(version):
            try:
                return self._load_once(version)
            except RefusedVersionError:
                pass  # the cached files are damaged; those of the registry may not be: download them again
        return self._load_once(version)

    def _load_once(self, version: ModelVersion) -> ServedModel:
        try:
            return self._loader.load(self._cache.fetch(version, self._download), version)
        except ModelError as error:
            self._cache.remove(version)
            raise RefusedVersionError(f"version {version.version} is refused: {error}") from error

    def _download(self, version: str, work: Path) -> Path:
        assert self._registry is not None
        return self._registry.download(version, work)

    def _restore(self) -> None:
        if (last_good := self._cache.last_good()) is None:
            return
        version, folder = last_good
        try:
            model = self._loader.load(folder, version)
        except ModelError as error:
            self._report("refused", reason=f"version {version.version} on disk: {error}")
            return
        with self._swap:
            if self.model is not None:  # the first poll ended in the meantime
                return
            self.model = model
            # The registry has answered with this version: the poll that loads it logs it.
            if self.state.production == version.version:
                return
            self.state = replace(self.state, restored=True)
        self._report("restored", version=version.version)

    def _report_unreachable(self, now: float, reason: str, *, no_space: bool = False) -> None:
        if self.state.error != reason:
            self._report("unreachable", reason=reason)
        else:
            self._on_event("unreachable", self.model)  # counted, but logged once only
        self.state = replace(self.state, polled_at=now, error=reason, no_space=no_space)

    def _log_missing_model(self, production: ModelVersion | None) -> None:
        """Log once that there is nothing to serve, until a version is in production."""
        missing = production is None and self.model is None
        if missing and not self._logged_missing_model:
            _log.warning(f"no model to serve: {self.state.lost or 'no version is in production'}")
        self._logged_missing_model = missing

    def _log_cache_problem(self) -> None:
        """Log once that models cannot be kept on disk, until they can."""
        if self._cache.warning and not self._logged_cache_problem:
            _log.warning(self._cache.warning)
        self._logged_cache_problem = self._cache.warning is not None

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                failures = 0 if self.poll() else failures + 1
            except Exception as error:  # noqa: BLE001  the thread must survive any error; it is logged
                failures += 1
                _log.error("following production failed", exc_info=error)
                self._report_unreachable(time.time(), f"unexpected: {error!r}")
            self._polled_once.set()
            self._stopping.wait(self._delay(failures))

    def _delay(self, failures: int) -> float:
        """Return the seconds to the next poll: the poll interval, doubled for each failure in a row, +-10 % at random."""
        delay = min(self._poll_seconds * 2 ** min(failures, 16), max(self._max_backoff_seconds, self._poll_seconds))
        return delay * _random.uniform(0.9, 1.1)

    def _report(self, event: WatcherEvent, **details: object) -> None:
        _log.log(20 if event in ("loaded", "restored") else 30, f"production model {event}", **details)
        self._on_event(event, self.model)
