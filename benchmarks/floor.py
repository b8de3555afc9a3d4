"""The service with two more routes, which validate a reading and answer a constant: what a request costs before anything
is scored. Same middleware, same metrics, same log.

/floor is written as FastAPI's documentation has it. /bare reads the body as /predict does, past the framework's own
handling of parameters.
"""

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json

from app.bodies import checked_json, read_body
from app.kinds import JSON, kind_of_body
from app.main import app
from app.routes.predict import DirectRoute
from app.schemas import Reading
from app.service import service

_READING: TypeAdapter[Reading] = TypeAdapter(Reading)


@app.post("/floor")
async def floor(reading: Reading) -> dict[str, float]:  # noqa: ARG001  validated, and that is all
    """Validates and answers."""
    return {"failure_probability": 0.5}


bare = APIRouter(route_class=DirectRoute)


@bare.post("/bare")
async def bare_floor(request: Request) -> Response:
    """As /predict begins and ends."""
    kind_of_body(request, (JSON,))
    checked_json(_READING, await read_body(request, service(request).settings.max_request_bytes))
    return Response(to_json({"failure_probability": 0.5}), media_type=JSON)


app.include_router(bare)
