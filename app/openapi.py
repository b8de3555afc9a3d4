"""The API's documentation: a page that works offline, and an OpenAPI document with the errors and the API key."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi

from .http.documented_bodies import documented_bodies
from .middleware import OPEN_PATHS
from .problem_responses import MEDIA_TYPE
from .schemas.reading import ReadingSchema


def install(app: FastAPI, needs_key: bool, schema: Callable[[], ReadingSchema]) -> None:
    """Serve the documentation at /docs, to which / redirects, with its script and style from this service.

    `schema` returns the readings that the service accepts now.
    """
    patch_fastapi(app)
    app.openapi = _completed(app.openapi, needs_key, schema)  # type: ignore[method-assign]


def _completed(
    generate: Callable[[], dict[str, Any]], needs_key: bool, schema: Callable[[], ReadingSchema]
) -> Callable[[], dict[str, Any]]:
    @lru_cache(maxsize=1)  # for the version that is served: 5 ms of the event loop
    def document_of(accepted: ReadingSchema) -> dict[str, Any]:
        document = generate()
        for path, body in documented_bodies(accepted).items():
            document["paths"][path]["post"]["requestBody"] = body
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _set_error_media_type(operation)
                if needs_key and path not in OPEN_PATHS:
                    operation["security"] = [{"key": []}]
        if needs_key:
            document["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        return document

    return lambda: document_of(schema())


def _set_error_media_type(operation: dict[str, Any]) -> None:
    """Declare errors as problem details. FastAPI declares the media type of successful responses for them."""
    for status, response in operation["responses"].items():
        if int(status) >= 400 and "application/json" in response["content"]:
            response["content"][MEDIA_TYPE] = response["content"].pop("application/json")
