"""Rules that a planner would use without a model, as baselines of alarms.

A rule measures something at each reading and alarms above a threshold, which is chosen on the training rows as the model's is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..config.event_rules import EventRules
from ..config.params import Params
from ..history.observed import ObservedMachines
from ..machine.machine import Machine
from ..training.alarm_thresholds import select_threshold_of_alarms
from .failure_events import EventScores, judge_alarms, score_events
from .intervals import FloatArray, IndexArray


@dataclass(frozen=True, kw_only=True)
class NaiveRule:
    """A rule: `measure` gives (n,) numbers for readings in the order of machines and times, in the unit of the times."""

    name: str
    label: str
    measure: Callable[[Machine, ObservedMachines], FloatArray]


@dataclass(frozen=True, kw_only=True)
class NaiveScores:
    """A rule with its threshold as text, and its scores on the held-out machines."""

    name: str
    label: str
    scores: EventScores


def age(machine: Machine, observed: ObservedMachines) -> FloatArray:
    """The time since the machine's last failure. Before the first one: of a counter since 0, else since the first reading."""
    lives = observed.lives
    start = lives.start[lives.of_reading]
    first = np.zeros(len(observed.names)) if machine.time_is_counter else observed.times[observed.bounds[:-1]]
    begun = np.repeat(first.astype(np.float64), np.diff(observed.bounds))
    return observed.times.astype(np.float64) - np.where(np.isfinite(start), start, begun)


NAIVE_RULES = (NaiveRule(name="age", label="Age", measure=age),)


def score_naive_rules(
    train: ObservedMachines, labels: IndexArray, test: ObservedMachines, rules: EventRules, params: Params
) -> tuple[NaiveScores, ...]:
    """Score every rule on `test`, with the threshold that is best for the `labels` (n,) of the rows of `train`."""
    return tuple(_score(rule, train, labels, test, rules, params) for rule in NAIVE_RULES)


def _score(
    rule: NaiveRule, train: ObservedMachines, labels: IndexArray, test: ObservedMachines, rules: EventRules,
    params: Params,
) -> NaiveScores:  # fmt: skip
    measured = np.empty(len(labels))
    measured[train.positions] = rule.measure(params.machine, train)
    threshold = select_threshold_of_alarms(labels, measured, params, train)
    decisions = np.empty(len(test.positions), dtype=bool)
    decisions[test.positions] = rule.measure(params.machine, test) >= threshold
    scores = score_events(
        judge_alarms(test, decisions, rules), rules, params.costs, params.evaluation, params.training.seed
    )
    shown = f"{rule.label} >= {threshold / rules.lead_unit.length:,.1f} {rules.lead_unit.label}"
    return NaiveScores(name=rule.name, label=shown, scores=scores)
