"""ASGI middleware that answers only requests to allowed host names, against DNS rebinding.

A website can let its own name resolve to 127.0.0.1. A visitor's browser then sends the website's requests to the service on the
visitor's machine, with the website's name in the header Host.
"""

from collections.abc import Iterable
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from ..problem_responses import error_response
from ..problems import Problem
from .asgi import header, route_path

PROBE_PATHS = frozenset(("/health", "/ready", "/ping"))
"""Paths that answer under every name: the probes of a cluster use addresses that change."""


class AllowedHostsMiddleware:
    """Refuse requests whose Host is not in `hosts`; an entry `*` allows all. Ports are ignored."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._allows(header(scope, b"host")) or route_path(scope) in PROBE_PATHS:
            await self.app(scope, receive, send)
            return
        host = header(scope, b"host")[:255]
        detail = f"this service does not answer for the host {host!r}: its operator can add it to PDM_ALLOWED_HOSTS"
        await error_response(scope, Problem(HTTPStatus.MISDIRECTED_REQUEST, detail))(scope, receive, send)

    def _allows(self, host: str) -> bool:
        return "*" in self._hosts or _name(host) in self._hosts


def _name(host: str) -> str:
    """Return the host without its port, and an IPv6 address without brackets, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
