"""What is asked of a request's scope before there is a framework to ask."""

from starlette.types import Scope


def header(scope: Scope, name: bytes, default: str = "") -> str:
    """The value of a header, by its name in lower case; the first of several.

    The framework's own look-up takes three times as long, and every request has several.
    """
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return default


def route_path(scope: Scope) -> str:
    """The path as the routes have it: below the prefix that a proxy serves the application under (`--root-path`)."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
