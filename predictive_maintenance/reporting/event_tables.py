"""Tables and numbers of an evaluation by failure event, for cards, reports and what a run logs."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..config.event_rules import EventRules
from ..evaluation.event_evaluation import EventEvaluation
from ..evaluation.failure_events import EventScores
from .tables import Table


def events_table(events: EventEvaluation, currency: str) -> Table:
    """One row for each metric with its interval and its counts: of the model, then of the naive rules."""
    columns = {"This model, held-out": events.held_out, "This model, out-of-fold": events.out_of_fold}
    columns |= {f"{rule.label}, held-out": rule.scores for rule in events.naive}
    rows = [
        [label, *(_cell(name, scores) for scores in columns.values())]
        for name, label in event_labels(events.rules, currency).items()
    ]
    rows.append(["Machines", *(f"{scores.machines:,}" for scores in columns.values())])
    return ["Metric", *columns], rows


def event_labels(rules: EventRules, currency: str) -> dict[str, str]:
    """The label of each metric with its unit."""
    ahead = f", at least {rules.min_lead.text} ahead" if rules.min_lead.length else ""
    return {
        "failures_caught": f"Failures caught{ahead}",
        "median_lead_time": f"Median lead time, {rules.lead_unit.label}",
        "false_alarm_rate": f"False alarms per {rules.rate_unit.label}",
        "alarms_per_failure": "Alarms per failure",
        "time_under_alarm": "Share of time under alarm",
        "cost_rate": f"Cost per {rules.cost_unit.label}, {currency}",
    }


def event_sentences(events: EventEvaluation, confidence: float, samples: int) -> Iterator[str]:
    """How the numbers of `events_table` are made, and what they lack."""
    rules = events.rules
    until = f", at least {rules.min_lead.text} ahead" if rules.min_lead.length else ""
    yield (
        f"An alarm {rules.policy.text()}. A failure is caught if an alarm was open within {rules.horizon.text} before it"
        f"{until}. An alarm that stays open is a false alarm for each {rules.horizon.text} without a failure in reach."
    )
    yield f"Intervals of {confidence:.0%} from {samples:,} bootstrap samples of machines."
    for what, scores in (("held-out", events.held_out), ("out-of-fold", events.out_of_fold)):
        yield from (f"Note on {what} machines: {note}." for note in scores.notes)


def event_values(prefix: str, scores: EventScores, rules: EventRules) -> dict[str, float]:
    """Numbers by name: `prefix_failures_caught`, `prefix_failures_caught_low` and so on. Unknown ones are left out."""
    values: dict[str, float] = {
        f"{prefix}_failure_events": scores.failures,
        f"{prefix}_alarms": scores.alarms,
        f"{prefix}_false_alarms": scores.false_alarms,
    }
    for metric, name in _names(rules).items():
        estimate = scores[metric]
        values |= {
            f"{prefix}_{name}": estimate.value,
            f"{prefix}_{name}_low": estimate.low,
            f"{prefix}_{name}_high": estimate.high,
        }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def event_metrics(events: EventEvaluation) -> dict[str, float]:
    """`event_values` of the model and of the naive rules."""
    columns = {"held_out": events.held_out, "out_of_fold": events.out_of_fold}
    columns |= {f"naive_{rule.name}": rule.scores for rule in events.naive}
    return {
        name: value
        for prefix, scores in columns.items()
        for name, value in event_values(prefix, scores, events.rules).items()
    }


def plain_events(scores: EventScores, rules: EventRules) -> dict[str, Any]:
    """The counts and the metrics with intervals as JSON values; null for an unknown number."""
    return {
        "machines": scores.machines,
        "failures": scores.failures,
        "alarms": scores.alarms,
        "false_alarms": scores.false_alarms,
        **{name: _plain(scores, metric) for metric, name in _names(rules).items()},
    }


def _plain(scores: EventScores, metric: str) -> Mapping[str, float | None]:
    estimate = scores[metric]
    numbers = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: None if math.isnan(number) else number for name, number in numbers.items()}


def _names(rules: EventRules) -> dict[str, str]:
    """The name of each metric with its unit, as it is logged."""
    return {
        "failures_caught": "failures_caught",
        "median_lead_time": f"median_lead_time_{rules.lead_unit.name}",
        "false_alarm_rate": f"false_alarms_per_{rules.rate_unit.name}",
        "alarms_per_failure": "alarms_per_failure",
        "time_under_alarm": "time_under_alarm",
        "cost_rate": f"cost_per_{rules.cost_unit.name}",
    }


def _cell(metric: str, scores: EventScores) -> str:
    estimate = scores[metric]
    if math.isnan(estimate.value):
        return estimate.count
    decimals = 0 if metric == "cost_rate" else 1 if metric == "median_lead_time" else 3
    interval = "" if math.isnan(estimate.low) else f" [{estimate.low:,.{decimals}f}, {estimate.high:,.{decimals}f}]"
    return f"{estimate.value:,.{decimals}f}{interval}; {estimate.count}"
