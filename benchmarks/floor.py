"""The API with two more routes that validate a reading and return a constant: the cost of a request without scoring.

Middleware, metrics and logs are those of the API. /floor is a route as in FastAPI's documentation. /fast-path-floor is
a route like /predict, on the fast path past FastAPI's routing and parameter handling.
"""

from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from app import access
from app.http.json_validation import validate_reading
from app.http.media_types import JSON, request_media_type
from app.http.request_body import read_body
from app.routes import predict
from app.schemas.reading import ReadingSchema
from app.service import get_service
from predictive_maintenance.machine.milling import MILLING


@predict.router.post("/fast-path-floor")
async def fast_path_floor(request: Request) -> Response:
    """Validate and respond like /predict, without scoring."""
    request_media_type(request, (JSON,))
    settings = get_service(request).settings
    validate_reading(
        bytes(await read_body(request, settings.max_reading_bytes, "PDM_MAX_READING_BYTES")), MILLING_READING
    )
    return Response(to_json({"failure_probability": 0.5}), media_type=JSON)


access.ROUTE_ROLES = {**access.ROUTE_ROLES, "POST /fast-path-floor": "read"}  # a route without a role is refused

from app.main import app  # noqa: E402  after the route above, because importing it makes the application with the existing routes

MILLING_READING = ReadingSchema(MILLING)

Reading: Any = MILLING_READING.type


@app.post("/floor")
async def floor(reading: Reading) -> dict[str, float]:  # noqa: ARG001  FastAPI validates it
    """Validate and return a constant."""
    return {"failure_probability": 0.5}
