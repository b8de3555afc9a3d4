"""A short way to the routes that score: past the framework's middleware, its search for a route and its parameters.

Together these take longer than all that a reading needs, from its check to its answer. The routes are the framework's
all the same: it documents them, and answers what the short way does not know, such as another method.
"""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ..problems import Problem, problem_response, unexpected
from .asgi import route_path

Handler = Callable[[Request], Awaitable[Response]]


class FastPathRoute(APIRoute):
    """A route whose endpoint takes the request as it is and makes the response."""

    def get_route_handler(self) -> Handler:  # type: ignore[override]  # the framework awaits it, no more
        handler: Handler = self.endpoint
        return handler


class FastPathMiddleware:
    """Takes a request for a DirectRoute to its endpoint, and all others to the framework."""

    def __init__(self, framework: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._framework = framework
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, FastPathRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (route := self._routes.get((scope["method"], route_path(scope)))) is None:
            await self._framework(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.endpoint(Request(scope, receive, send))
        except Problem as problem:
            response = problem_response(scope, problem)
        except Exception as error:  # noqa: BLE001  told to the log and to the client, as the framework does it
            response = unexpected(scope, error)
        await response(scope, receive, send)


class FastPathApp(FastAPI):
    """A FastAPI application behind middleware of our own, which has a request first and answers it where it can."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self.front(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What FastAPI makes of a request."""
        await super().__call__(scope, receive, send)
