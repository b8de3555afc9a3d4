"""The API answers generated requests as its OpenAPI document declares.

CONTRACT_CASES=2500 sends 15,000 requests with a body, and about as many to a machine with history, instead of 900 each.
"""

import os
import threading
import time
from contextlib import contextmanager

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.factory import create_app
from app.settings import Settings
from predictive_maintenance.config.serving_params import ServingParams

from .conftest import MemoryRegistry, wait_until

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
READING_ROUTES = ("/predict", "/predict/what-if")
"""The document says exactly which readings are valid. Of tables, it cannot say that columns have equal lengths."""

STORE_ROUTES = (
    "/alarms",
    "/audit",
    "/deliveries",
    "/feedback",
    "/incidents",
    "/machines",
    "/machines/{machine_id}",
    "/shadow",
)
"""They have parameters."""

CASES = int(os.environ.get("CONTRACT_CASES", "150"))

ROUTES = [
    ("POST", "/predict"),
    ("POST", "/predict/what-if"),
    ("POST", "/predict/batch"),
    ("POST", "/invocations"),
    ("POST", "/readings"),
    ("POST", "/events"),
    ("POST", "/feedback"),
    ("POST", "/acknowledgements"),
    ("POST", "/audit/refusals"),
    *(
        ("GET", path)
        for path in (
            "/alarms",
            "/audit",
            "/deliveries",
            "/feedback",
            "/incidents",
            "/monitoring",
            "/machines",
            "/machines/{machine_id}",
            "/model",
            "/model/status",
            "/model/history",
            "/model/trainings",
            "/model/thresholds",
            "/health",
            "/ready",
            "/ping",
            "/metrics",
            "/shadow",
        )
    ),
]


@pytest.fixture(scope="module")
def document(small, tmp_path_factory):
    """The OpenAPI document of a running server."""
    with serving(small, tmp_path_factory.mktemp("models")) as document:
        yield document


@pytest.fixture(scope="module")
def pump_document(small_pump, tmp_path_factory):
    """The OpenAPI document of a running server of a machine with history, events and a store."""
    with serving(small_pump, tmp_path_factory.mktemp("models")) as document:
        yield document


@contextmanager
def serving(model, folder):
    registry = MemoryRegistry(versions={"1": model.files}, alias="1")
    settings_of_app = Settings(model_cache=folder, poll_seconds=3600, store_url=f"sqlite:///{folder / 'store.db'}")
    app = create_app(settings_of_app, ServingParams.of(model.params), lambda _: registry)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    wait_until(lambda: app.state.service.watcher.model is not None, seconds=120)
    yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    server.should_exit = True
    thread.join()


def test_every_route_is_documented(document):
    documented = {(result.ok().method.upper(), result.ok().path) for result in document.get_all_operations()}
    assert documented == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_is_one_that_the_document_declares(document, method, path):
    checks = CHECKS + ([positive_data_acceptance, negative_data_rejection] if path in READING_ROUTES else [])
    send(document[path][method], checks, CASES if method == "POST" else 5)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_so_is_every_answer_about_a_machine_with_history(pump_document, method, path):
    """Its document cannot say that a history is earlier than the reading."""
    checks = [*CHECKS, negative_data_rejection] if path in READING_ROUTES else CHECKS
    send(pump_document[path][method], checks, CASES if method == "POST" or path in STORE_ROUTES else 5)


def send(operation, checks, cases):
    @given(operation.as_strategy())
    @settings(max_examples=cases, deadline=None, suppress_health_check=list(HealthCheck))
    def send_one(case):
        case.call_and_validate(checks=checks)

    send_one()
