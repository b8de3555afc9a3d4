"""The audit log of what happens outside of a request's own transaction: settings, changes of production, refusals."""

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

import structlog

from predictive_maintenance.config.api_keys import SERVICE_NAME, VARIOUS_NAME
from predictive_maintenance.errors import PredictiveMaintenanceError, StoreError
from predictive_maintenance.store.audit_log import add_once
from predictive_maintenance.store.rows import Action, Actor, AuditEntry
from predictive_maintenance.tracking.entities import ModelVersion
from predictive_maintenance.tracking.production_audit import production_entry

from ..metrics import Metrics
from .store_access import StoreAccess

SERVICE = Actor(SERVICE_NAME)

_PURGE_PAUSE_SECONDS = 1.0
_MOST_WAITING = 1_000
_MOST_REFUSALS = 20
"""Kinds of refused requests with an entry of their own, for each interval: a flood must not fill the disk."""
_MOST_FAILURES = 3
"""Unexpected errors of one entry, until it is dropped: the others wait for it."""
_RETRY_SECONDS = 5.0

_log = structlog.get_logger()


class Refusal(NamedTuple):
    """A request whose key was refused: the name of the key, the route, the status, the reason, the address of the client.

    With `person`, the client of the key did not let this person in.
    """

    key: str
    route: str
    status: int
    reason: str
    client: str
    person: str | None = None


class AuditLog:
    """Writes entries to the store that `access` opens, in a thread. Adding never waits and never fails.

    The thread also removes what has expired. Refused requests of one kind are counted for `seconds` and are then one entry. No
    error ends the thread: entries wait. An entry that fails again when it is written alone is dropped and counted.
    """

    def __init__(self, access: StoreAccess, metrics: Metrics, model_name: str, seconds: float) -> None:
        self._access, self._metrics, self._model_name, self._seconds = access, metrics, model_name, seconds
        self._lock = threading.Lock()
        self._waiting: deque[AuditEntry] = deque()
        self._refusals: Counter[Refusal] = Counter()
        self._lost = self._failures = 0
        self._most_together = _MOST_WAITING
        self._known_errors: set[str] = set()
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
        metrics.prepare_audit()

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def note_settings(self, settings: Mapping[str, Any]) -> None:
        """Add the settings in force, unless they are those of the newest entry. They must hold no secret."""
        self._add(_entry("settings", SERVICE, SERVICE_NAME, settings))

    def note_production(self, version: ModelVersion) -> None:
        """Add that a version is in production, unless the log has it: the process that moved it there may have added it."""
        self._add(production_entry(version, time.time()))

    def note_refusal(self, refusal: Refusal) -> None:
        """Count a request whose key was refused, or a person who was."""
        with self._lock:
            is_new = refusal not in self._refusals
            if is_new and len(self._refusals) >= _MOST_REFUSALS:
                refusal = Refusal(VARIOUS_NAME, "various", refusal.status, "more refused requests", "various")
            self._refusals[refusal] += 1

    def close(self, seconds: float) -> None:
        """Write what waits, for at most `seconds`, and end."""
        self._ending.set()
        self._wake.set()
        self._thread.join(seconds)
        if waiting := len(self._waiting):
            self._metrics.audit_lost.labels("shutdown").inc(waiting)
        if left := waiting + self._lost:
            reason = self._access.problem or (
                "no time left" if waiting else "the queue was full, or by the errors above"
            )
            _log.warning("entries are not in the audit log", entries=left, reason=reason)

    def _add(self, entry: AuditEntry) -> None:
        with self._lock:
            if is_full := len(self._waiting) >= _MOST_WAITING:
                self._lost += 1
            else:
                self._waiting.append(entry)
        if is_full:
            self._metrics.audit_lost.labels("queue full").inc()
        self._wake.set()

    def _run(self) -> None:
        next_refusals, is_last, is_more = time.monotonic() + self._seconds, False, False
        while not is_last:
            pause = max(0.0, next_refusals - time.monotonic())
            self._wake.wait(min(pause, _PURGE_PAUSE_SECONDS) if is_more else pause)
            self._wake.clear()
            is_last = self._ending.is_set()
            try:
                if is_last or time.monotonic() >= next_refusals:
                    next_refusals = time.monotonic() + self._seconds
                    self._take_refusals()
                self._write()
                # Here, because this thread runs when nothing is written to the store, too.
                is_more = not is_last and self._access.is_used and self._access.purge()
            except Exception as error:  # noqa: BLE001  without the thread, all further entries would be lost
                self._note_error(error)
                # At the end, too, the entries behind one that cannot be written are written.
                is_last = is_last and isinstance(error, PredictiveMaintenanceError)
                self._ending.wait(_RETRY_SECONDS)
                self._wake.set()

    def _take_refusals(self) -> None:
        with self._lock:
            refusals, self._refusals = self._refusals, Counter()
        for one, times in refusals.items():
            detail = {"status": one.status, "reason": one.reason, "client": one.client, "times": times}
            self._add(_entry("refusal", Actor(one.key, one.person), one.route, detail))

    def _note_error(self, error: Exception) -> None:
        """Count an error, and log it if it is the first of its kind. After an unexpected one, entries are written one by one."""
        kind = type(error).__name__
        self._metrics.audit_errors.labels(kind).inc()
        if isinstance(error, PredictiveMaintenanceError):
            self._access.report(error if isinstance(error, StoreError) else StoreError(str(error)))
            return
        if kind not in self._known_errors:
            self._known_errors.add(kind)
            _log.error("the audit log cannot be written: an unexpected error", kind=kind, exc_info=error)
        self._failures += self._most_together == 1
        self._most_together = 1
        if self._failures >= _MOST_FAILURES:
            self._drop_first(kind)

    def _drop_first(self, kind: str) -> None:
        with self._lock:
            entry = self._waiting.popleft() if self._waiting else None
            self._lost += entry is not None
        self._failures = 0
        if entry is not None:
            self._metrics.audit_lost.labels("error").inc()
            _log.error("an entry is not in the audit log", action=entry.action, subject=entry.subject, error=kind)

    def _write(self) -> None:
        while entries := self._first():
            with self._access.open().writing() as transaction:
                for entry in entries:
                    add_once(transaction, self._model_name, entry)
            with self._lock:
                for _ in entries:
                    self._waiting.popleft()
            self._failures = 0
            self._access.report(None)
        self._most_together = _MOST_WAITING

    def _first(self) -> list[AuditEntry]:
        """The entries that are written in the next transaction."""
        with self._lock:
            return list(islice(self._waiting, self._most_together))


def _entry(action: Action, actor: Actor, subject: str, detail: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(at=int(time.time()), action=action, actor=actor, subject=subject, detail=detail)
