"""Whether the store keeps what the windows of a machine need."""

import structlog

from predictive_maintenance.machine.machine import Machine

_log = structlog.get_logger()
_US_PER_DAY = 86_400e6


def retention_warning(machine: Machine, retention_days: float) -> str | None:
    """Why the store removes readings or events that a window still needs; None if it does not.

    A counter has no days, so that nothing is known about it.
    """
    if machine.time_is_counter or not machine.needs_history:
        return None
    spans = [feature.span for feature in machine.window_features.values()]
    spans += [feature.span for feature in machine.event_features.values() if feature.span]
    longest = max(spans, key=lambda span: span.length, default=None)
    if longest is None or longest.length <= retention_days * _US_PER_DAY:
        return None
    return (
        f"readings are kept for {retention_days:g} days, shorter than the longest window of the {machine.description.name}, "
        f"{longest.text}: windows lose their beginning; increase PDM_STORE_RETENTION_DAYS"
    )


def warn_of_short_retention(machine: Machine, retention_days: float) -> None:
    """Log `retention_warning`, if there is one."""
    if warning := retention_warning(machine, retention_days):
        _log.warning("retention of the store is too short", reason=warning)
