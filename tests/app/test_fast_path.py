"""The fast path answers as the framework does, and other middleware sees its requests."""

import json

import pytest
from starlette.routing import Match

from app.http.fast_path import FastPathMiddleware, FastPathRoute

from .conftest import READING, fast_path_of
from .test_health import samples
from .test_predict import problem

REQUESTS = [
    ("/predict", READING),
    ("/predict?explain=true", READING | {"reading_id": "a"}),
    ("/predict?explain=perhaps", READING),
    ("/predict", READING | {"torque_nm": 501}),
    ("/predict/what-if", READING),
    ("/predict/batch", [READING, READING | {"torque_nm": "x"}]),
    ("/invocations", READING),
]


@pytest.fixture
def framework_client(make_client):
    """The same application without the fast path."""
    return make_client(without=[FastPathMiddleware])


@pytest.fixture
def fast_path(client):
    """The middleware of the running application."""
    return fast_path_of(client.app)


def outcome(response):
    """What must not depend on the path that a request takes."""
    fields = {name: value for name, value in response.json().items() if name != "request_id"}
    return response.status_code, response.headers["content-type"], fields


@pytest.mark.parametrize(("path", "body"), REQUESTS)
def test_the_fast_path_answers_as_the_framework_does(client, framework_client, path, body):
    assert outcome(client.post(path, json=body)) == outcome(framework_client.post(path, json=body))


def test_the_fast_path_does_not_enter_the_framework(client, fast_path, monkeypatch):
    async def fail(*_):
        raise AssertionError("the request entered the framework")

    monkeypatch.setattr(fast_path, "app", fail)
    assert client.post("/predict", json=READING).status_code == 200
    assert client.get("/model").status_code == 500


def test_the_fast_path_has_the_scoring_routes_and_no_other(fast_path):
    assert {(method, path) for method, path in fast_path._routes if method != "HEAD"} == {
        ("POST", "/predict"),
        ("POST", "/predict/what-if"),
        ("POST", "/predict/batch"),
        ("POST", "/readings"),
        ("POST", "/invocations"),
        ("GET", "/ping"),
    }


def test_every_route_of_the_fast_path_is_documented_and_matched_by_the_framework(client, fast_path):
    paths = client.get("/openapi.json").json()["paths"]
    for (method, path), route in fast_path._routes.items():
        assert isinstance(route, FastPathRoute)
        assert method == "HEAD" or method.lower() in paths[path]
        assert route.matches({"type": "http", "method": method, "path": path, "headers": []})[0] is Match.FULL


@pytest.mark.parametrize(("path", "function"), [("/predict", "assess"), ("/model", "_model_card")])
def test_an_unexpected_error_is_a_problem_with_a_request_id_counted_and_logged(
    client, monkeypatch, capfd, path, function
):
    def fail(*_):
        raise RuntimeError("out of order")

    module = "app.routes.predict" if path == "/predict" else "app.routes.model"
    monkeypatch.setattr(f"{module}.{function}", fail)
    method = "POST" if path == "/predict" else "GET"
    response = client.request(method, path, content=json.dumps(READING), headers={"x-request-id": "line-7"})
    body = problem(response, 500)
    assert (body["request_id"], response.headers["x-request-id"]) == ("line-7", "line-7")
    assert "out of order" not in response.text
    assert samples(client)["pdm_http_requests_total", ("method", method), ("route", path), ("status", "500")] == 1
    assert "RuntimeError: out of order" in capfd.readouterr().out


def test_middleware_that_is_added_later_sees_the_fast_path(make_client):
    seen = []

    class Observer:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            seen.append(scope.get("path"))
            await self.app(scope, receive, send)

    client = make_client(prepare=lambda app: app.add_middleware(Observer))
    client.post("/predict", json=READING)
    assert "/predict" in seen
