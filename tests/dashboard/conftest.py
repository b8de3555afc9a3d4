"""Pages over the real service in this process; what stands between them can be cut, or slow."""

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
from dashboard.api_client import Api
from dashboard.service_monitor import ServiceMonitor
from dashboard.settings import Settings
from predictive_maintenance.scorer.scoring import THRESHOLDS_FILE
from predictive_maintenance.tracking.entities import TrainingRun
from tests.app.conftest import READING, Shelf, make_client, shelf
from tests.paths import REPOSITORY

__all__ = ["READING", "make_client", "shelf"]

RATES = ("recall", "precision", "f1", "pr_auc")
MAIN = REPOSITORY / "dashboard" / "main.py"


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Line(httpx.BaseTransport):
    """What carries the dashboard's requests to the service, which starts with the first: until then a test can change its
    shelf. `fault` is raised instead; `asked` are the paths."""

    start: Callable[[], TestClient]
    fault: Exception | None = None
    asked: list[str] = field(default_factory=list)

    @cached_property
    def service(self) -> TestClient:
        return self.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.fault:
            raise self.fault
        answer = self.service.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content, request=request)


def tags(level: str, verdict: str, recall: float) -> dict[str, str]:
    """What a training writes on its version."""
    passed = recall >= 0.7
    check = {"name": "Recall on held-out rows", "level": "candidate", "measured": f"{recall:.3f}", "required": ">= 0.7"}
    held_out = {name: {"value": recall, "low": recall - 0.1, "high": recall + 0.05} for name in RATES}
    return {
        "algorithm": "lightgbm",
        "gate_level": level,
        "verdict": verdict,
        "data_sources": '[{"name": "plant*.csv", "rows": 9000, "sha256": "f0", "dvc_md5": "0a"}, {"name": "and 2 more"}]',
        "promoted_at": "2026-11-20T08:05:00+00:00",
        "gate": json.dumps([check | {"passed": passed, "why": "it is *enough*" if passed else "too low"}]),
        "metrics": json.dumps({"held_out": {"rows": 1505, "failures": 39, "metrics": held_out}, "out_of_fold": None}),
    }


def training(number: int, status: str, level: str | None, verdict: str | None) -> TrainingRun:
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
def complete_shelf(shelf: Shelf, small: Any) -> Shelf:
    """As trainings fill it: version 1 serves, version 2 is a candidate; the last training was rejected."""
    counts = {
        "rows": 900,
        "failures": 9,
        "threshold": [0.01, 0.5],
        "true_positives": [9, 8],
        "false_positives": [30, 1],
    }
    files = {**small.files, THRESHOLDS_FILE: json.dumps(counts).encode()}
    shelf.versions = {"1": files, "2": files}
    shelf.tags = {
        "1": tags("production", "passes every check", 0.85),
        "2": tags("candidate", "stays a candidate: Recall", 0.65),
    }
    shelf.trained = [
        training(3, "FINISHED", "rejected", "is rejected: F1 on held-out rows"),
        training(1, "FINISHED", "production", "passes every check"),
    ]
    return shelf


@pytest.fixture
def line(complete_shelf: Shelf, make_client: Callable[[], TestClient]) -> Line:
    return Line(make_client)


@pytest.fixture
def api(line: Line) -> Api:
    return Api(Settings(api_url="http://plant:8000"), line)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(api: Api, clock: Clock) -> ServiceMonitor:
    """One that asks each time that it is asked."""
    return ServiceMonitor(api=api, poll_seconds=0, clock=clock)


@pytest.fixture
def open_page(api: Api, watch: ServiceMonitor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Opens a page by the name of its file, with a query."""
    monkeypatch.setattr(shared, "api", lambda: api)
    monkeypatch.setattr(shared, "watch", lambda: watch)

    def opened(name: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(MAIN), default_timeout=30).run()
        page.query_params.update(query)
        return page.switch_page(f"app_pages/{name}.py").run()

    yield opened
    shared.settings.clear()


def words(page: AppTest) -> str:
    """All that a person reads on the page, Markdown's escapes undone."""
    assert not page.exception, page.exception[0].message
    kinds = (page.title, page.subheader, page.markdown, page.caption, page.error, page.warning, page.info, page.success)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")
