"""Failures caught in time, false alarms, lead times and costs of a model's alarms, each with an interval over machines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..config.event_rules import EventRules
from ..config.params import CostSettings, EvaluationSettings
from ..history.alarm_outcomes import Outcomes, outcomes
from ..history.alarms import Alarms, alarms
from ..history.observed import ObservedMachines
from .intervals import BoolArray, FloatArray, IndexArray, bootstrap_draws, wilson_interval

EVENT_METRICS = (
    "failures_caught",
    "median_lead_time",
    "false_alarm_rate",
    "alarms_per_failure",
    "time_under_alarm",
    "cost_rate",
)
_FROM_FAILURES = ("failures_caught", "median_lead_time", "alarms_per_failure", "cost_rate")
"""Metrics whose interval needs several failures."""
MIN_FAILURES = MIN_MACHINES = 2
"""With fewer there is no interval."""


@dataclass(frozen=True, kw_only=True)
class EventEstimate:
    """A metric, its two-sided interval and its one-sided bounds. NaN is a value that there is not.

    `count` is what the metric was computed from, as text.
    """

    value: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    count: str


@dataclass(frozen=True, kw_only=True)
class EventScores:
    """The metrics of alarms about `machines` machines that failed `failures` times, of which `caught` were caught.

    `alarms` were opened; they count as `false_alarms`. `lead_times` (caught,) are in `rules.lead_unit`. `notes` say which
    intervals there are not.
    """

    machines: int
    failures: int
    caught: int
    alarms: int
    false_alarms: int
    lead_times: FloatArray
    estimates: dict[str, EventEstimate]
    notes: tuple[str, ...]

    def __getitem__(self, metric: str) -> EventEstimate:
        return self.estimates[metric]


@dataclass(frozen=True, kw_only=True)
class JudgedAlarms:
    """Alarms of observed machines, and what they led to."""

    observed: ObservedMachines
    alarms: Alarms
    outcomes: Outcomes


def judge_alarms(observed: ObservedMachines, decisions: BoolArray, rules: EventRules) -> JudgedAlarms:
    """Make the alarms of `decisions` (n,), in the order of the table of `observed`, and judge them."""
    made = alarms(observed.times, observed.lives, decisions[observed.positions], rules.policy)
    found = outcomes(observed.times, observed.lives, made, rules.horizon.length, rules.min_lead.length)
    return JudgedAlarms(observed=observed, alarms=made, outcomes=found)


def score_events(
    judged: JudgedAlarms, rules: EventRules, costs: CostSettings, settings: EvaluationSettings, seed: int
) -> EventScores:
    """Compute every metric of judged alarms, with intervals from a bootstrap over machines."""
    found, machines = judged.outcomes, len(judged.observed.names)
    per_machine = _sums_per_machine(judged)
    caught = ~np.isnan(found.lead)
    leads, lead_machines = found.lead[caught] / rules.lead_unit.length, found.failed_machine[caught]

    def metrics_of(draws: Iterable[FloatArray]) -> dict[str, FloatArray]:
        rows = [(per_machine @ drawn, _median(np.repeat(leads, drawn[lead_machines].astype(int)))) for drawn in draws]
        medians = np.array([median for _, median in rows])
        return {**_ratios(np.stack([sums for sums, _ in rows]), rules, costs), "median_lead_time": medians}

    totals = per_machine.sum(axis=1)
    failures, false_alarms = int(totals[0]), int(totals[3])
    values = metrics_of([np.ones(machines)])
    drawn = bootstrap_draws(machines, settings.bootstrap_samples, seed) if machines >= MIN_MACHINES else iter(())
    samples = metrics_of(drawn) if machines >= MIN_MACHINES else {}
    counts = _counts(totals, leads, machines, rules)
    estimates = {}
    for name in EVENT_METRICS:
        has_interval = bool(samples) and (failures >= MIN_FAILURES or name not in _FROM_FAILURES)
        bounds = _bounds(samples[name], settings.confidence) if has_interval else (np.nan,) * 4
        estimates[name] = EventEstimate(
            **dict(zip(_BOUNDS, bounds, strict=True)), value=float(values[name][0]), count=counts[name]
        )
    share, rate = estimates["failures_caught"], estimates["false_alarm_rate"]
    if share.low == share.high:
        estimates["failures_caught"] = _wilson(share, int(totals[1]), failures, settings.confidence)
    if rate.low == rate.high == 0 and totals[4] > 0:
        estimates["false_alarm_rate"] = _without_false_alarms(
            rate, totals[4] / rules.rate_unit.length, settings.confidence
        )
    return EventScores(
        machines=machines,
        failures=failures,
        caught=int(totals[1]),
        alarms=int(totals[2]),
        false_alarms=false_alarms,
        lead_times=leads,
        estimates=estimates,
        notes=tuple(_notes(machines, failures)),
    )


_BOUNDS = ("low", "high", "lower_bound", "upper_bound")


def _sums_per_machine(judged: JudgedAlarms) -> FloatArray:
    """(6, M) failures, caught failures, alarms, false alarms, time observed and time under alarm of each machine."""
    found, machines, of_alarm = judged.outcomes, len(judged.observed.names), judged.alarms.machine

    def count(machine: IndexArray, weights: FloatArray | IndexArray | None = None) -> FloatArray:
        return np.bincount(machine, weights, minlength=machines).astype(np.float64)

    return np.stack(
        [
            count(found.failed_machine),
            count(found.failed_machine[~np.isnan(found.lead)]),
            count(of_alarm),
            count(of_alarm, found.false_alarms),
            found.observed,
            found.under_alarm,
        ]
    )


def _ratios(sums: FloatArray, rules: EventRules, costs: CostSettings) -> dict[str, FloatArray]:
    """The metrics, each (k,), of k rows of sums (k, 6). NaN where there is no failure, or no time."""
    failures, caught, opened, false, observed, under_alarm = sums.T
    cost = costs.missed_failure * (failures - caught) + costs.false_alarm * false
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "failures_caught": np.where(failures > 0, caught / failures, np.nan),
            "false_alarm_rate": np.where(observed > 0, false / observed * rules.rate_unit.length, np.nan),
            "alarms_per_failure": np.where(failures > 0, opened / failures, np.nan),
            "time_under_alarm": np.where(observed > 0, under_alarm / observed, np.nan),
            "cost_rate": np.where(observed > 0, cost / observed * rules.cost_unit.length, np.nan),
        }


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _bounds(samples: FloatArray, confidence: float) -> tuple[float, ...]:
    """The two-sided interval, then the one-sided bounds, of samples without those that have no value."""
    known, tail = samples[~np.isnan(samples)], 1 - confidence
    if not len(known):
        return (np.nan,) * 4
    return tuple(map(float, np.quantile(known, [tail / 2, 1 - tail / 2, tail, 1 - tail])))


def _wilson(estimate: EventEstimate, caught: int, failures: int, confidence: float) -> EventEstimate:
    """A share that is equal in every bootstrap sample, with its Wilson interval."""
    low, high = wilson_interval(caught, failures, confidence)
    lower, upper = wilson_interval(caught, failures, 2 * confidence - 1)
    return EventEstimate(
        value=estimate.value, low=low, high=high, lower_bound=lower, upper_bound=upper, count=estimate.count
    )


def _without_false_alarms(estimate: EventEstimate, exposure: float, confidence: float) -> EventEstimate:
    """A rate without a single false alarm, with the exact Poisson interval: exp(-rate * exposure) is the probability of none."""
    high, upper = (-float(np.log(tail)) / exposure for tail in ((1 - confidence) / 2, 1 - confidence))
    return EventEstimate(
        value=estimate.value, low=0.0, high=high, lower_bound=0.0, upper_bound=upper, count=estimate.count
    )


def _counts(totals: FloatArray, leads: FloatArray, machines: int, rules: EventRules) -> dict[str, str]:
    """What each metric was computed from, as text."""
    failures, caught, opened, false = map(int, totals[:4])
    observed, under_alarm = totals[4:] / rules.lead_unit.length
    unit = rules.lead_unit.label
    lower, upper = np.quantile(leads, [0.25, 0.75]) if len(leads) else (np.nan, np.nan)
    return {
        "failures_caught": f"{caught:,} of {_many(failures, 'failure')}",
        "median_lead_time": f"quartiles {lower:,.1f} to {upper:,.1f} {unit}" if len(leads) else "no caught failure",
        "false_alarm_rate": f"{_many(false, 'false alarm')} in {observed:,.0f} {unit} of {_many(machines, 'machine')}",
        "alarms_per_failure": f"{_many(opened, 'alarm')}, {_many(failures, 'failure')}",
        "time_under_alarm": f"{under_alarm:,.0f} of {observed:,.0f} {unit}",
        "cost_rate": f"{_many(failures - caught, 'missed failure')}, {_many(false, 'false alarm')}",
    }


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _notes(machines: int, failures: int) -> Iterator[str]:
    if machines < MIN_MACHINES:
        yield f"no intervals, which need {MIN_MACHINES} machines: there {_is(machines)}"
    elif failures < MIN_FAILURES:
        yield f"no intervals of what depends on failures, which need {MIN_FAILURES} failures: there {_is(failures)}"


def _is(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"
