"""The store of readings as this process uses it: opened when a request first needs it, and again after its file was replaced."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog
from msgspec import structs

from predictive_maintenance.errors import StoreError
from predictive_maintenance.store.rows import FIRST_ARRIVAL

from .long_lived import exclude_from_collection

if TYPE_CHECKING:
    from predictive_maintenance.store.store import Store

_PURGE_SECONDS = 600.0
_DAY_SECONDS = 86_400

_log = structlog.get_logger()


class StoreOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a store: its address, which may have a password, and those that `app.settings` describes.

    `model_name` is the registered model whose rows are removed when they expire. Without `create`, a store whose file is gone is
    an error: a new one has no history.
    """

    url: str
    model_name: str
    timeout_seconds: float
    synchronous: Literal["normal", "full"]
    retention_days: float
    prediction_days: float
    audit_days: float
    max_clock_skew_seconds: float
    create: bool = True

    def __repr__(self) -> str:
        return "StoreOptions(...)"


class StoreAccess:
    """Opens a store. Thread-safe. Once it has been used, its file must exist.

    `problem` is why the store could not be used last; None if it could.
    """

    def __init__(self, options: StoreOptions) -> None:
        self.options = options
        self.problem: str | None = None
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._next_purge, self._purged = 0.0, FIRST_ARRIVAL

    def open(self) -> "Store":
        """Return the store. Raises StoreError."""
        with self._lock:
            if self._store is None:
                # SQLAlchemy is imported when it is needed: it takes a quarter of a second and 20 MiB.
                from predictive_maintenance.store.store import Store

                options = self.options
                self._store = Store.open(
                    options.url,
                    timeout_seconds=options.timeout_seconds,
                    synchronous=options.synchronous,
                    create=options.create,
                )
                self.note_use()
                exclude_from_collection("store")
            return self._store

    @property
    def is_used(self) -> bool:
        """Whether this process has used the store."""
        return not self.options.create

    def note_use(self) -> None:
        """Remember that the store exists."""
        self.options = structs.replace(self.options, create=False)

    @contextmanager
    def used_elsewhere(self) -> Iterator[StoreOptions]:
        """The options for another process that uses the store during the block. Note whether it works."""
        try:
            yield self.options
        except StoreError as error:
            self.report(error)
            raise
        self.report(None)
        self.note_use()

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

    def purge(self) -> bool:
        """Remove what the model received longer ago than it is kept, some of it at a time, if it is time to.

        Returns whether there may be more to remove.
        """
        if time.monotonic() < self._next_purge:
            return False
        now, options = time.time(), self.options
        model = options.model_name
        # The next request reports what is wrong. What is expired can be removed later.
        with suppress(StoreError):
            with self.open().writing() as transaction:
                received = int(now - options.retention_days * _DAY_SECONDS)
                purged, more = transaction.remove_received_before(model, received, self._purged)
                before = int((now - options.prediction_days * _DAY_SECONDS) * 1e6)
                more |= transaction.remove_predictions_before(model, before)
                more |= transaction.remove_audit_before(model, int(now - options.audit_days * _DAY_SECONDS))
            self._purged, self._next_purge = purged, 0.0 if more else time.monotonic() + _PURGE_SECONDS
            return more
        return False

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store, self._purged = None, FIRST_ARRIVAL
