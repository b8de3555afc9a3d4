"""The API's documentation: a page that needs no internet, and an OpenAPI document that tells errors and keys as they are."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi

from .middleware import OPEN_PATHS
from .problems import MEDIA_TYPE


def install(app: FastAPI, needs_key: bool) -> None:
    """Serve the page at /docs (and / leads there), its script and style from this machine."""
    patch_fastapi(app)
    app.openapi = _corrected(app.openapi, needs_key)  # type: ignore[method-assign]


def _corrected(document: Callable[[], dict[str, Any]], needs_key: bool) -> Callable[[], dict[str, Any]]:
    def corrected() -> dict[str, Any]:
        made = document()
        for path, operations in made["paths"].items():
            for operation in operations.values():
                _tell_errors(operation)
                if needs_key and path not in OPEN_PATHS:
                    operation["security"] = [{"key": []}]
        if needs_key:
            made["components"]["securitySchemes"] = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
        return made

    return corrected


def _tell_errors(operation: dict[str, Any]) -> None:
    """Give errors their own content type: the framework gives them that of the answers."""
    for status, response in operation["responses"].items():
        if int(status) >= 400 and "application/json" in response["content"]:
            response["content"][MEDIA_TYPE] = response["content"].pop("application/json")
