"""The API's documentation: a page that works offline, and an OpenAPI document with the errors and the API key."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi

from .access import ROUTE_ROLES, RouteRoles
from .http.documented_bodies import documented_bodies
from .problem_responses import MEDIA_TYPE
from .schemas.audit import PERSON_HEADER
from .schemas.reading import ReadingSchema

_SCHEMES = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key with the role that the route needs.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token."},
}
_PERSON = {
    "name": PERSON_HEADER,
    "in": "header",
    "description": "The person who acts, percent-encoded in UTF-8. Only keys that speak for people may send it.",
    "schema": {"type": "string"},
    "example": "Ana%20Ruiz",
}
_REFUSALS = {"401": "No API key, or one that is not known", "403": "The API key has not the role that the route needs"}


def install(app: FastAPI, roles: RouteRoles | None, schema: Callable[[], ReadingSchema]) -> None:
    """Serve the documentation at /docs, to which / redirects, with its script and style from this service.

    `roles` are those of the routes; None if the service has no API keys. `schema` returns the readings that the service accepts
    now.
    """
    patch_fastapi(app)
    app.openapi = _completed(app.openapi, roles, schema)  # type: ignore[method-assign]


def _completed(
    generate: Callable[[], dict[str, Any]], roles: RouteRoles | None, schema: Callable[[], ReadingSchema]
) -> Callable[[], dict[str, Any]]:
    @lru_cache(maxsize=1)  # for the version that is served: 5 ms of the event loop
    def document_of(accepted: ReadingSchema) -> dict[str, Any]:
        document = generate()
        for path, body in documented_bodies(accepted).items():
            document["paths"][path]["post"]["requestBody"] = body
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if roles and (route := roles.find(method.upper(), path)):
                    _require_key(operation, ROUTE_ROLES[route])
                _set_error_media_type(operation)
        if roles:
            document["components"]["securitySchemes"] = _SCHEMES
        return document

    return lambda: document_of(schema())


def _require_key(operation: dict[str, Any], role: str) -> None:
    operation["security"] = [{"key": [role]}, {"bearer": [role]}]
    operation["description"] = (
        f"{operation.get('description', '')}\n\nNeeds an API key with the role **{role}**.".strip()
    )
    if role != "read":
        operation["parameters"] = [*operation.get("parameters", ()), _PERSON]
    problem = {"application/json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for status, description in _REFUSALS.items():
        operation["responses"][status] = {"description": description, "content": dict(problem)}


def _set_error_media_type(operation: dict[str, Any]) -> None:
    """Declare errors as problem details. FastAPI declares the media type of successful responses for them."""
    for status, response in operation["responses"].items():
        if int(status) >= 400 and "application/json" in response["content"]:
            response["content"][MEDIA_TYPE] = response["content"].pop("application/json")
