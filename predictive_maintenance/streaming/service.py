"""Send readings and events to the running service until it has answered."""

import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from ..config.sources import READINGS
from ..config.web_address import shown_address
from ..errors import ServiceError
from .backoff import Backoff

_READINGS_AT_A_TIME = 5_000
_EVENTS_AT_A_TIME = 500
_UNUSABLE = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY)
_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)

Row = Mapping[str, Any]
OnFailure = Callable[[str, float], None]
"""Called with the reason of a failed attempt and the seconds until the next one."""


class StoppedError(Exception):
    """The program was asked to stop before the service had answered."""


class KeepingService:
    """The routes of the service that keep rows. `stopping` ends an attempt that would be repeated."""

    def __init__(self, client: httpx.Client, stopping: threading.Event, on_failure: OnFailure) -> None:
        self._client, self._stopping, self._on_failure = client, stopping, on_failure
        self.address = shown_address(client.base_url)

    def keep(self, table: str, rows: Sequence[Row]) -> list[str | None]:
        """Keep readings, or events of a table, and return for each row why it is refused, None if it is kept.

        Repeats a request until it is answered: a row that the service has is not kept twice. Raises StoppedError, and
        ServiceError if no request can succeed.
        """
        most = _READINGS_AT_A_TIME if table == READINGS else _EVENTS_AT_A_TIME
        parts = [rows[place : place + most] for place in range(0, len(rows), most)]
        return [reason for part in parts for reason in self._keep(table, part)]

    def _keep(self, table: str, rows: Sequence[Row]) -> list[str | None]:
        response = self._readings(rows) if table == READINGS else self._post("/events", {table: rows}, len(rows))
        if response.is_success:
            return _reasons(response.json()) if table == READINGS else [None] * len(rows)
        if len(rows) == 1:
            return [_detail(response).removeprefix(f"{table}.0.")]  # the caller knows which row it is
        half = len(rows) // 2  # the request is refused as a whole: find the rows that are at fault
        return [*self._keep(table, rows[:half]), *self._keep(table, rows[half:])]

    def _readings(self, rows: Sequence[Row]) -> httpx.Response:
        return self._post("/readings", rows, len(rows))

    def _post(self, path: str, body: Any, rows: int) -> httpx.Response:
        """The answer to a request: success, or a refusal of what it has. A batch that takes too long is one, too."""
        backoff = Backoff()
        while True:
            wait = 0.0
            try:
                response = self._client.post(path, json=body)
            except httpx.TransportError as error:
                reason = f"{self.address}: the service cannot be reached: {error or type(error).__name__}"
            else:
                status = response.status_code
                if response.is_success or status in _UNUSABLE or (status == HTTPStatus.GATEWAY_TIMEOUT and rows > 1):
                    return response
                reason = f"{self.address}: POST {path} answers {status}: {_detail(response)}"
                if status not in _TEMPORARY and not response.is_server_error:
                    raise ServiceError(f"{reason}{_way_out(status)}")
                after = response.headers.get("retry-after", "")
                wait = float(after) if after.isdecimal() else 0.0
            delay = max(wait, backoff.next_delay())
            self._on_failure(reason, delay)
            if self._stopping.wait(delay):
                raise StoppedError


def _reasons(answer: Mapping[str, Any]) -> list[str | None]:
    return [
        "; ".join(f"{error['field']}: {error['reason']}" for error in row["errors"]) if row.get("errors") else None
        for row in answer["predictions"]
    ]


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200] or response.reason_phrase


def _way_out(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ": set PDM_API_KEY to a key of the service with the role write"
    return ": check --url" if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) else ""
