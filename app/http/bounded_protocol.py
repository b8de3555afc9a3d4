"""HTTP over one connection, with limits: header size, time for header and body, number of connections.

uvicorn limits header bytes with h11 only, and neither the time of a header or a body nor the number of idle connections
(docs/adr/0015-limits-on-connections.md). This subclass of its httptools protocol adds them. A complete request that arrives in
one piece starts no timer.
"""

import heapq
from asyncio import BaseTransport, TimerHandle
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ..problems import Problem, error_response

MIN_BYTES_PER_SECOND = 64 * 1024
"""Slowest transfer of a long body. Each 64 KiB extend its deadline by a second."""

MAX_PIPELINED = 16
"""Most requests of one connection that wait for the response to an earlier one."""

LINGER_SECONDS = 5.0
"""How long the rest of a body is read after its response: closing at once could discard the response on its way."""

_PIECE_BYTES = 8 * 1024
"""The limits are checked after each piece: one read from a socket may have 256 KiB, which is thousands of header lines."""

_SHARE_CLOSED_AT_ONCE = 1 / 16
"""Of the limit on connections: sorting all of them takes too long for every further one."""

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits of a server process. MIN_BYTES_PER_SECOND extends `body_seconds`, which is also for reading a response."""

    connections: int
    header_bytes: int
    header_lines: int
    header_seconds: float
    body_seconds: float


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Request line, header lines, trailers and the framing of chunks count as header bytes."""

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits
        self._in_body = False
        self._header_bytes = 0  # since the last complete message or the last byte of a body
        self._body_bytes = 0
        self._waiting_since = 0.0
        self._answered = False
        self._deadline: TimerHandle | None = None
        self._deadline_start = 0.0
        self._send_deadline: TimerHandle | None = None
        self._refused = False

    # Called by the event loop

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Any, transport))
        self._waiting_since = self.loop.time()
        if len(self.connections) > self._limits.connections:
            self._make_room()
        self._start_deadline_if_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        self._cancel_send_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            self._header_bytes += len(piece)
            super().data_received(piece)
            if self._refused or self.transport.is_closing():
                return
            if self._header_bytes and self._header_is_too_large(self._header_bytes):
                self._refuse_header()
                return
        self._start_deadline_if_waiting()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_send_deadline()

    def resume_writing(self) -> None:
        self._cancel_send_deadline()
        super().resume_writing()

    # Called by the parser

    def on_headers_complete(self) -> None:
        # The bytes of the piece may be of a body; so the exact size is computed, but only if they exceed the limit.
        exceeds = self._header_bytes > self._limits.header_bytes
        if self._header_is_too_large(self._exact_header_bytes() if exceeds else 0):
            self._refuse_header()
            raise ValueError("header too large")  # stops the parser
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, f"more than {MAX_PIPELINED} requests wait on this connection")
            raise ValueError("too many pipelined requests")
        self._in_body, self._body_bytes = True, 0
        self._cancel_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._header_bytes = False, 0
        self._cancel_deadline()
        super().on_message_complete()

    # Called by uvicorn

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._waiting_since, self._answered = self.loop.time(), True
        if self.transport.is_closing():
            return
        if self._in_body and self.cycle.response_complete:
            self._set_deadline(LINGER_SECONDS)
        self._start_deadline_if_waiting()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  it has no detail
        """Refuse what is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "the request is not valid HTTP/1.1")

    # Header size

    def _header_is_too_large(self, header_bytes: int) -> bool:
        return header_bytes > self._limits.header_bytes or len(self.headers or ()) > self._limits.header_lines

    def _exact_header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _refuse_header(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the header is larger than {self._limits.header_bytes:,} bytes (PDM_MAX_HEADER_BYTES) or has more than "
            f"{self._limits.header_lines} lines (PDM_MAX_HEADER_LINES)",
        )

    # Deadlines

    def _start_deadline_if_waiting(self) -> None:
        """Start the deadline of the header or body that the client has to send, unless one or the keep-alive one runs."""
        if self._deadline is None and self.timeout_keep_alive_task is None and not self._is_busy():
            self._set_deadline(self._limits.body_seconds if self._in_body else self._limits.header_seconds)

    def _set_deadline(self, seconds: float) -> None:
        self._cancel_deadline()
        self._deadline_start = self.loop.time()
        self._deadline = self.loop.call_later(seconds, self._end_deadline)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_deadline(self) -> None:
        self._deadline = None
        if not self._in_body:
            self._end_header_deadline()
        elif self.cycle.response_complete:
            self.transport.abort()
        else:
            self._end_body_deadline()

    def _end_header_deadline(self) -> None:
        if self._header_bytes == 0:
            self.transport.close()  # a client may connect and send nothing
            return
        seconds = f"{self._limits.header_seconds:g} seconds (PDM_HEADER_TIMEOUT_SECONDS)"
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the header was not complete after {seconds}")

    def _end_body_deadline(self) -> None:
        if self.flow.read_paused:
            self._set_deadline(self._limits.body_seconds)  # the delay is the server's
            return
        elapsed = self.loop.time() - self._deadline_start
        left = self._limits.body_seconds + self._body_bytes / MIN_BYTES_PER_SECOND - elapsed
        if left > 0:
            self._deadline = self.loop.call_later(left, self._end_deadline)
            return
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT,
            f"only {self._body_bytes:,} bytes of the body arrived in {elapsed:.0f} seconds: the limit is "
            f"{self._limits.body_seconds:g} seconds (PDM_BODY_TIMEOUT_SECONDS) and one more per {MIN_BYTES_PER_SECOND:,} bytes",
        )

    def _start_send_deadline(self) -> None:
        unsent, seconds = self.transport.get_write_buffer_size(), self._limits.body_seconds
        self._send_deadline = self.loop.call_later(seconds, self._end_send_deadline, unsent)

    def _cancel_send_deadline(self) -> None:
        if self._send_deadline is not None:
            self._send_deadline.cancel()
            self._send_deadline = None

    def _end_send_deadline(self, unsent: int) -> None:
        """Close the connection of a client that does not read its response."""
        if unsent - self.transport.get_write_buffer_size() >= MIN_BYTES_PER_SECOND * self._limits.body_seconds:
            self._start_send_deadline()
            return
        _log.warning("connection closed", reason="the client does not read the response", client=self.client)
        self.transport.abort()

    # Number of connections

    def _is_busy(self) -> bool:
        """Return whether the service owes a response to a complete request."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.response_complete and not cycle.more_body)

    def _make_room(self) -> None:
        """Close the connections that have waited for a request for the longest time; without any, refuse this one.

        Those without a complete request come first: they are not a client's that sends readings.
        """
        others = cast("set[BoundedProtocol]", self.connections - {self})
        waiting = [connection for connection in others if not connection._is_busy()]
        limit = f"{self._limits.connections:,} connections (PDM_MAX_CONNECTIONS)"
        if not waiting:
            detail = f"{limit} are open and busy: try again in a moment"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
            return
        count = max(1, int(self._limits.connections * _SHARE_CLOSED_AT_ONCE))
        oldest = heapq.nsmallest(count, waiting, key=BoundedProtocol._rank_to_stay)
        for connection in oldest:
            self.connections.discard(cast(Any, connection))
            connection.transport.abort()
        _log.warning("connections closed", reason=f"more than {limit} were open", closed=len(oldest))

    def _rank_to_stay(self) -> tuple[bool, float]:
        return self._answered and not self._in_body, self._waiting_since

    def _refuse(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        """Answer with a problem and close the connection, after the responses to earlier requests of the client."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._cancel_deadline()
        _log.warning("request refused", status=status.value, reason=detail, client=self.client)
        if not self._in_body and self._is_busy():
            self.cycle.keep_alive = False  # uvicorn closes the connection after the last response
            return
        if not (self._in_body and (self.pipeline or self.cycle.response_started)):
            self.transport.write(_response(Problem(status, detail, headers={"Connection": "close", **(headers or {})})))
        self.transport.close()


def _response(problem: Problem) -> bytes:
    response = error_response({}, problem)
    lines = [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
    return b"".join([STATUS_LINE[response.status_code], *lines, b"\r\n", response.body])
