"""URIs as text: their scheme, what they take from the environment, and what of them may be shown."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, urlencode

from ..errors import SourceError


def scheme_of(uri: str) -> str:
    """The URI's scheme: '' for a local path, also one on a Windows drive."""
    scheme, found, _ = uri.partition("://")
    return scheme.lower() if found else ""


def expand(uri: str) -> str:
    """`uri` with ${NAME} taken from the environment. Raises SourceError for a name that is not set."""

    def value(match: re.Match[str]) -> str:
        if (found := os.environ.get(match[1])) is None:
            raise SourceError(f"{redact(uri)}: the environment variable {match[1]} is not set")
        return found

    return re.sub(r"\$\{(\w+)\}", value, uri)


def redact(uri: str) -> str:
    """`uri` without what must not reach a log or a tag: its password, and the values of a URL's query."""
    # By hand: the standard library's parts do not go back together for sqlite:////path, and refuse some passwords.
    scheme, found, rest = uri.partition("://")
    if not found or scheme == "simulator":
        return uri
    place, _, query = rest.partition("?")
    server, slash, path = place.partition("/")
    user, at, host = server.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = [(key, value if key in ("table", "query") else "***") for key, value in parse_qsl(query)]
    options = "?" + urlencode(shown, safe="*") if shown else ""
    return f"{scheme}://{name}{':***' if colon else ''}{at}{host}{slash}{path}{options}"


def check_no_password(uri: str) -> None:
    """Raises SourceError for a password written out in `uri`: a run keeps its settings where many may read them."""
    server = uri.partition("://")[2].partition("?")[0].partition("/")[0]
    password = server.rpartition("@")[0].partition(":")[2]
    if password and not re.fullmatch(r"\$\{\w+\}", password):
        raise SourceError(
            f"{redact(uri)}: holds a password, which would be kept with the run: put it into the environment and write "
            "${NAME} in its place"
        )
