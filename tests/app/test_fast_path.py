"""The short way to the routes that score answers as the framework's own way does, faults included."""

import json

import pytest
from fastapi.testclient import TestClient
from starlette.routing import Match

from app.http.fast_path import FastPathMiddleware, FastPathRoute
from app.middleware import RequestLoggingMiddleware

from .conftest import READING
from .test_health import samples
from .test_predict import problem


@pytest.fixture
def framework(client):
    """The same application, asked past its front."""
    return TestClient(client.app.framework, raise_server_exceptions=False)


REQUESTS = [
    ("/predict", READING),
    ("/predict?explain=true", READING | {"reading_id": "a"}),
    ("/predict?explain=perhaps", READING),
    ("/predict", READING | {"torque_nm": 501}),
    ("/predict/what-if", READING),
    ("/predict/batch", [READING, READING | {"torque_nm": "x"}]),
    ("/invocations", READING),
]


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_both_ways_give_the_same_answer(client, framework, path, body):
    def told(response):
        kept = {name: value for name, value in response.json().items() if name != "request_id"}
        return response.status_code, response.headers["content-type"], kept

    assert told(client.post(path, json=body)) == told(framework.post(path, json=body))


def test_a_direct_route_does_not_enter_the_framework(client, monkeypatch):
    async def never(*_):
        raise AssertionError("went through the framework")

    monkeypatch.setattr(client.app.front._app, "_framework", never)
    assert client.post("/predict", json=READING).status_code == 200
    assert client.get("/model").status_code == 500


def test_every_direct_route_is_one_that_the_framework_knows_and_documents(client):
    observed = client.app.front
    assert isinstance(observed, RequestLoggingMiddleware)
    assert isinstance(observed._app, FastPathMiddleware)
    direct = observed._app._routes
    assert {path for _, path in direct} == {"/predict", "/predict/what-if", "/predict/batch", "/invocations", "/ping"}
    paths = client.get("/openapi.json").json()["paths"]
    for (method, path), route in direct.items():
        assert isinstance(route, FastPathRoute)
        assert method == "HEAD" or method.lower() in paths[path]
        assert route.matches({"type": "http", "method": method, "path": path, "headers": []})[0] is Match.FULL


@pytest.mark.parametrize(("path", "at_fault"), [("/predict", "assess"), ("/model", "_card")])
def test_what_nobody_foresaw_is_a_problem_with_a_request_id_counted_and_told_to_the_log(
    client, monkeypatch, capfd, path, at_fault
):
    def broken(*_):
        raise RuntimeError("out of order")

    module = "app.routes.predict" if path == "/predict" else "app.routes.model"
    monkeypatch.setattr(f"{module}.{at_fault}", broken)
    method = "POST" if path == "/predict" else "GET"
    response = client.request(method, path, content=json.dumps(READING), headers={"x-request-id": "line-7"})
    body = problem(response, 500)
    assert (body["request_id"], response.headers["x-request-id"]) == ("line-7", "line-7")
    assert "out of order" not in response.text
    assert samples(client)["pdm_http_requests_total", ("method", method), ("route", path), ("status", "500")] == 1
    assert "RuntimeError: out of order" in capfd.readouterr().out
