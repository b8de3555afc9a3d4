"""HTTP over one connection, with limits: header size, time for header and body, number of connections.

uvicorn limits header bytes with h11 only, and neither the time of a header or a body nor the number of idle connections
(docs/adr/0015-limits-on-connections.md). This subclass of its httptools protocol adds them. The methods that each request
calls do only what it needs: together they take 2 to 4 % of the time of a prediction.
"""

import heapq
from asyncio import BaseTransport, TimerHandle
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ..problem_responses import error_response
from ..problems import Problem

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
        self._max_header_bytes, self._max_header_lines = limits.header_bytes, limits.header_lines
        self._header_bytes = 0  # since the last complete request or the last byte of a body
        self._body_bytes = 0
        self._in_body = False
        self._is_partial = False  # a part of the header or body has arrived, and the rest is awaited
        self._waiting_since = 0.0  # for the client: to send a request, or the rest of its header or body
        self._answered = False
        self._refused = False
        self._check: TimerHandle | None = None
        self._send_check: TimerHandle | None = None

    # Called by the event loop

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Any, transport))
        self._waiting_since = self.loop.time()
        if len(self.connections) > self._limits.connections:
            self._make_room()
        self._check_later(self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._check, self._send_check):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if len(data) <= _PIECE_BYTES:
            self._receive(data)
            return
        start = 0
        while start < len(data) and not self.transport.is_closing():
            end = start + max(_PIECE_BYTES, self._rest_of_body())
            self._receive(data[start:end])
            start = end

    def pause_writing(self) -> None:
        super().pause_writing()
        self._check_sending_later()

    def resume_writing(self) -> None:
        if self._send_check is not None:
            self._send_check.cancel()
        super().resume_writing()

    # Called by the parser

    def on_headers_complete(self) -> None:
        if self._header_bytes > self._max_header_bytes or len(self.headers) > self._max_header_lines:
            self._check_complete_header()
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, f"more than {MAX_PIPELINED} requests wait on this connection")
            raise ValueError("too many pipelined requests")  # stops the parser
        self._in_body, self._is_partial, self._body_bytes = True, False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._header_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._is_partial, self._header_bytes = False, False, 0
        super().on_message_complete()

    # Called by uvicorn

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._waiting_since = self.loop.time()
        self._answered = self._answered or not self._in_body

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  it has no detail
        """Refuse what is not HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "the request is not valid HTTP/1.1")

    # Header size

    def _receive(self, piece: bytes) -> None:
        if self._refused:
            return
        self._header_bytes += len(piece)
        super().data_received(piece)
        if self._header_bytes:
            if self._header_bytes > self._max_header_bytes or len(self.headers or ()) > self._max_header_lines:
                self._refuse_header()
        elif not self._in_body:
            return
        if not self._is_partial:
            self._is_partial, self._waiting_since = True, self.loop.time()

    def _rest_of_body(self) -> int:
        """Return the bytes to come of a body of stated length, which have no header. uvicorn copies the body for each piece."""
        if not self._in_body:
            return 0
        fields = dict(self.headers)
        length = fields.get(b"content-length", b"")
        is_stated = length.isdigit() and b"transfer-encoding" not in fields
        return int(length) - self._body_bytes if is_stated else 0

    def _check_complete_header(self) -> None:
        """Raise ValueError if the header is too large. The bytes counted so far may include some of the body."""
        size = len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)
        if size > self._max_header_bytes or len(self.headers) > self._max_header_lines:
            self._refuse_header()
            raise ValueError("header too large")  # stops the parser

    def _refuse_header(self) -> None:
        self._refuse(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the header is larger than {self._max_header_bytes:,} bytes (PDM_MAX_HEADER_BYTES) or has more than "
            f"{self._max_header_lines} lines (PDM_MAX_HEADER_LINES)",
        )

    # Deadlines. One timer per connection, which is not set again for each request, compares the time waited with the limit.

    def _check_later(self, seconds: float) -> None:
        shortest = min(seconds, self._limits.header_seconds, self._limits.body_seconds, LINGER_SECONDS)
        self._check = self.loop.call_later(max(shortest, 0.01), self._check_deadline)

    def _check_deadline(self) -> None:
        waited = self.loop.time() - self._waiting_since
        left = self._seconds_allowed() - waited
        if self._is_busy() or self.timeout_keep_alive_task is not None:
            self._check_later(LINGER_SECONDS)  # it is not the client's turn, or uvicorn closes the idle connection
        elif self._in_body and self.flow.read_paused:
            self._waiting_since += waited  # the service reads too slowly
            self._check_later(LINGER_SECONDS)
        elif left > 0:
            self._check_later(left)
        elif self._in_body and self.cycle.response_complete:
            self.transport.abort()
        else:
            self._refuse_slow(waited)

    def _seconds_allowed(self) -> float:
        if not self._in_body:
            return self._limits.header_seconds
        if self.cycle.response_complete:
            return LINGER_SECONDS
        return self._limits.body_seconds + self._body_bytes / MIN_BYTES_PER_SECOND

    def _refuse_slow(self, waited: float) -> None:
        if self._in_body:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                f"only {self._body_bytes:,} bytes of the body arrived in {waited:.0f} seconds: the limit is "
                f"{self._limits.body_seconds:g} seconds (PDM_BODY_TIMEOUT_SECONDS) and one more per "
                f"{MIN_BYTES_PER_SECOND:,} bytes",
            )
        elif self._header_bytes:
            seconds = f"{self._limits.header_seconds:g} seconds (PDM_HEADER_TIMEOUT_SECONDS)"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the header was not complete after {seconds}")
        else:
            self.transport.close()  # a client may connect and send nothing

    def _check_sending_later(self) -> None:
        unsent, seconds = self.transport.get_write_buffer_size(), self._limits.body_seconds
        self._send_check = self.loop.call_later(seconds, self._check_sending, unsent)

    def _check_sending(self, unsent: int) -> None:
        """Close the connection of a client that does not read its response."""
        if unsent - self.transport.get_write_buffer_size() >= MIN_BYTES_PER_SECOND * self._limits.body_seconds:
            self._check_sending_later()
            return
        _log.warning("connection closed", reason="the client does not read the response", client=self.client)
        self.transport.abort()

    # Number of connections

    def _is_busy(self) -> bool:
        """Return whether the service owes a response to a complete request."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.response_complete and not cycle.more_body)

    def _make_room(self) -> None:
        """Close connections that wait for a request; if all are busy, refuse this one.

        Those that have never sent a complete request come first, then those that have waited for the longest time.
        """
        others = cast("set[BoundedProtocol]", self.connections - {self})
        waiting = [connection for connection in others if not connection._is_busy()]
        limit = f"{self._limits.connections:,} connections (PDM_MAX_CONNECTIONS)"
        if not waiting:
            detail = f"{limit} are open and busy: try again in a moment"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
            return
        count = max(1, int(self._limits.connections * _SHARE_CLOSED_AT_ONCE))
        closed = heapq.nsmallest(count, waiting, key=lambda each: (each._answered, each._waiting_since))
        for connection in closed:
            self.connections.discard(cast(Any, connection))
            connection.transport.abort()
        _log.warning("connections closed", reason=f"more than {limit} were open", closed=len(closed))

    def _refuse(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        """Answer with a problem and close the connection, after the responses to earlier requests of the client."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
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
