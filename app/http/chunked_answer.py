"""Send a large answer in chunks, no faster than the client reads it."""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from fastapi import Response
from starlette.types import Receive, Scope, Send

_CHUNK_BYTES = 512 * 1024
_CHUNK_SECONDS = 30.0
"""A client that reads slower than a chunk in this time is disconnected: its answer takes memory."""

_log = structlog.get_logger()


class ChunkedAnswer(Response):
    """A response that calls `on_end` once it is sent, or cannot be sent. The server buffers one chunk at a time."""

    def __init__(
        self, answer: bytearray, media_type: str, headers: Mapping[str, str], on_end: Callable[[], object]
    ) -> None:
        super().__init__(memoryview(answer), media_type=media_type, headers=dict(headers))
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the ASGI signature
        size = len(self.body)
        try:
            async with asyncio.timeout(None) as timeout:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                for start in range(0, size, _CHUNK_BYTES):
                    timeout.reschedule(asyncio.get_running_loop().time() + _CHUNK_SECONDS)
                    end = start + _CHUNK_BYTES
                    chunk = bytes(self.body[start:end])
                    await send({"type": "http.response.body", "body": chunk, "more_body": end < size})
        except TimeoutError:
            # The server closes the connection of an incomplete response.
            _log.warning("client does not read its answer", request_id=scope.get("request_id"), answer_bytes=size)
        finally:
            self._on_end()
