"""Rules that a planner would use without a model, as baselines of alarms.

A rule measures something at each reading and alarms above a threshold, which is chosen on the training rows as the model's is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from ..config.event_rules import EventRules
from ..config.params import Params
from ..history.observed import ObservedMachines
from ..machine.machine import Machine
from ..training.alarm_thresholds import select_threshold_of_alarms
from .failure_events import EventScores, judge_alarms, score_events
from .intervals import FloatArray


class NaiveRule(Protocol):
    """A rule. `measure` gives a number for each of n readings in the order of machines and times; `text` a threshold of it."""

    @property
    def name(self) -> str: ...

    def measure(self, observed: ObservedMachines, rows: pd.DataFrame) -> FloatArray: ...

    def text(self, threshold: float, rules: EventRules) -> str: ...


@dataclass(frozen=True)
class Age:
    """The time since a machine's last failure. Before the first one: of a counter since 0, else since the first reading."""

    machine: Machine
    name: str = "age"

    def measure(self, observed: ObservedMachines, rows: pd.DataFrame) -> FloatArray:  # noqa: ARG002  other rules need it
        lives = observed.lives
        start = lives.start[lives.of_reading]
        machines = len(observed.names)
        first = np.zeros(machines) if self.machine.time_is_counter else observed.times[observed.bounds[:-1]]
        begun = np.repeat(first.astype(np.float64), np.diff(observed.bounds))
        return observed.times.astype(np.float64) - np.where(np.isfinite(start), start, begun)

    def text(self, threshold: float, rules: EventRules) -> str:
        return f"Age >= {threshold / rules.lead_unit.length:,.1f} {rules.lead_unit.label}"


@dataclass(frozen=True)
class EventCount:
    """The number of events of a table, of all types, in a span before a reading. `features` are the counts by type."""

    name: str
    label: str
    features: tuple[str, ...]

    def measure(self, observed: ObservedMachines, rows: pd.DataFrame) -> FloatArray:
        counts: FloatArray = rows[list(self.features)].sum(axis=1).to_numpy(dtype=np.float64)
        return counts[observed.positions]

    def text(self, threshold: float, rules: EventRules) -> str:  # noqa: ARG002  other rules need it
        return f"{self.label} >= {int(np.ceil(threshold))}"


@dataclass(frozen=True)
class LongestSince:
    """The longest time since the last event of any type, such as the age of the oldest component; 0 before the first event."""

    name: str
    label: str
    features: tuple[str, ...]
    unit: str

    def measure(self, observed: ObservedMachines, rows: pd.DataFrame) -> FloatArray:
        longest: FloatArray = rows[list(self.features)].max(axis=1).fillna(0.0).to_numpy(dtype=np.float64)
        return longest[observed.positions]

    def text(self, threshold: float, rules: EventRules) -> str:  # noqa: ARG002  other rules need it
        return f"{self.label} >= {threshold:,.1f} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class NaiveScores:
    """A rule with its threshold as text, and its scores on the held-out machines."""

    name: str
    label: str
    scores: EventScores


def naive_rules(machine: Machine) -> Iterator[NaiveRule]:
    """The rules for a machine: its age and, for each table of events, what its shortest span and its last event say."""
    yield Age(machine)
    for table in machine.event_tables:
        features = [feature for feature in machine.event_features.values() if feature.table == table]
        label = machine.description.events[table].label
        spans = sorted({feature.span for feature in features if feature.span}, key=lambda span: span.length)
        if spans:
            counts = tuple(feature.name for feature in features if feature.span == spans[0])
            yield EventCount(f"{table}_count", f"{label} in {spans[0].text}", counts)
        since = [feature for feature in features if feature.span is None]
        if since:
            names = tuple(feature.name for feature in since)
            yield LongestSince(f"{table}_since", f"Time since {label.lower()}", names, since[0].unit)


def score_naive_rules(
    train: ObservedMachines, train_rows: pd.DataFrame, test: ObservedMachines, test_rows: pd.DataFrame,
    rules: EventRules, params: Params,
) -> tuple[NaiveScores, ...]:  # fmt: skip
    """Score every rule on the machines `test`, with the threshold that is best for the rows of `train`."""
    return tuple(
        _score(rule, train, train_rows, test, test_rows, rules, params) for rule in naive_rules(params.machine)
    )


def _score(
    rule: NaiveRule, train: ObservedMachines, train_rows: pd.DataFrame, test: ObservedMachines,
    test_rows: pd.DataFrame, rules: EventRules, params: Params,
) -> NaiveScores:  # fmt: skip
    labels = train_rows[params.machine.label_name].to_numpy()
    measured = np.empty(len(labels))
    measured[train.positions] = rule.measure(train, train_rows)
    threshold = select_threshold_of_alarms(labels, measured, params, train)
    decisions = np.empty(len(test.positions), dtype=bool)
    decisions[test.positions] = rule.measure(test, test_rows) >= threshold
    scores = score_events(
        judge_alarms(test, decisions, rules), rules, params.costs, params.evaluation, params.training.seed
    )
    return NaiveScores(name=rule.name, label=rule.text(threshold, rules), scores=scores)
