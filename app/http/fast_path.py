"""ASGI fast path: calls the scoring endpoints directly, without the framework's routing and parameter handling.

FastAPI's own handling of a request takes longer than scoring a reading (docs/adr/0005-asgi-fast-path.md). The routes stay
ordinary FastAPI routes: FastAPI documents them, and answers whatever the fast path does not match, such as other methods.
"""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ..problem_responses import error_response
from .asgi import route_path

Handler = Callable[[Request], Awaitable[Response]]

TELEMETRY_KEY = "fastapi.telemetry"
"""FastAPI sets this key of the scope while it traces a request with OpenTelemetry."""


class FastPathRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response: FastAPI parses and validates nothing."""

    def get_route_handler(self) -> Handler:  # type: ignore[override]  # FastAPI only awaits the result
        handler: Handler = self.endpoint
        return handler


class FastPathMiddleware:
    """Call the endpoint of a FastPathRoute directly; pass all other requests to the framework.

    It has to be inside of the middleware that should see the requests that it answers. Requests that FastAPI traces take the
    framework's path: the router there names the route of the span.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, FastPathRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = None
        if scope["type"] == "http" and TELEMETRY_KEY not in scope:
            route = self._routes.get((scope["method"], route_path(scope)))
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except Exception as error:  # noqa: BLE001  every exception gets its response and, if unexpected, a log line
            response = error_response(scope, error)
        await response(scope, receive, send)
