"""ASGI middleware: request id, log line and metrics of every request; API key; error responses of the framework."""

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
from .problem_responses import error_response
from .problems import Problem

QUIET_ROUTES = ("/health", "/ready", "/ping", "/metrics")
"""Probes call these every few seconds: they are logged at level debug only."""

OPENAPI_PATH = "/openapi.json"

OPEN_PATHS = ("/health", "/ready", "/ping", "/", "/docs", OPENAPI_PATH)
"""Paths that need no API key, like the files of the documentation page: probes have no key."""

_UNMATCHED = "unmatched"
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_random = random.Random()  # noqa: S311  a request id is not a secret, and os.urandom needs a system call
_log = structlog.get_logger()


class RequestLoggingMiddleware:
    """Set the request id (X-Request-ID, the client's own if it is valid), then log and count the request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self._metrics = app, metrics
        self._counters: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        given = header(scope, b"x-request-id")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"{_random.getrandbits(64):016x}"
        scope["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started, request_id)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = _route_label(scope)
        key = (route, scope["method"], status)
        if (counters := self._counters.get(key)) is None:
            # Cached: finding a labelled metric takes longer than incrementing it.
            method = scope["method"] if route != _UNMATCHED and scope["method"] in _METHODS else "any"
            counters = (self._metrics.requests.labels(route, method, status), self._metrics.seconds.labels(route))
            if method != "any":
                self._counters[key] = counters
        counters[0].inc()
        counters[1].observe(seconds)
        log = _log.debug if route in QUIET_ROUTES and status < 500 else _log.info
        log(
            "request", request_id=request_id, method=scope["method"], path=scope["path"], status=status,
            milliseconds=round(seconds * 1000, 3),
        )  # fmt: skip


class ProblemMiddleware:
    """Answer exceptions that the framework does not handle. Inside of RequestLoggingMiddleware, which adds the request id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:
            if started or scope["type"] != "http":
                raise  # a response that has started cannot become an error response
            await error_response(scope, error)(scope, receive, send)


class ApiKeyMiddleware:
    """Require the API key, as X-API-Key or as a bearer token, on every path that is not open."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self.app, self._key = app, api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_open(route_path(scope)) or self._has_key(scope):
            await self.app(scope, receive, send)
            return
        detail = "an API key is needed: send it as X-API-Key, or as Authorization: Bearer"
        refusal = Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
        await error_response(scope, refusal)(scope, receive, send)

    @staticmethod
    def _is_open(path: str) -> bool:
        return path in OPEN_PATHS or path.startswith("/swagger/")

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, token = header(scope, b"authorization").partition(" ")
        key = header(scope, b"x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        return hmac.compare_digest(key.encode("latin-1"), self._key)


def _route_label(scope: Scope) -> str:
    """Return the path of the matched route. Unmatched paths share one label, so a scan creates no new time series."""
    if (route := scope.get("route")) is not None:
        return getattr(route, "path", _UNMATCHED)
    # FastAPI serves the OpenAPI document by a plain route, which it does not put into the scope.
    return OPENAPI_PATH if route_path(scope) == OPENAPI_PATH else _UNMATCHED
