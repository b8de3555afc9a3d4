"""Around every request: its id, its key, its line in the log, its place in the metrics."""

import hmac
import random
import re
import time
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http.asgi import header, route_path
from .metrics import Metrics
from .problems import Problem, problem_response

QUIET_ROUTES = ("/health", "/ready", "/ping", "/metrics")
"""Asked every few seconds by machines: in the log at level debug only."""

OPEN_PATHS = ("/health", "/ready", "/ping", "/", "/docs", "/openapi.json")
"""Answered without a key, as are the files of the documentation: probes have none, and it says nothing of the model."""

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_random = random.Random()  # noqa: S311  an id is no secret, and the system's own randomness costs a call of the kernel
_log = structlog.get_logger()


class RequestLoggingMiddleware:
    """Gives a request its id (X-Request-ID, the client's own where it is decent), measures it and logs it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._counters: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        given = header(scope, b"x-request-id")
        request_id = given if _ID.fullmatch(given) else f"{_random.getrandbits(64):016x}"
        scope["request_id"] = request_id

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            self._count(scope, status, time.perf_counter() - began, request_id)

    def _count(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        key = (route, scope["method"], status)
        if (found := self._counters.get(key)) is None:
            # Looking a label up each time costs more than counting.
            method = scope["method"] if route != "unmatched" and scope["method"] in _METHODS else "any"
            found = (self._metrics.requests.labels(route, method, status), self._metrics.seconds.labels(route))
            if method != "any":
                self._counters[key] = found
        found[0].inc()
        found[1].observe(seconds)
        log = _log.debug if route in QUIET_ROUTES and status < 500 else _log.info
        log(
            "request", request_id=request_id, method=scope["method"], path=scope["path"], status=status,
            milliseconds=round(seconds * 1000, 3),
        )  # fmt: skip


class ApiKeyMiddleware:
    """Asks for the API key in X-API-Key or as a bearer token, on every route that is not open."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app, self._key = app, api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_open(route_path(scope)) or self._knows_key(scope):
            await self._app(scope, receive, send)
            return
        detail = "an API key is needed: send it as X-API-Key, or as Authorization: Bearer"
        refusal = Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
        await problem_response(scope, refusal)(scope, receive, send)

    @staticmethod
    def _is_open(path: str) -> bool:
        return path in OPEN_PATHS or path.startswith("/swagger/")

    def _knows_key(self, scope: Scope) -> bool:
        scheme, _, token = header(scope, b"authorization").partition(" ")
        key = header(scope, b"x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        return hmac.compare_digest(key.encode("latin-1"), self._key)
