"""The service with one more route, which reads and validates a reading as /predict does and answers a constant.

Same middleware, same metrics, same log: what a request costs before anything is scored.
"""

from fastapi import Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json

from app.bodies import checked_json, read_body
from app.kinds import JSON, kind_of_body
from app.main import app
from app.schemas import Reading
from app.service import service

_READING: TypeAdapter[Reading] = TypeAdapter(Reading)


@app.post("/floor")
async def floor(request: Request, explain: bool = False) -> Response:  # noqa: ARG001  read as /predict reads it
    """As /predict begins and ends."""
    kind_of_body(request, (JSON,))
    checked_json(_READING, await read_body(request, service(request).settings.max_request_bytes))
    return Response(to_json({"failure_probability": 0.5}), media_type=JSON)
