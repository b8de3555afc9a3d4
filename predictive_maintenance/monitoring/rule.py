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


def is_calm(windows: Sequence[Sequence[Finding] | None], *, among: int) -> bool:
    """Whether what counted in the last `among` windows was judged again in the newest, so that its absence there means something.

    Labels and rejected readings may be missing where readings are judged, and the other way round.
    """
    if not windows or (newest := windows[-1]) is None:
        return False
    judged = {_subject(finding) for finding in newest}
    return all(_subject(finding) in judged for window in windows[-among:] for finding in window or () if finding.counts)


def _subject(finding: Finding) -> tuple[str, str]:
    """What is judged together: each metric, the rejected readings, and all about the readings."""
    return (finding.kind, finding.column) if finding.kind in ("performance", "rejected readings") else ("readings", "")


def _counting(window: Sequence[Finding] | None) -> set[tuple[Kind, str]]:
    return {(finding.kind, finding.column) for finding in window or () if finding.counts}
