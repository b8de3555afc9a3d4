"""ASGI middleware: request id, log line and metrics of every request; API key; error responses of the framework."""

import hmac
import random
import re
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictive_maintenance.config.api_keys import UNKNOWN_NAME, ApiKey, hash_key
from predictive_maintenance.store.rows import Actor

from .access import OPENAPI_PATH, PEOPLE_ROLE, ROUTE_ROLES, RouteRoles, is_open, person_of, set_actor
from .http.asgi import header, route_path
from .metrics import Metrics
from .problem_responses import error_response
from .problems import Problem
from .schemas.audit import PERSON_HEADER
from .serving.audit_log import Refusal

QUIET_ROUTES = ("/health", "/ready", "/ping", "/metrics")
"""Probes call these every few seconds: they are logged at level debug only."""

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
    """Require an API key, as X-API-Key or as a bearer token, that has the role of the route, and note who sends the request.

    `report` is called when a key is refused.
    """

    def __init__(
        self, app: ASGIApp, keys: Collection[ApiKey], roles: RouteRoles, report: Callable[[Refusal], None]
    ) -> None:
        self.app, self._keys, self._roles, self._report = app, keys, roles, report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_open(path := route_path(scope)):
            try:
                key, actor = self._sender(scope, self._roles.find(scope["method"], path))
                set_actor(scope, actor, sees_people=key.allows(PEOPLE_ROLE))
            except Problem as refusal:
                await error_response(scope, refusal)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _sender(self, scope: Scope, route: str | None) -> tuple[ApiKey, Actor]:
        """The key of a request, and who sends it. Raises Problem if the key does not allow it."""
        if (key := self._sent_key(scope, route)) is None:
            raise _unauthorized("an API key is needed")
        if route and not key.allows(role := ROUTE_ROLES[route]):
            reason = f"the API key {key.name} has the role {key.role}, and {route} needs {role}"
            raise self._refusal(scope, route, key.name, reason, "use another key")
        if (person := person_of(scope)) is not None and not key.speaks_for_people:
            reason = f"the API key {key.name} may not speak for people ({PERSON_HEADER})"
            raise self._refusal(scope, route, key.name, reason, f"use one with the role {key.role}+people")
        return key, Actor(key.name, person)

    def _sent_key(self, scope: Scope, route: str | None) -> ApiKey | None:
        """The key that a request sends; None without one. Raises Problem if it is not known."""
        scheme, _, token = header(scope, b"authorization").partition(" ")
        given = header(scope, b"x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        digest, found = hash_key(given), None
        for key in self._keys:  # all of them, so that the time of the answer says nothing about the keys
            if hmac.compare_digest(key.digest, digest):
                found = key
        if found is None and given:
            self._note(scope, route, UNKNOWN_NAME, HTTPStatus.UNAUTHORIZED, "the API key is not known")
            raise _unauthorized("an API key is needed, and the given one is not known")
        return found

    def _refusal(self, scope: Scope, route: str | None, key: str, reason: str, way_out: str) -> Problem:
        self._note(scope, route, key, HTTPStatus.FORBIDDEN, reason)
        return Problem(HTTPStatus.FORBIDDEN, f"{reason}: {way_out}")

    def _note(self, scope: Scope, route: str | None, key: str, status: HTTPStatus, reason: str) -> None:
        client = scope.get("client")
        self._report(Refusal(key, route or _UNMATCHED, status.value, reason, client[0] if client else ""))


def _unauthorized(reason: str) -> Problem:
    detail = f"{reason}: send it as X-API-Key, or as Authorization: Bearer"
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})


def _route_label(scope: Scope) -> str:
    """Return the path of the matched route. Unmatched paths share one label, so a scan creates no new time series."""
    if (route := scope.get("route")) is not None:
        return getattr(route, "path", _UNMATCHED)
    # FastAPI serves the OpenAPI document by a plain route, which it does not put into the scope.
    return OPENAPI_PATH if route_path(scope) == OPENAPI_PATH else _UNMATCHED
