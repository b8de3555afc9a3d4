"""When a candidate is promoted without a person: after days of agreement, if that is switched on."""

from collections.abc import Mapping
from datetime import UTC, datetime

from ..config.params import ShadowSettings
from ..store.rows import DecisionCounts
from ..tracking.entities import COMPARED_TAG, PROMOTED_TAG, ROLLED_BACK_TAG, TIME_FORMAT, ModelVersion
from .agreement import Share
from .summary import Summary

_DAY_SECONDS = 86_400


def waits_for(
    settings: ShadowSettings, production: ModelVersion, candidate: ModelVersion, summary: Summary, now: float
) -> str | None:
    """What the automatic promotion of a candidate waits for at a time in seconds since 1970; None if for nothing."""
    if settings.days_of_agreement is None:
        return "off: shadow.days_of_agreement is null"
    if obstacle := _obstacle(production, candidate):
        return obstacle
    predictions, share = summary.counts.predictions, summary.agreement
    if share is None or predictions < settings.min_predictions:
        return f"{predictions:,} predictions are compared, {settings.min_predictions:,} are needed"
    if share.low < settings.min_agreement:
        return f"agreement is {_too_low(share, settings.min_agreement)}"
    alarms = summary.alarm_agreement
    if alarms is None:
        return "agreement on alarms cannot be judged: neither version has raised an alarm"
    if alarms.low < settings.min_agreement:
        return f"agreement on alarms is {_too_low(alarms, settings.min_agreement)}"
    days = days_of_agreement(summary.days, settings.min_agreement, int(now // _DAY_SECONDS))
    if days < settings.days_of_agreement:
        return f"{days} of {settings.days_of_agreement} days of agreement"
    return None


def days_of_agreement(days: Mapping[int, DecisionCounts], least: float, today: int) -> int:
    """The number of the latest days before `today`, with readings, on each of which at least this share of decisions agrees."""
    agreed = 0
    for day in sorted((day for day in days if day < today), reverse=True):
        if days[day].same < least * days[day].predictions:
            break
        agreed += 1
    return agreed


def promotion_reason(summary: Summary) -> str:
    """Why the candidate is in production then, as text."""
    counts, share, alarms, version = (
        summary.counts,
        summary.agreement,
        summary.alarm_agreement,
        summary.comparison.version,
    )
    assert share is not None
    assert alarms is not None
    return (
        f"promoted by shadow at {datetime.now(UTC):{TIME_FORMAT}}: passed every check of the gate, and {_interval(share)} of "
        f"{counts.predictions:,} decisions are those of version {version}; {_interval(alarms)} of {counts.alarms:,} "
        "readings with an alarm of either version have an alarm of both"
    )


def _too_low(share: Share, least: float) -> str:
    return f"{_interval(share)}, its lower end must be at least {least:.2%}"


def _interval(share: Share) -> str:
    return f"{share.value:.2%} [{share.low:.2%}, {share.high:.2%}]"


def _obstacle(production: ModelVersion, candidate: ModelVersion) -> str | None:
    """Why only a person may promote the candidate; None if its gate allows it."""
    verdict = candidate.verdict
    if verdict is None:
        return f"version {candidate.version} has no quality gate: promote it by hand"
    if verdict.level != "production":
        return f"version {candidate.version} {verdict.summary()}"
    if PROMOTED_TAG in candidate.tags or ROLLED_BACK_TAG in candidate.tags:
        return f"version {candidate.version} was in production before: promote it by hand"
    compared = candidate.tags.get(COMPARED_TAG)
    if compared != production.version:
        other = f"version {compared}" if compared else "no version"
        return (
            f"the quality gate compared version {candidate.version} with {other}, and not with version {production.version}: "
            "promote it by hand"
        )
    return None
