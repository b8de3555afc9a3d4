"""The store of readings as this process uses it: opened when a request first needs it, and again after its file was replaced."""

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from predictive_maintenance.errors import StoreError

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

_PURGE_SECONDS = 600.0
_DAY_SECONDS = 86_400

_log = structlog.get_logger()


class StoreAccess:
    """Opens the store at `url`. Thread-safe.

    Without `create`, and once this process has used it, a store whose file is gone is an error: a new one has no history.
    `problem` is why the store could not be used last; None if it could.
    """

    def __init__(self, url: str, *, timeout_seconds: float, retention_days: float, create: bool = True) -> None:
        self.url, self._timeout_seconds, self._retention_days = url, timeout_seconds, retention_days
        self.create = create
        self.problem: str | None = None
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._next_purge = 0.0

    def open(self) -> "Store":
        """Return the store. Raises StoreError."""
        with self._lock:
            if self._store is None:
                # SQLAlchemy is imported when it is needed: it takes a quarter of a second and 20 MiB.
                from predictive_maintenance.store.store import Store

                self._store = Store.open(self.url, timeout_seconds=self._timeout_seconds, create=self.create)
                self.create = False
            return self._store

    def report(self, error: StoreError | None) -> None:
        """Note whether the store worked. After an error that needs it, the next request opens the store again."""
        if error is None:
            self.problem = None
            return
        if self.problem is None:
            _log.warning("the store of readings cannot be used", reason=str(error))
        self.problem = str(error)
        if error.replaced:
            self.close()

    def purge(self) -> None:
        """Remove what was received longer ago than it is kept, some of it at a time, if it is time to."""
        if time.monotonic() < self._next_purge:
            return
        # The next request reports what is wrong. What is expired can be removed later.
        with suppress(StoreError), self.open().writing() as transaction:
            more = transaction.remove_received_before(int(time.time() - self._retention_days * _DAY_SECONDS))
            self._next_purge = 0.0 if more else time.monotonic() + _PURGE_SECONDS

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
