"""One look at production: all windows, what lasts, and which machines are silent. Also as plain values."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..evaluation.intervals import Estimate
from ..machine.machine import Machine
from ..store.store import Store
from ..store.times import seconds_as_text
from .drift import Finding
from .performance import Performance
from .production import Rules, WatchedVersion, Window, recent_windows, silent_machines
from .rule import lasting
from .texts import SHOWN_MACHINES, finding_text

_MOST_FINDINGS = 500
"""Of a window, in the store: those that count come first."""
_MOST_SILENT = 100


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found. `lasting` are the differences that are a reason to act, `silent` the machines that have fallen silent."""

    watched: WatchedVersion
    windows: Sequence[Window]
    lasting: Sequence[Finding]
    silent: Sequence[str]

    @property
    def reasons(self) -> list[str]:
        """The lasting differences as sentences."""
        return [finding_text(finding, self.watched.machine) for finding in self.lasting]


def look(store: Store, watched: WatchedVersion, rules: Rules, now: float) -> Look:
    """Look at the windows up to `now`, in seconds since 1970. Raises StoreError."""
    windows = list(recent_windows(store, watched, rules, now))
    settings = rules.monitoring
    return Look(
        watched=watched,
        windows=windows,
        lasting=lasting([window.findings for window in windows], least=settings.least, among=settings.windows),
        silent=silent_machines(store, watched, windows),
    )


def save_look(store: Store, found: Look, now: float) -> None:
    """Keep a look in the store, in place of the one before, for the API. Its size is bounded. Raises StoreError."""
    with store.writing() as transaction:
        transaction.save_look(found.watched.model, int(now), json.dumps(content(found, bounded=True)))


def content(found: Look, *, bounded: bool = False) -> dict[str, Any]:
    """The look as plain values, as `app.schemas.monitoring` describes them but for its time.

    If it is `bounded`, there are at most some hundred findings and machines; earlier windows have only the findings that count.
    """
    machine, newest = found.watched.machine, found.windows[-1]
    most_silent = _MOST_SILENT if bounded else len(found.silent)
    return {
        "model_name": found.watched.model,
        "model_version": found.watched.version,
        "windows": [_window(one, machine, bounded, is_newest=one is newest) for one in found.windows],
        "lasting": _findings(found.lasting, machine, bounded),
        "silent_machines": list(found.silent[:most_silent]),
        "silent_count": len(found.silent),
    }


def _window(window: Window, machine: Machine, bounded: bool, *, is_newest: bool) -> dict[str, Any]:
    shown = window.findings
    if shown is not None and bounded and not is_newest:
        shown = [finding for finding in shown if finding.counts]
    return {
        "begins": seconds_as_text(window.begins),
        "ends": seconds_as_text(window.ends),
        "readings": window.rows,
        "accepted": window.inputs.accepted,
        "rejected": window.inputs.rejected,
        "invalid_fields": dict(window.inputs.fields),
        "findings": None if shown is None else _findings(shown, machine, bounded),
        "performance": _performance(window.performance),
    }


def _findings(findings: Sequence[Finding], machine: Machine, bounded: bool) -> list[dict[str, Any]]:
    ordered = sorted(findings, key=lambda finding: not finding.counts)[:_MOST_FINDINGS] if bounded else findings
    machines = SHOWN_MACHINES if bounded else None
    return [
        {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in asdict(finding).items()
        }
        | {
            "machines": list(finding.machines[:machines]),
            "counts": finding.counts,
            "text": finding_text(finding, machine),
        }
        for finding in ordered
    ]


def _performance(performance: Performance) -> dict[str, Any]:
    return asdict(performance) | {
        "begins": seconds_as_text(performance.begins),
        "ends": seconds_as_text(performance.ends),
        "figures": [
            {
                "metric": figure.metric,
                "count": figure.count,
                "now": _estimate(figure.now),
                "promised": _estimate(figure.promised),
                "reason": figure.reason,
            }
            for figure in performance.figures
        ],
    }


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}
