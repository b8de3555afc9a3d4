"""When a candidate is promoted without a person: after days of agreement, if that is switched on.

Known outcomes can only prevent it. They are no random sample, and too few to say that a candidate is as good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ..config.params import ShadowSettings
from ..store.audit_log import PRODUCTION
from ..store.rows import Actor, AuditEntry, Comparison, DecisionCounts
from ..tracking.entities import COMPARED_TAG, PROMOTED_TAG, ROLLED_BACK_TAG, TIME_FORMAT, ModelVersion
from .agreement import Share
from .summary import Summary

ACTOR = "shadow"
"""Who promotes, in the registry and in the audit log."""

_DAY_SECONDS = 86_400


def waits_for(
    settings: ShadowSettings, production: ModelVersion, candidate: ModelVersion, summary: Summary, now: float
) -> str | None:
    """What the automatic promotion of a candidate waits for at a time in seconds since 1970; None if for nothing."""
    if settings.days_of_agreement is None:
        return "off: shadow.days_of_agreement is null"
    if obstacle := _obstacle(production, candidate) or cost_obstacle(settings, summary.comparison):
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
    days = days_of_agreement(summary.days, settings, int(now // _DAY_SECONDS))
    if days.agreed < settings.days_of_agreement:
        return f"{days.agreed} of {settings.days_of_agreement} days of agreement{_ignored(days.ignored, settings)}"
    return None


def cost_obstacle(settings: ShadowSettings, comparison: Comparison) -> str | None:
    """Why a candidate is not promoted automatically by the known outcomes: its errors cost more for certain. Else None."""
    labelled = comparison.labelled
    if settings.days_of_agreement is None or labelled is None or labelled.saving is None or labelled.saving.high >= 0:
        return None
    saving, (candidate, production) = labelled.saving, (labelled.candidate, labelled.production)
    return (
        f"the errors of version {comparison.candidate} cost {-saving.value:,.0f} [{-saving.high:,.0f}, {-saving.low:,.0f}] "
        f"{comparison.currency} more than those of version {comparison.version} on {labelled.readings:,} readings with known "
        f"outcome ({labelled.source}): {candidate.missed_failures:,} against {production.missed_failures:,} missed failures, "
        f"{candidate.false_alarms:,} against {production.false_alarms:,} false alarms"
    )


@dataclass(frozen=True)
class Days:
    """The latest complete days in a row on which both versions agreed, and the days among them with too few predictions."""

    agreed: int
    ignored: int


def days_of_agreement(days: Mapping[int, DecisionCounts], settings: ShadowSettings, today: int) -> Days:
    """Count the latest days before `today`, since 1970, on each of which enough of the decisions agree.

    Days with too few predictions, or none, neither count nor break the series.
    """
    agreed = ignored = 0
    for day in sorted((day for day in days if day < today), reverse=True):
        counts = days[day]
        if counts.predictions < settings.min_daily_predictions:
            ignored += 1
        elif counts.same < settings.min_agreement * counts.predictions:
            break
        else:
            agreed += 1
    return Days(agreed, ignored)


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


def blocked_entry(comparison: Comparison, reason: str, now: float) -> AuditEntry:
    """The entry of the audit log that known outcomes prevent a promotion."""
    return AuditEntry(
        at=int(now), action="blocked_promotion", actor=Actor(ACTOR), subject=f"version {comparison.candidate}",
        detail={PRODUCTION: comparison.version, "reason": reason},
    )  # fmt: skip


def _ignored(days: int, settings: ShadowSettings) -> str:
    if not days:
        return ""
    which = "1 day" if days == 1 else f"{days:,} days"
    least = f"{settings.min_daily_predictions:,} compared predictions (shadow.min_daily_predictions)"
    return f"; {which} with fewer than {least} {'does' if days == 1 else 'do'} not count"


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
