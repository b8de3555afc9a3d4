"""The dashboard's pages over the real API in the test process. A transport simulates an API that is slow or not reachable."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard import shared
from dashboard.api_client import ApiClient
from dashboard.fleet_monitor import FleetMonitor
from dashboard.service_monitor import ServiceMonitor
from dashboard.settings import Settings
from predictive_maintenance.scorer.version_files import THRESHOLDS_FILE
from predictive_maintenance.tracking.entities import TrainingRun
from tests.app.conftest import READING, MemoryRegistry, checked_files, make_client, registry
from tests.paths import REPOSITORY

__all__ = ["READING", "checked_files", "make_client", "registry"]

METRIC_NAMES = ("recall", "precision", "f1", "pr_auc")
MAIN = REPOSITORY / "dashboard" / "main.py"


@dataclass
class FakeClock:
    """A clock that a test advances."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class ServiceTransport(httpx.BaseTransport):
    """Sends the dashboard's requests to an API in this process.

    The API starts with the first request, so a test can change the registry before. A `fault` is raised instead of a response.
    `answers` are responses by path that replace those of the API: a status and a JSON body.
    """

    start: Callable[[], TestClient]
    fault: Exception | None = None
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    requested_paths: list[str] = field(default_factory=list)

    @cached_property
    def service(self) -> TestClient:
        return self.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requested_paths.append(request.url.path)
        if self.fault:
            raise self.fault
        if answer := self.answers.get(request.url.path):
            status, body = answer
            return httpx.Response(status, json=body, request=request)
        response = self.service.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(
            response.status_code, headers=dict(response.headers), content=response.content, request=request
        )

    def poll_registry(self) -> None:
        """Make the API read the production alias now."""
        self.service.app.state.service.watcher.poll()


def version_tags(level: str, verdict: str, recall: float) -> dict[str, str]:
    """Return the tags that a training run writes on a model version."""
    passed = recall >= 0.7
    check = {"name": "Recall on held-out rows", "level": "candidate", "measured": f"{recall:.3f}", "required": ">= 0.7"}
    held_out = {name: {"value": recall, "low": recall - 0.1, "high": recall + 0.05} for name in METRIC_NAMES}
    return {
        "algorithm": "lightgbm",
        "gate_level": level,
        "verdict": verdict,
        "data_sources": '[{"name": "plant*.csv", "rows": 9000, "sha256": "f0", "dvc_md5": "0a"}, {"name": "and 2 more"}]',
        "promoted_at": "2026-11-20T08:05:00+00:00",
        "gate": json.dumps([check | {"passed": passed, "why": "it is *enough*" if passed else "too low"}]),
        "metrics": json.dumps({"held_out": {"rows": 1505, "failures": 39, "metrics": held_out}, "out_of_fold": None}),
    }


def training_run(number: int, status: str, level: str | None, verdict: str | None) -> TrainingRun:
    start = datetime(2026, 11, 20, 8, number, tzinfo=UTC)
    ended = None if status == "RUNNING" else start + timedelta(seconds=95)
    return TrainingRun(
        flow_run=f"TrainFlow/{number}",
        run_id=f"run-of-{number}",
        experiment_id="1",
        status=status,
        started=start,
        ended=ended,
        level=level,
        verdict=verdict,
    )


@pytest.fixture
def full_registry(registry: MemoryRegistry, small: Any) -> MemoryRegistry:
    """Version 1 in production, version 2 a candidate, and the latest training run rejected."""
    counts = {
        "rows": 900,
        "failures": 9,
        "threshold": [0.01, 0.5],
        "true_positives": [9, 8],
        "false_positives": [30, 1],
    }
    files = {**small.files, THRESHOLDS_FILE: json.dumps(counts).encode()}
    registry.versions = {"1": files, "2": files}
    registry.tags = {
        "1": version_tags("production", "passes every check", 0.85),
        "2": version_tags("candidate", "stays a candidate, because a check failed: Recall", 0.65),
    }
    registry.runs = [
        training_run(3, "FINISHED", "rejected", "is rejected, because a check failed: F1 on held-out rows"),
        training_run(1, "FINISHED", "production", "passes every check"),
    ]
    return registry


@pytest.fixture
def transport(full_registry: MemoryRegistry, make_client: Callable[[], TestClient]) -> ServiceTransport:
    return ServiceTransport(make_client)


@pytest.fixture
def api(transport: ServiceTransport) -> ApiClient:
    return ApiClient(Settings(api_url="http://plant:8000"), transport)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def monitor(api: ApiClient, clock: FakeClock) -> ServiceMonitor:
    """A monitor that polls the API at every call."""
    return ServiceMonitor(api=api, poll_seconds=0, clock=clock)


@pytest.fixture
def fleet_monitor(api: ApiClient, clock: FakeClock) -> FleetMonitor:
    """A monitor that reads the machines at every call."""
    return FleetMonitor(api=api, poll_seconds=0, clock=clock)


@pytest.fixture
def open_page(
    api: ApiClient, monitor: ServiceMonitor, fleet_monitor: FleetMonitor, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Opens a page by its file's name, with an optional query string."""
    monkeypatch.setattr(shared, "api", lambda: api)
    monkeypatch.setattr(shared, "monitor", lambda: monitor)
    monkeypatch.setattr(shared, "fleet_monitor", lambda: fleet_monitor)

    def open_page(name: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(MAIN), default_timeout=30).run()
        page.query_params.update(query)
        return page.switch_page(f"app_pages/{name}.py").run()

    yield open_page
    shared.settings.clear()


def page_text(page: AppTest) -> str:
    """Return all text on the page, without Markdown's escape characters."""
    assert not page.exception, page.exception[0].message
    groups = (
        page.title,
        page.subheader,
        page.markdown,
        page.caption,
        page.error,
        page.warning,
        page.info,
        page.success,
    )
    return "\n".join(element.value for group in groups for element in group).replace("\\", "")
