"""Who may do what: the role that each route needs, and who sent a request."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from urllib.parse import unquote

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Scope

from predictive_maintenance.config.api_keys import ANONYMOUS_NAME, Role
from predictive_maintenance.store.rows import Actor

from .http.asgi import header
from .problems import Problem
from .schemas.audit import PERSON_HEADER

OPENAPI_PATH = "/openapi.json"
OPEN_PATHS = ("/health", "/ready", "/ping", "/", "/docs", OPENAPI_PATH)
"""Paths that need no API key, like the files of the documentation page: probes have no key."""

PEOPLE_ROLE: Role = "operate"
"""The role that sees who did something. Others get null in place of the name."""

ROUTE_ROLES: Mapping[str, Role] = {
    "POST /predict": "read",  # scoring changes nothing but the log of predictions
    "POST /predict/what-if": "read",
    "POST /predict/batch": "read",
    "POST /invocations": "read",
    "GET /alarms": "read",
    "GET /feedback": "read",
    "GET /deliveries": "read",
    "GET /incidents": "read",
    "GET /monitoring": "read",
    "GET /shadow": "read",
    "GET /machines": "read",
    "GET /machines/{machine_id:path}": "read",
    "GET /metrics": "read",
    "GET /model": "read",
    "GET /model/history": "read",
    "GET /model/status": "read",
    "GET /model/thresholds": "read",
    "GET /model/trainings": "read",
    "GET /audit": PEOPLE_ROLE,
    "POST /acknowledgements": "operate",
    "POST /audit/refusals": "operate",
    "POST /events": "write",
    "POST /feedback": "write",
    "POST /readings": "write",
}
"""The role that each route needs. An application with a route that is neither here nor open does not start."""

ANONYMOUS = Actor(ANONYMOUS_NAME)
"""Who calls a service without API keys."""

_PERSON_CHARACTERS = 200
_ACTOR, _SEES_PEOPLE = "actor", "sees_people"


class RouteRoles:
    """Finds the route of a request, such as GET /machines/{machine_id}, and its role. Raises LookupError for a route without."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._by_place: dict[tuple[str, str], str] = {}
        self._patterns: list[tuple[str, APIRoute, str]] = []
        for route in routes:
            if not isinstance(route, APIRoute) or route.path in OPEN_PATHS:
                continue
            for method in route.methods or ():
                name = f"{method} {route.path}"
                if name not in ROUTE_ROLES:
                    raise LookupError(f"{name} has no role: add it to ROUTE_ROLES in app/access.py")
                self._by_place[method, route.path] = name
                self._patterns.append((method, route, name))

    def find(self, method: str, path: str) -> str | None:
        """The route of a request; None if no route needs a role: the framework then answers with 404 or 405."""
        if name := self._by_place.get((method, path)):
            return name
        # By the patterns of the framework: they match other paths, too, such as /audit with a line feed behind it.
        matching = (name for of, route, name in self._patterns if of == method and route.path_regex.match(path))
        return next(matching, None)


def is_open(path: str) -> bool:
    """Whether a path needs no API key."""
    return path in OPEN_PATHS or path.startswith("/swagger/")


def person_of(scope: Scope) -> str | None:
    """The person that a request names; None without one. Raises Problem for an invalid name."""
    if not (given := header(scope, PERSON_HEADER.lower().encode())):
        return None
    person = unquote(given, errors="replace").strip()
    if not 0 < len(person) <= _PERSON_CHARACTERS or not person.isprintable():
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"{PERSON_HEADER} is not a name: send up to {_PERSON_CHARACTERS} printable characters, percent-encoded in UTF-8",
        )
    return person


def set_actor(scope: Scope, actor: Actor, *, sees_people: bool) -> None:
    """Remember who sent a request, and whether its answer may name people."""
    scope[_ACTOR], scope[_SEES_PEOPLE] = actor, sees_people


def sees_people(request: Request) -> bool:
    """Whether the answer to a request may name people: the key has PEOPLE_ROLE, or the service has no keys."""
    return bool(request.scope.get(_SEES_PEOPLE, True))


def actor_of(request: Request) -> Actor:
    """Who sent a request. Raises Problem if it names a person and the service has no keys."""
    actor: Actor | None = request.scope.get(_ACTOR)
    if actor is None and person_of(request.scope) is not None:
        raise Problem(
            HTTPStatus.FORBIDDEN, f"{PERSON_HEADER} needs a key that speaks for people: set PDM_API_KEYS of the service"
        )
    return actor or ANONYMOUS
