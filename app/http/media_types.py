"""The kinds of bodies, by content type: what a client sends, and what it wants to have."""

import re
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import Request

from ..problems import Problem
from .asgi import header

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ARROW_STREAM, ARROW_FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
TABLES = (CSV, PARQUET, ARROW_STREAM, ARROW_FILE)
MEDIA_TYPES = (JSON, *TABLES)


def request_media_type(request: Request, kinds: Sequence[str]) -> str:
    """The body's content type. Raises Problem 415 unless it is one of `kinds`, the first of which is the default."""
    kind = header(request.scope, b"content-type", kinds[0]).partition(";")[0].strip().lower()
    if kind not in kinds:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content type {kind!r} is not read: send {' or '.join(kinds)}"
        )
    return kind


def response_media_type(request: Request, kinds: Sequence[str], default: str) -> str:
    """What the client asks for in Accept; `default` where anything will do. Raises Problem 406 for what is not there."""
    wanted = header(request.scope, b"accept", "*/*")
    ranked = []
    for part in wanted.split(","):
        kind, _, parameters = part.strip().lower().partition(";")
        given = re.search(r"\bq=([0-9.]+)", parameters)
        quality = float(given[1]) if given and given[1].replace(".", "", 1).isdecimal() else 1.0
        if quality > 0:  # 0 says what the client cannot read
            ranked.append((-quality, kind.strip()))
    for _, kind in sorted(ranked, key=lambda item: item[0]):
        if kind in kinds:
            return kind
        group, _, rest = kind.partition("/")
        if kind == "*/*" or (rest == "*" and default.startswith(f"{group}/")):
            return default
    raise Problem(HTTPStatus.NOT_ACCEPTABLE, f"no answer of kind {wanted!r}: accept {' or '.join(kinds)}")
