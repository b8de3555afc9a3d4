"""Reads the latest state of every machine in the store once for all sessions."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock

from app.schemas.machines import MachineSummary
from dashboard.api_client import ApiClient, ApiError, ApiStatusError

PAGE_MACHINES, MAX_MACHINES = 1_000, 20_000
_PAUSE_PER_READ = 4
"""A fleet that takes long to read is read less often, so that the API has time for its other requests."""
_NO_STORE_STATUSES = (404, 409)
"""Answers of an API without a store, and of one whose model scores each reading alone."""


@dataclass(frozen=True, kw_only=True)
class FleetSnapshot:
    """The machines in the store, as they were at `received_at`. `error` is the reason why the last read failed.

    `is_complete` is false if the store has more machines than MAX_MACHINES.
    """

    machines: tuple[MachineSummary, ...] = ()
    is_complete: bool = True
    received_at: datetime | None = None
    error: ApiError | None = None

    @property
    def has_store(self) -> bool:
        return not (isinstance(self.error, ApiStatusError) and self.error.status in _NO_STORE_STATUSES)


@dataclass(kw_only=True)
class FleetMonitor:
    """Reads the machines at most every `poll_seconds`, for any number of callers. Thread-safe."""

    api: ApiClient
    poll_seconds: float
    clock: Callable[[], float] = time.monotonic
    _snapshot: FleetSnapshot = field(init=False, default_factory=FleetSnapshot)
    _due_at: float = field(init=False, default=float("-inf"))
    _lock: Lock = field(init=False, default_factory=Lock)

    def snapshot(self) -> FleetSnapshot:
        """Return the latest state. Where the API does not answer, this is the last known one, with the error."""
        with self._lock:
            started = self.clock()
            if started >= self._due_at:
                self._snapshot = self._read()
                ended = self.clock()
                self._due_at = ended + max(self.poll_seconds, _PAUSE_PER_READ * (ended - started))
            return self._snapshot

    def _read(self) -> FleetSnapshot:
        machines: list[MachineSummary] = []
        after: str | None = ""
        try:
            while after is not None and len(machines) < MAX_MACHINES:
                page = self.api.machines(PAGE_MACHINES, after)
                machines += page.machines
                after = page.next
        except ApiError as error:
            return replace(self._snapshot, error=error)
        return FleetSnapshot(machines=tuple(machines), is_complete=after is None, received_at=datetime.now(UTC))
