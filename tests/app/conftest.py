"""Fixtures: the application in process, with a registry in memory."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.factory import create_app
from app.http.fast_path import FastPathMiddleware
from app.settings import Settings
from predictive_maintenance.config.serving_params import ServingParams
from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.entities import ModelVersion, TrainingRun

READING = {
    "product_type": "M", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
    "rotational_speed_rpm": 1538.0, "torque_nm": 38.1, "tool_wear_min": 120.0,
}  # fmt: skip
"""A reading of a healthy machine."""


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `condition` is true. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds:g} s"
        time.sleep(0.01)


def fast_path_of(app: FastAPI) -> Any:
    """Return the fast path of a running application."""
    layer: Any = app.middleware_stack
    while not isinstance(layer, FastPathMiddleware):
        layer = layer.app
    return layer


@dataclass(kw_only=True)
class MemoryRegistry:
    """A registry in memory: the files and tags of each version, the production alias, the training runs.

    `down` is the error that every call raises, None if the registry answers. `lost_reason` is what `lost` returns.
    """

    versions: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: list[TrainingRun] = field(default_factory=list)
    alias: str | None = None
    down: str | None = None
    lost_reason: str | None = None
    downloads: int = 0

    def production_version(self) -> ModelVersion | None:
        self._check()
        return self._version(self.alias) if self.alias else None

    def list_versions(self) -> list[ModelVersion]:
        self._check()
        return [self._version(version) for version in sorted(self.versions, key=int, reverse=True)]

    def lost(self) -> str | None:
        self._check()
        return self.lost_reason

    def training_runs(self, limit: int) -> list[TrainingRun]:
        self._check()
        return self.runs[:limit]

    def download(self, version: str, work: Path) -> Path:
        self._check()
        self.downloads += 1
        folder = work / "scorer"
        folder.mkdir()
        for name, content in self.versions[version].items():
            (folder / name).write_bytes(content)
        return folder

    def _version(self, version: str) -> ModelVersion:
        aliases = ("production",) if version == self.alias else ()
        created = datetime(2026, 1, int(version), tzinfo=UTC)
        return ModelVersion(
            version=version,
            aliases=aliases,
            run_id=f"run-of-{version}",
            created=created,
            tags=self.tags.get(version, {}),
        )

    def _check(self) -> None:
        if self.down:
            raise RegistryError(self.down)


@pytest.fixture
def registry(small: Any) -> MemoryRegistry:
    """A registry with version 1 of the small model in production."""
    return MemoryRegistry(versions={"1": small.files}, alias="1")


@pytest.fixture(scope="session")
def checked_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of the files that passed the check of a version, for all tests: each check takes seconds."""
    return tmp_path_factory.mktemp("checked")


def start_client(
    registry: MemoryRegistry, params: Any, folder: Path, checked_files: Path, **settings: Any
) -> TestClient:
    """Return a client of an application with the given settings, not started. `folder` is for its files."""
    # The first check of a version takes seconds: the start waits for it. So may the start of the worker process.
    defaults = {
        "poll_seconds": 0.05,
        "max_backoff_seconds": 0.2,
        "registry_wait_seconds": 60,
        "batch_deadline_seconds": 60,
        "prediction_log": False,  # the end of each application would make a store
        "audit_log": False,
    }
    given = {"model_cache": folder / "models", "store_url": f"sqlite:///{folder / 'store.db'}"} | defaults | settings
    records = Path(given["model_cache"]) / "checked"
    if not records.exists():
        records.parent.mkdir(parents=True, exist_ok=True)
        records.symlink_to(checked_files)
    return TestClient(
        create_app(Settings(**given), ServingParams.of(params), lambda _: registry), raise_server_exceptions=False
    )


@pytest.fixture
def enter() -> Iterator[Callable[[TestClient], TestClient]]:
    """A function that starts the application of a client; all of them are stopped after the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def make_client(
    params: Any, registry: MemoryRegistry, tmp_path: Path, checked_files: Path
) -> Iterator[Callable[..., TestClient]]:
    """A function that starts an application with the given settings.

    `without` are classes of middleware to leave out; `prepare` is called with the application before it starts.
    """
    running = []

    def make(
        without: Sequence[type] = (), prepare: Callable[[FastAPI], object] = lambda _: None, **settings: Any
    ) -> TestClient:
        client = start_client(registry, params, tmp_path, checked_files, **settings)
        app: Any = client.app
        app.user_middleware = [middleware for middleware in app.user_middleware if middleware.cls not in without]
        prepare(app)
        client.__enter__()
        running.append(client)
        return client

    yield make
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """An application with the default settings."""
    return make_client()


@pytest.fixture(scope="session")
def shared_client(
    small: Any, params: Any, checked_files: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """An application with the default settings for many tests of batches: starting its worker process takes a second."""
    registry = MemoryRegistry(versions={"1": small.files}, alias="1")
    with start_client(registry, params, tmp_path_factory.mktemp("shared client"), checked_files) as client:
        yield client
