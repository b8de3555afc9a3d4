"""Read a request body within its size limit."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import Request

from ..problems import Problem
from .asgi import header


async def read_body(
    request: Request, max_bytes: int, setting: str, on_bytes: Callable[[int], object] = lambda _: None
) -> bytes | bytearray:
    """Return the body. Raises Problem 413 as soon as it exceeds `max_bytes`, 415 if it is compressed.

    `setting` is the environment variable that sets `max_bytes`. `on_bytes` is called with the size of each chunk, and may
    raise Problem.
    """
    if (encoding := header(request.scope, b"content-encoding").strip().lower()) not in ("", "identity"):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-encoding {encoding!r} is not supported: send the body uncompressed",
        )
    length = header(request.scope, b"content-length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large(max_bytes, setting)
    # Starlette's `request.stream()` takes longer than validating a reading.
    body: bytes | bytearray = b""
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(HTTPStatus.BAD_REQUEST, f"the client disconnected after {len(body):,} bytes of the body")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        on_bytes(len(chunk))
        if len(body) + len(chunk) > max_bytes:
            raise too_large(max_bytes, setting)
        if body:
            # Grows in place: joining the chunks would hold the body twice.
            body = body if isinstance(body, bytearray) else bytearray(body)
            body += chunk
        else:
            body = chunk
    return body


def too_large(max_bytes: int, setting: str) -> Problem:
    """Return the problem of a body that is larger than `setting` allows."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {max_bytes:,} bytes ({setting}): send it in parts",
    )
