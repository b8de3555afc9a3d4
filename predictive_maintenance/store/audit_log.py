"""Entries that processes add to the audit log themselves. One that several of them know is added once."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from ..config.process_user import process_user
from ..errors import ConfigError, StoreError
from .location import VARIABLE, store_url
from .rows import Action, Actor, AuditEntry

if TYPE_CHECKING:
    from .store import Store, Transaction

AUDIT_LOG = "PDM_AUDIT_LOG"
MOVED = "moved_at"
"""In the detail of a promotion or a rollback: its time in microseconds, by which two entries are of the same one."""

PRODUCTION = "production"
"""In the detail of a blocked promotion: the version that stays in production."""

_SETTINGS: tuple[Action, ...] = ("settings",)
_PRODUCTION: tuple[Action, ...] = ("promotion", "rollback")
_BLOCKED: tuple[Action, ...] = ("blocked_promotion",)
_LATEST = 20
"""Changes of production that a new one is compared with: another process may have added it, and a later one, before."""
_TIMEOUT_SECONDS = 5.0


def is_on() -> bool:
    """Whether this process keeps the audit log, by the rule of the service. Raises ConfigError for an invalid PDM_AUDIT_LOG."""
    if not (text := os.environ.get(AUDIT_LOG)):
        return bool(os.environ.get(VARIABLE))
    try:
        return TypeAdapter(bool).validate_python(text)
    except ValidationError:
        raise ConfigError(f"{AUDIT_LOG}: {text!r} is neither true nor false") from None


def add_once(transaction: "Transaction", model: str, entry: AuditEntry) -> None:
    """Add an entry to the audit log of a registered model, unless it has it.

    Settings are added if they differ from the latest ones of the same subject, a change of production if it is another one, and
    a blocked promotion once for two versions, because its reason has costs that change often.
    """
    if entry.action == "settings":
        newest = transaction.newest_audit(model, _SETTINGS, 1, subject=entry.subject)
        is_known = any(one.detail == entry.detail for one in newest)
    elif entry.action == "blocked_promotion":
        newest = transaction.newest_audit(model, _BLOCKED, _LATEST, subject=entry.subject)
        is_known = any(one.detail[PRODUCTION] == entry.detail[PRODUCTION] for one in newest)
    else:
        newest = transaction.newest_audit(model, _PRODUCTION, _LATEST) if entry.action in _PRODUCTION else []
        is_known = any(_is_same_change(one, entry) for one in newest)
    if not is_known:
        transaction.add_audit(model, [entry])


def add_to_configured_store(model: str, entry: AuditEntry) -> None:
    """Add an entry to the store at PDM_STORE_URL as `add_once` does; nothing without an audit log.

    It creates and upgrades no store: the service does. Raises StoreError, and ConfigError for invalid variables.
    """
    from .store import Store  # importing SQLAlchemy takes a quarter of a second

    if not is_on():
        return
    opened = Store.open(store_url(), timeout_seconds=_TIMEOUT_SECONDS, create=False, upgrade=False)
    with closing(opened) as store, store.writing() as transaction:
        add_once(transaction, model, entry)


class SettingsInForce:
    """The settings of a component, such as a command that runs for long: this process adds them to the audit log once.

    They are added if they differ from the latest ones of the component, and must hold no secret.
    """

    def __init__(self, component: str, model: str, settings: Mapping[str, Any]) -> None:
        """Raise ConfigError if PDM_AUDIT_LOG is not valid."""
        self._model, self._is_waiting = model, is_on()
        kept = json.loads(json.dumps(settings))  # as the store returns them: a tuple would differ from its list
        self._entry = AuditEntry(
            at=int(time.time()), action="settings", actor=Actor(process_user()), subject=component, detail=kept
        )

    def add_to(self, store: "Store") -> None:
        """Add them to a store that is open. Raises StoreError; the next call tries again."""
        if self._is_waiting:
            with store.writing() as transaction:
                add_once(transaction, self._model, self._entry)
            self._is_waiting = False

    def record(self) -> str:
        """Add them to the store at PDM_STORE_URL, for a component that works without; return a warning if that fails, else ''."""
        try:
            add_to_configured_store(self._model, self._entry)
        except (StoreError, ConfigError) as error:
            return f"the settings are not in the audit log: {error}"
        return ""


def _is_same_change(one: AuditEntry, other: AuditEntry) -> bool:
    if one.subject != other.subject:
        return False
    if MOVED in other.detail:
        return one.detail.get(MOVED) == other.detail[MOVED]
    return one.detail == other.detail  # of a version that an earlier release promoted
