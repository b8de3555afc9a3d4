"""The checks of the gate on failures caught and on false alarms, for machines whose label has a horizon."""

import math
from collections.abc import Iterator

from ..config.params import GateSettings
from .event_evaluation import EventEvaluation
from .failure_events import EventScores
from .verdict import Check, CheckName, Level

_MACHINES: dict[Level, str] = {"candidate": "held-out machines", "production": "out-of-fold machines"}
_CAUGHT: dict[Level, CheckName] = {
    "candidate": CheckName.HELD_OUT_CAUGHT,
    "production": CheckName.CAUGHT_LOWER_BOUND,
}
_FALSE_ALARMS: dict[Level, CheckName] = {
    "candidate": CheckName.HELD_OUT_FALSE_ALARMS,
    "production": CheckName.FALSE_ALARMS_UPPER_BOUND,
}


def event_checks(
    level: Level, events: EventEvaluation | None, gate: GateSettings, min_failures: int
) -> Iterator[Check]:
    """The checks of one level that the settings ask for.

    For `candidate`, the values on held-out machines count; for `production`, the bounds on out-of-fold rows. The share of
    failures caught is not assessed with fewer than `min_failures` failures.
    """
    if events is None:
        return
    scores = events.held_out if level == "candidate" else events.out_of_fold
    if gate.min_failures_caught > 0:
        yield _caught(level, scores, gate.min_failures_caught, min_failures)
    if gate.max_false_alarm_rate is not None:
        yield _false_alarms(level, scores, gate.max_false_alarm_rate, events.rules.rate_unit.label)


def _caught(level: Level, scores: EventScores, minimum: float, min_failures: int) -> Check:
    name, required = _CAUGHT[level], f">= {minimum:g}"
    if scores.failures < min_failures:
        why = f"not assessed: {scores.failures} failures of {_MACHINES[level]}, and {min_failures} are needed"
        return Check(name=name, level=level, measured="-", required=required, passed=True, why=why)
    caught = scores["failures_caught"]
    value, what = (caught.value, "") if level == "candidate" else (caught.lower_bound, "the lower bound ")
    passed = value >= minimum
    relation = f"at least {minimum:g}" if passed else f"not at least {minimum:g}"
    why = f"{what}{_shown(value)} is {relation}: {caught.count} of {_MACHINES[level]} were caught"
    return Check(name=name, level=level, measured=_shown(value), required=required, passed=passed, why=why)


def _false_alarms(level: Level, scores: EventScores, maximum: float, unit: str) -> Check:
    rate = scores["false_alarm_rate"]
    value, what = (rate.value, "") if level == "candidate" else (rate.upper_bound, "the upper bound ")
    passed = value <= maximum
    relation = f"at most {maximum:g}" if passed else f"not at most {maximum:g}"
    why = f"{what}{_shown(value)} per {unit} is {relation}: {rate.count}"
    required = f"<= {maximum:g} per {unit}"
    return Check(
        name=_FALSE_ALARMS[level], level=level, measured=_shown(value), required=required, passed=passed, why=why
    )


def _shown(value: float) -> str:
    """`value` as text. A value that there is not (NaN) passes no check."""
    return "unknown" if math.isnan(value) else f"{value:.3f}"
