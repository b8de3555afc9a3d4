"""When differences are a reason to act: in k of the last n windows, and in the newest."""

from collections.abc import Sequence

from .drift import Finding, Kind


def lasting(windows: Sequence[Sequence[Finding] | None], *, least: int, among: int) -> list[Finding]:
    """The findings of the newest window that count, in it and in at least `least` of the last `among` windows.

    `windows` are in the order of time; None stands for a window with too few rows to be judged.
    """
    if not windows or windows[-1] is None:
        return []
    recent = [_counting(window) for window in windows[-among:]]
    return [
        finding
        for finding in windows[-1]
        if (key := (finding.kind, finding.column)) in recent[-1] and sum(key in one for one in recent) >= least
    ]


def _counting(window: Sequence[Finding] | None) -> set[tuple[Kind, str]]:
    return {(finding.kind, finding.column) for finding in window or () if finding.counts}
