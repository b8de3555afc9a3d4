"""Content negotiation: the media types of request and response bodies."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

import mimeparse

from ..problems import Problem
from .asgi import header

if TYPE_CHECKING:  # the worker process has no framework
    from fastapi import Request

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ARROW_STREAM, ARROW_FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
TABLES = (CSV, PARQUET, ARROW_STREAM, ARROW_FILE)
MEDIA_TYPES = (JSON, *TABLES)
JSON_LINES = "application/jsonlines"
INVOCATION_TYPES = (JSON, CSV, JSON_LINES)


def request_media_type(request: Request, supported: Sequence[str]) -> str:
    """Return the media type of the body, the first of `supported` by default. Raises Problem 415 for any other type."""
    media_type = header(request.scope, b"content-type", supported[0]).partition(";")[0].strip().lower()
    if media_type not in supported:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content type {media_type!r} is not supported: send {' or '.join(supported)}",
        )
    return media_type


def response_media_type(request: Request, supported: Sequence[str], default: str) -> str:
    """Return the media type that the Accept header prefers (RFC 9110), `default` among equally preferred ones.

    Raises Problem 406 if the client accepts none of `supported`.
    """
    accept = ", ".join(filter(None, request.headers.getlist("accept"))) or "*/*"
    by_preference = [default, *(media_type for media_type in supported if media_type != default)]
    try:
        # mimeparse prefers the last of equally good types.
        best = mimeparse.best_match(by_preference[::-1], accept.lower())
    except mimeparse.MimeTypeParseException:
        best = ""
    if not best:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE,
            f"no supported media type matches 'Accept: {accept}': accept {' or '.join(supported)}",
        )
    return best
