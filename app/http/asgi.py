"""Functions that read an ASGI scope, for code that runs before the framework."""

from starlette.types import Scope


def header(scope: Scope, name: bytes, default: str = "") -> str:
    """Return the first value of a header, by its name in lower case.

    Three times as fast as Starlette's `Headers`, and used several times in every request.
    """
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return default


def route_path(scope: Scope) -> str:
    """Return the path without the prefix of a reverse proxy (`--root-path`), as the routes declare it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    # As the framework: the path of a route that only begins like the prefix keeps it, or its role would not be found.
    return path[len(root) :] if path.startswith(f"{root}/") else path
