"""OpenTelemetry sees every route, also those of the fast path: FastAPI's own tracing and the instrumentation package."""

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from .conftest import READING

ROUTES = [
    ("POST", "/predict"),
    ("POST", "/predict/what-if"),
    ("POST", "/invocations"),
    ("GET", "/ping"),
    ("GET", "/model"),
]


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture(params=["instrumentation package", "FastAPI"])
def traced_client(request, make_client, provider, monkeypatch):
    """An application whose requests are traced in one of two ways."""
    if request.param == "FastAPI":
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        return make_client()
    return make_client(prepare=lambda app: FastAPIInstrumentor.instrument_app(app, tracer_provider=provider))


def server_spans(exporter):
    return [span for span in exporter.get_finished_spans() if span.kind is trace.SpanKind.SERVER]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_request_has_a_span_with_its_route(traced_client, exporter, method, path):
    response = traced_client.request(method, path, json=READING if method == "POST" else None)
    assert response.status_code == 200
    (span,) = server_spans(exporter)
    assert span.name == f"{method} {path}"
    assert span.attributes["http.route"] == path


def test_an_unexpected_error_is_an_event_of_the_span(traced_client, exporter, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of order")

    monkeypatch.setattr("app.routes.predict.assess", fail)
    assert traced_client.post("/predict", json=READING).status_code == 500
    (span,) = server_spans(exporter)
    assert [event.attributes["exception.message"] for event in span.events if event.name == "exception"] == [
        "out of order"
    ]
