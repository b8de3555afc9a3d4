"""The application in-process, over a registry that is a shelf of folders: what is tested here is the HTTP side of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.factory import create_app
from app.settings import Settings
from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.entities import ModelVersion, TrainingRun

READING = {
    "product_type": "M", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
    "rotational_speed_rpm": 1538.0, "torque_nm": 38.1, "tool_wear_min": 120.0,
}  # fmt: skip
"""A healthy machine."""


@dataclass(kw_only=True)
class Shelf:
    """A registry made of dictionaries: versions by number, what `production` names, and a reason not to answer."""

    versions: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    trained: list[TrainingRun] = field(default_factory=list)
    alias: str | None = None
    down: str | None = None
    downloads: int = 0

    def production_version(self) -> ModelVersion | None:
        self._answer()
        return self._version(self.alias) if self.alias else None

    def list_versions(self) -> list[ModelVersion]:
        self._answer()
        return [self._version(version) for version in sorted(self.versions, key=int, reverse=True)]

    def training_runs(self, limit: int) -> list[TrainingRun]:
        self._answer()
        return self.trained[:limit]

    def download(self, version: str, work: Path) -> Path:
        self._answer()
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

    def _answer(self) -> None:
        if self.down:
            raise RegistryError(self.down)


@pytest.fixture
def shelf(small: Any) -> Shelf:
    """Version 1 of the small model, in production."""
    return Shelf(versions={"1": small.files}, alias="1")


@pytest.fixture
def make_client(params: Any, shelf: Shelf, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Starts applications with settings of their own; each is stopped after the test."""
    running = []

    def make(**settings: Any) -> TestClient:
        given = {"model_cache": tmp_path / "models", "poll_seconds": 0.05, "max_backoff_seconds": 0.2} | settings
        client = TestClient(create_app(Settings(**given), params, lambda _: shelf), raise_server_exceptions=False)
        client.__enter__()
        running.append(client)
        return client

    yield make
    for client in running:
        client.__exit__(None, None, None)


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """The application with its defaults."""
    return make_client()
