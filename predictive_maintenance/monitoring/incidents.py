"""Incidents: opened once when differences last, closed when they are resolved, or when another version serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..config.params import MonitoringSettings
from ..store.rows import Incident
from ..store.store import Store
from .production import WatchedVersion, Window
from .rule import is_resolved

_HOUR_SECONDS, _DAY_SECONDS = 3_600, 86_400
_LATE_SECONDS = 3_600
"""For the end of a training that was stopped, and clocks that differ."""

LOST = "has no known result: the monitor that started it did not see its end"


@dataclass(frozen=True)
class Change:
    """What happened to an incident."""

    what: Literal["opened", "closed"]
    incident: Incident


def follow(
    store: Store, watched: WatchedVersion, windows: Sequence[Window], reasons: Sequence[str], settings: MonitoringSettings,
    now: float,
) -> list[Change]:  # fmt: skip
    """Open or close the incident of a model by the lasting differences `reasons`. Raises StoreError.

    Several monitors may do this at the same time: each change is made by one of them. It is closed after `settings.least` windows
    without a difference, if they have enough readings and labels to measure again what exceeded its limit before.
    """
    changes = []
    incident = open_incident(store, watched)
    if incident and incident.version != watched.version:
        changes += _close(store, incident, "another version", now)
        incident = open_incident(store, watched)
    findings = [window.findings for window in windows]
    if incident and not reasons and is_resolved(findings, least=settings.least, among=settings.windows):
        changes += _close(store, incident, "resolved", now)
    elif incident is None and reasons:
        with store.writing() as transaction:
            opened = transaction.open_incident(watched.model, watched.version, reasons, int(now))
        if opened and (incident := open_incident(store, watched)):
            changes.append(Change("opened", incident))
    return changes


def open_incident(store: Store, watched: WatchedVersion) -> Incident | None:
    """The open incident of a model. Raises StoreError."""
    return store.open_incident(watched.model)


def may_train(store: Store, incident: Incident, settings: MonitoringSettings, now: float) -> bool:
    """Whether a training may be started for an incident. It says so once, and not within the cool-down. Raises StoreError.

    A scheduled training counts for the cool-down, too.
    """
    with store.writing() as transaction:
        return transaction.claim_training(incident, int(now), round(settings.cool_down_days * _DAY_SECONDS))


def give_back(store: Store, incident: Incident) -> None:
    """Note that no training was started for an incident after all: `may_train`, or the schedule, allows it again."""
    with store.writing() as transaction:
        transaction.release_training(incident)


def end_training(store: Store, incident: Incident, result: str, now: float) -> None:
    """Note how the training for an incident ended. Raises StoreError."""
    with store.writing() as transaction:
        transaction.end_training(incident, result, int(now))


def end_lost_trainings(store: Store, watched: WatchedVersion, settings: MonitoringSettings, now: float) -> None:
    """Note that trainings whose time is over have no known result: their monitor was killed. Raises StoreError."""
    longest = settings.retrain_max_hours * _HOUR_SECONDS + _LATE_SECONDS
    with store.writing() as transaction:
        transaction.end_lost_trainings(watched.model, int(now - longest), LOST, int(now))


def _close(store: Store, incident: Incident, by: Literal["resolved", "another version"], now: float) -> list[Change]:
    with store.writing() as transaction:
        closed = transaction.close_incident(incident, by, int(now))
    return [Change("closed", store.incident(incident.key))] if closed else []
