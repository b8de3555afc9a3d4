"""The entry of the audit log about the version in production: who moved production to it, when, from which version, and why."""

import time
from datetime import UTC, datetime
from typing import Any

from ..config.api_keys import UNKNOWN_NAME
from ..errors import ConfigError, StoreError
from ..store.audit_log import MOVED, add_to_configured_store
from ..store.rows import Action, Actor, AuditEntry
from .entities import (
    FLOW_RUN_TAG,
    INCIDENT_TAG,
    PREVIOUS_TAG,
    PRODUCTION_BY_TAG,
    PRODUCTION_FROM_TAG,
    PRODUCTION_MOVED_TAG,
    PRODUCTION_REASON_TAG,
    PROMOTED_TAG,
    ROLLED_BACK_REASON,
    ModelVersion,
)

_EARLIER_TAGS = {
    "reason": PRODUCTION_REASON_TAG, "promoted": PROMOTED_TAG, "before": PREVIOUS_TAG, "flow_run": FLOW_RUN_TAG
}  # fmt: skip
_TAGS = {
    "reason": PRODUCTION_REASON_TAG, "before": PRODUCTION_FROM_TAG, MOVED: PRODUCTION_MOVED_TAG,
    "flow_run": FLOW_RUN_TAG, "incident": INCIDENT_TAG,
}  # fmt: skip


def production_entry(version: ModelVersion, seen: float) -> AuditEntry:
    """The entry for a version in production, by its tags; `seen` is when it was seen there, in seconds since 1970.

    Each process makes the same entry of the same change. A version that an earlier release promoted has no time of the change.
    """
    tags = version.tags
    is_rollback = tags.get(PRODUCTION_REASON_TAG, "").startswith(ROLLED_BACK_REASON)
    action: Action = "rollback" if is_rollback else "promotion"
    names = _TAGS if PRODUCTION_MOVED_TAG in tags else _EARLIER_TAGS
    detail: dict[str, Any] = {name: tags[tag] for name, tag in names.items() if tags.get(tag)}
    return AuditEntry(
        at=int(min(max(_moved(tags.get(PRODUCTION_MOVED_TAG, ""), seen), 0), seen)),
        action=action,
        actor=Actor(tags.get(PRODUCTION_BY_TAG) or UNKNOWN_NAME),
        subject=f"version {version.version}",
        detail=detail,
    )


def record_production(version: ModelVersion, model: str) -> str:
    """Add the entry to the store at PDM_STORE_URL; return a warning if that fails, '' otherwise. The version is in production."""
    try:
        add_to_configured_store(model, production_entry(version, time.time()))
    except (StoreError, ConfigError) as error:
        return f"the audit log does not have this yet: {error}; a service with an audit log adds it"
    return ""


def _moved(text: str, seen: float) -> float:
    """The time in PRODUCTION_MOVED_TAG; `seen` if it is missing or no time: any client of the registry can change a tag."""
    try:
        moved = datetime.fromisoformat(text)
    except ValueError:
        return seen
    return (moved if moved.tzinfo else moved.replace(tzinfo=UTC)).timestamp()
