"""Request bodies: reading within the size limit, and JSON validation that reports every invalid field."""

from http import HTTPStatus
from typing import Any

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from ..problems import Problem, field_problem
from .asgi import header


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body. Raises Problem 413 as soon as it exceeds `max_bytes`, 415 if it is compressed."""
    if (encoding := header(request.scope, b"content-encoding").strip().lower()) not in ("", "identity"):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-encoding {encoding!r} is not supported: send the body uncompressed",
        )
    length = header(request.scope, b"content-length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    # Starlette's `request.stream()` takes longer than validating a reading.
    chunks, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Problem(HTTPStatus.BAD_REQUEST, f"the client disconnected after {size:,} bytes of the body")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {max_bytes:,} bytes (PDM_MAX_REQUEST_BYTES): send it in parts",
    )


def validate_json(adapter: TypeAdapter[Any], body: bytes) -> Any:
    """Return `body` as the adapter's type. Raises Problem: 400 for invalid JSON, 422 with each invalid field."""
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise json_problem(error) from None


def json_problem(error: ValidationError) -> Problem:
    """Convert pydantic's error to a problem: 400 for invalid JSON, 422 with each invalid field."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    if details[0]["type"] == "json_invalid":
        return Problem(
            HTTPStatus.BAD_REQUEST, f"the body is not valid JSON: {details[0]['msg'].removeprefix('Invalid JSON: ')}"
        )
    return field_problem([(None, ".".join(map(str, detail["loc"])), reason_of(detail)) for detail in details])


def reason_of(detail: Any) -> str:
    """Return why a field is invalid, in the wording of the API."""
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known field"
        case "finite_number":
            return "is not a finite number"
        case "float_type":
            return "is not a number"
        case "list_type" | "dict_type":
            return f"should be {'a list' if detail['type'] == 'list_type' else 'an object'}"
    return str(detail["msg"]).replace("Input should", "should")
