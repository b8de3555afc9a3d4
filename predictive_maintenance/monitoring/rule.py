"""When differences are a reason to act: in k of the last n windows, and in the newest."""

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


def is_resolved(windows: Sequence[Sequence[Finding] | None], *, among: int) -> bool:
    """Whether the newest window could measure again what exceeded its limit in the last `among` windows.

    Without labels, readings or rejected readings in it, the absence of a finding means nothing.
    """
    if not windows or (newest := windows[-1]) is None:
        return False
    measured = {_subject(finding) for finding in newest}
    exceeded = (finding for window in windows[-among:] for finding in window or () if finding.exceeds_limit)
    return all(_subject(finding) in measured for finding in exceeded)


def _subject(finding: Finding) -> tuple[str, str]:
    """What is measured together: each metric, the rejected readings, and all about the readings."""
    return (finding.kind, finding.column) if finding.kind in ("performance", "rejected readings") else ("readings", "")


def _exceeded(window: Sequence[Finding] | None) -> set[tuple[Kind, str]]:
    return {(finding.kind, finding.column) for finding in window or () if finding.exceeds_limit}
