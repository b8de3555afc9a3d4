"""The service with two more routes, which validate a reading and answer a constant: what a request costs before anything
is scored. Same middleware, same metrics, same log.

/floor is written as FastAPI's documentation has it. /bare is written, and reached, as /predict is: past the framework's
own search for a route and handling of parameters.
"""

from fastapi import Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json

from app.http.media_types import JSON, request_media_type
from app.http.request_body import read_body, validate_json
from app.routes import predict
from app.schemas.prediction import Reading
from app.service import get_service

_READING: TypeAdapter[Reading] = TypeAdapter(Reading)


@predict.router.post("/bare")
async def bare(request: Request) -> Response:
    """As /predict begins and ends."""
    request_media_type(request, (JSON,))
    validate_json(_READING, await read_body(request, get_service(request).settings.max_request_bytes))
    return Response(to_json({"failure_probability": 0.5}), media_type=JSON)


from app.main import app  # noqa: E402  the application takes the routes that are there when it is made


@app.post("/floor")
async def floor(reading: Reading) -> dict[str, float]:  # noqa: ARG001  validated, and that is all
    """Validates and answers."""
    return {"failure_probability": 0.5}
