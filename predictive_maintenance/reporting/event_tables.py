"""Tables and numbers of an evaluation by failure event, for cards, reports and what a run logs."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..config.event_rules import EventRules
from ..evaluation.event_evaluation import EventEvaluation
from ..evaluation.failure_events import EventScores
from ..evaluation.horizon_scores import Share
from ..evaluation.mode_scores import ModeScores
from .tables import Table

NO_FAILURE = "no failure"


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


def horizon_table(events: EventEvaluation) -> Table:
    """One row for each time ahead: what decisions and alarms are worth so long before a failure."""
    unit = events.rules.lead_unit.label
    headers = [
        f"Ahead, {unit}", "Readings with a failure within it", "Recall of these", "Precision for these",
        "Failures caught so long ahead",
    ]  # fmt: skip
    return headers, [
        [f"{scores.ahead:,.3g}", f"{scores.rows:,}", *map(_share, (scores.recall, scores.precision, scores.caught))]
        for scores in events.horizons
    ]


def policy_table(events: EventEvaluation, currency: str) -> Table:
    """One row for each alarm policy, that of the description first."""
    labels = event_labels(events.rules, currency)
    rows = [
        [
            f"{found.policy.text()}{' (description)' if found.policy == events.rules.policy else ''}",
            f"{found.threshold:.3f}",
            *(_cell(name, found.scores) for name in labels),
        ]
        for found in events.policies
    ]
    return ["An alarm", "Threshold", *labels.values()], rows


def mode_accuracy_table(modes: ModeScores) -> Table:
    """A row for each time of prediction: the share of failures for which the predicted mode is right."""
    columns = {
        "When the alarm opens, caught failures": modes.at_alarm,
        "At the last reading before a failure": modes.at_failure,
    }
    labels = dict.fromkeys(label for accuracy in columns.values() for label, _, _ in accuracy.by_mode)
    headers = ["The likeliest mode is the failure's", "Share", "Always the usual mode", *labels]
    rows = []
    for name, accuracy in columns.items():
        counts = {label: f"{correct:,} of {failures:,}" for label, failures, correct in accuracy.by_mode}
        share = f"{_share(Share(accuracy.accuracy, accuracy.low, accuracy.high))}; {accuracy.correct:,} of {accuracy.failures:,}"
        usual = f"{accuracy.usual:,} of {accuracy.failures:,} ({accuracy.usual_mode})"
        rows.append(
            [
                name,
                share if accuracy.failures else NO_FAILURE,
                usual,
                *(counts.get(label, "0 of 0") for label in labels),
            ]
        )
    return headers, rows


def _share(share: Share) -> str:
    if math.isnan(share.value):
        return "none"
    return f"{share.value:.3f}" + ("" if math.isnan(share.low) else f" [{share.low:.3f}, {share.high:.3f}]")


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
    if events.horizons:
        yield (
            "The second table judges the same decisions and alarms as if failures within a part of the horizon were to be "
            "predicted: a decision before that is then a false one."
        )
    if events.policies:
        yield (
            "The table of policies has the out-of-fold rows, each policy with the threshold that is best for it on them: its "
            "numbers are a little optimistic."
        )
    if events.modes:
        yield "The table of modes has Wilson intervals over failures; the model of the modes was trained on failing readings."
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


def plain_horizons(events: EventEvaluation) -> list[dict[str, Any]]:
    """The scores by horizon as JSON values; null for an unknown number."""
    ahead = f"ahead_{events.rules.lead_unit.name}"
    return [
        {
            ahead: scores.ahead,
            "rows": scores.rows,
            "recall": _plain_share(scores.recall),
            "precision": _plain_share(scores.precision),
            "failures_caught": _plain_share(scores.caught),
        }
        for scores in events.horizons
    ]


def plain_modes(modes: ModeScores) -> dict[str, Any]:
    """The accuracy of the likeliest mode as JSON values."""
    return {
        name: {
            "failures": accuracy.failures,
            "correct": accuracy.correct,
            "usual_mode_correct": accuracy.usual,
            **_plain_share(Share(accuracy.accuracy, accuracy.low, accuracy.high)),
        }
        for name, accuracy in (("at_alarm", modes.at_alarm), ("at_last_reading", modes.at_failure))
    }


def _plain_share(share: Share) -> dict[str, float | None]:
    numbers = {"value": share.value, "low": share.low, "high": share.high}
    return {name: None if math.isnan(number) else number for name, number in numbers.items()}


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
