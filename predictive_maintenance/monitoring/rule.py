"""When differences are a reason to act, and when no longer.

They are lasting in k of the last n windows and the newest, and resolved after k windows without any. An effect that alternates
around its limit is one incident.
"""

from collections.abc import Sequence

from .drift import Finding, Kind


def lasting(windows: Sequence[Sequence[Finding] | None], *, least: int, among: int) -> list[Finding]:
    """The findings of the newest window that exceed their limit in it and in at least `least` of the last `among` windows.

    `windows` are in the order of time; None stands for a window with too few rows to be compared.
    """
    if not windows or windows[-1] is None:
        return []
    recent = [_exceeded(window) for window in windows[-among:]]
    return [
        finding
        for finding in windows[-1]
        if (key := (finding.kind, finding.column)) in recent[-1] and sum(key in one for one in recent) >= least
    ]


def is_resolved(windows: Sequence[Sequence[Finding] | None], *, least: int, among: int) -> bool:
    """Whether nothing exceeds its limit in the newest window and in the `least` latest of the last `among` ones that measured it.

    Without labels, readings or rejected readings in a window, the absence of a finding means nothing.
    """
    recent = windows[-among:]
    if not recent or recent[-1] is None:
        return False
    exceeded = {_subject(finding) for window in recent for finding in window or () if finding.exceeds_limit}
    if not exceeded:
        return sum(window is not None for window in recent) >= least
    return all(_has_ended(subject, recent, least) for subject in exceeded)


def _has_ended(subject: tuple[str, str], windows: Sequence[Sequence[Finding] | None], least: int) -> bool:
    """Whether what is measured together is without a difference in the newest window and in `least` windows that measured it."""
    findings = [[one for one in window or () if one.is_measured and _subject(one) == subject] for window in windows]
    measured = [any(finding.exceeds_limit for finding in own) for own in findings if own]
    return bool(findings[-1]) and len(measured) >= least and not any(measured[-least:])


def _subject(finding: Finding) -> tuple[str, str]:
    """What is measured together: each metric, the rejected readings, and all about the readings."""
    return (finding.kind, finding.column) if finding.kind in ("performance", "rejected readings") else ("readings", "")


def _exceeded(window: Sequence[Finding] | None) -> set[tuple[Kind, str]]:
    return {(finding.kind, finding.column) for finding in window or () if finding.exceeds_limit}
