"""Trainings at a regular time: so many days after the one before, started once, however many monitors run."""

from collections.abc import Callable

from ..config.params import MonitoringSettings
from ..store.rows import MOST_SKEW, Incident
from ..store.store import Store
from .production import WatchedVersion

_DAY_SECONDS = 86_400


def is_due(settings: MonitoringSettings, last: float, now: float) -> bool:
    """Whether a training is due at `now` if the last one was started at `last`, both in seconds since 1970.

    Days begin at `retrain_at`, so that a late check does not delay the next training.
    """
    every = settings.retrain_every_days
    return every is not None and _day(settings, now) - _day(settings, last) >= every


def claim_scheduled(
    store: Store, watched: WatchedVersion, settings: MonitoringSettings, last_run: Callable[[], float], now: float
) -> Incident | None:
    """Note that a training is due and is started now, as an incident that is closed; None if none is due.

    `last_run` returns when the latest training that the registry knows was started, 0 without one. Of several monitors, one gets
    the incident. Raises StoreError, and what `last_run` raises.
    """
    if settings.retrain_every_days is None:
        return None
    reason = f"no training in {settings.retrain_every_days} days (monitoring.retrain_every_days)"
    of_registry = last_run()
    with store.writing() as transaction:
        of_store = transaction.latest_training(watched.model, int(now))
        last = max(of_store, of_registry if of_registry <= now + MOST_SKEW else 0)
        if not is_due(settings, last, now):
            return None
        return transaction.add_scheduled_training(watched.model, watched.version, reason, int(now))


def _day(settings: MonitoringSettings, time: float) -> int:
    hours, minutes = settings.retrain_at.split(":")
    return int((time - int(hours) * 3_600 - int(minutes) * 60) // _DAY_SECONDS)
