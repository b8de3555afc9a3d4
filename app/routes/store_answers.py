"""Answers that are read from the store: made in its thread, and sent as they are.

An answer with thousands of readings takes megabytes, and validating it would take a tenth of a second of the event loop.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Request, Response

from ..http.chunked_answer import ChunkedAnswer
from ..http.disconnect import run_while_connected
from ..http.media_types import JSON
from ..problems import Problem
from ..service import get_service
from ..worker.byte_budget import HeldBytes

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store


async def answer_from_store(
    request: Request, read: Callable[["Store"], Mapping[str, Any] | None], not_found: Problem | None = None
) -> Response:
    """Return what `read` finds, as JSON. Raises `not_found` if that is None, StoreError, and Problem 503 if too many wait.

    The bytes of an answer count with those of batches until it is sent.
    """
    service = get_service(request)
    service.batches.budget.check()
    answer = await run_while_connected(request, service.store.read(lambda store: _encoded(read(store))))
    if answer is None:
        assert not_found is not None
        raise not_found
    held = HeldBytes(service.batches.budget)
    held.add(len(answer))
    return ChunkedAnswer(answer, JSON, {}, held.release)


def _encoded(answer: Mapping[str, Any] | None) -> bytearray | None:
    if answer is None:
        return None
    encoded = bytearray()
    msgspec.json.Encoder().encode_into(answer, encoded)
    return encoded
