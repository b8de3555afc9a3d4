"""One check of production: all windows, the lasting differences and the silent machines. Also as plain values."""

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
from .production import Rules, SilentMachine, WatchedVersion, Window, recent_windows, silent_machines
from .rule import lasting
from .texts import SHOWN_MACHINES, finding_text

_MOST_FINDINGS = 500
"""Of a window, in the store: those that exceed their limit come first."""
_MOST_SILENT = 100


@dataclass(frozen=True, kw_only=True)
class ProductionCheck:
    """The result of a check: `lasting` differences are a reason to act, `silent` machines have stopped sending readings."""

    watched: WatchedVersion
    windows: Sequence[Window]
    lasting: Sequence[Finding]
    silent: Sequence[SilentMachine]

    @property
    def reasons(self) -> list[str]:
        """The lasting differences as sentences."""
        return [finding_text(finding, self.watched.machine) for finding in self.lasting]


def check_production(store: Store, watched: WatchedVersion, rules: Rules, now: float) -> ProductionCheck:
    """Check the windows up to `now`, in seconds since 1970. Raises StoreError."""
    windows = list(recent_windows(store, watched, rules, now))
    settings = rules.monitoring
    return ProductionCheck(
        watched=watched,
        windows=windows,
        lasting=lasting([window.findings for window in windows], least=settings.least, among=settings.windows),
        silent=silent_machines(store, watched, settings, now),
    )


def save_check(store: Store, found: ProductionCheck, now: float) -> None:
    """Keep a check in the store, in place of the one before, for the API. Its size is bounded. Raises StoreError."""
    with store.writing() as transaction:
        transaction.save_production_check(found.watched.model, int(now), json.dumps(content(found, bounded=True)))


def content(found: ProductionCheck, *, bounded: bool = False) -> dict[str, Any]:
    """The check as plain values, as `app.schemas.monitoring` describes them but for its time.

    If it is `bounded`, there are at most some hundred findings and machines, and earlier windows have only the findings that
    exceed their limit.
    """
    machine, newest = found.watched.machine, found.windows[-1]
    most_silent = _MOST_SILENT if bounded else len(found.silent)
    return {
        "model_name": found.watched.model,
        "model_version": found.watched.version,
        "windows": [_window(one, machine, bounded, is_newest=one is newest) for one in found.windows],
        "lasting": _findings(found.lasting, machine, bounded),
        "silent_machines": [
            {"machine_id": one.machine_id, "received": seconds_as_text(one.received)}
            for one in found.silent[:most_silent]
        ],
        "silent_count": len(found.silent),
    }


def _window(window: Window, machine: Machine, bounded: bool, *, is_newest: bool) -> dict[str, Any]:
    shown = window.findings
    if shown is not None and bounded and not is_newest:
        shown = [finding for finding in shown if finding.exceeds_limit]
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
    ordered = sorted(findings, key=lambda finding: not finding.exceeds_limit)[:_MOST_FINDINGS] if bounded else findings
    machines = SHOWN_MACHINES if bounded else None
    return [
        {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in asdict(finding).items()
        }
        | {
            "machines": list(finding.machines[:machines]),
            "exceeds_limit": finding.exceeds_limit,
            "text": finding_text(finding, machine),
        }
        for finding in ordered
    ]


def _performance(performance: Performance) -> dict[str, Any]:
    return asdict(performance) | {
        "begins": seconds_as_text(performance.begins),
        "ends": seconds_as_text(performance.ends),
        "metrics": [
            {
                "metric": metric.metric,
                "count": metric.count,
                "now": _estimate(metric.now),
                "at_evaluation": _estimate(metric.at_evaluation),
                "reason": metric.reason,
            }
            for metric in performance.metrics
        ],
    }


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}
