"""Failures caught in time, false alarms, lead times and costs of a model's alarms, each with an interval over machines."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ..config.event_rules import EventRules
from ..config.params import CostSettings, EvaluationSettings
from ..history.alarm_outcomes import Outcomes, outcomes
from ..history.alarms import Alarms, alarms
from ..history.observed import ObservedMachines
from .intervals import BoolArray, FloatArray, IndexArray, bootstrap_draws, poisson_interval, wilson_interval

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


@dataclass(frozen=True, kw_only=True)
class EventSummary:
    """What judged alarms of M machines add up to: 48 bytes a machine and 16 a caught failure, from which every metric follows.

    `per_machine` (6, M) are failures, caught failures, alarms, false alarms, observed time and time under alarm. `leads` (c,)
    are the lead times of the caught failures, of the machines `caught_machine` (c,). Times are in the unit of the readings'.
    """

    per_machine: FloatArray
    leads: FloatArray
    caught_machine: IndexArray

    @classmethod
    def of(cls, judged: JudgedAlarms) -> Self:
        """The summary of judged alarms."""
        found = judged.outcomes
        caught = ~np.isnan(found.lead)
        return cls(
            per_machine=_sums_per_machine(judged),
            leads=found.lead[caught],
            caught_machine=found.failed_machine[caught],
        )

    @classmethod
    def merged(cls, summaries: Iterable[Self]) -> Self:
        """The summary of the machines of all `summaries`, which have no machine in common, in their order."""
        parts = list(summaries)
        offsets = np.cumsum([0, *(part.per_machine.shape[1] for part in parts)])[:-1]
        machines = [part.caught_machine + offset for part, offset in zip(parts, offsets, strict=True)]
        return cls(
            per_machine=np.concatenate([part.per_machine for part in parts], axis=1),
            leads=np.concatenate([part.leads for part in parts]),
            caught_machine=np.concatenate(machines),
        )


def judge_alarms(observed: ObservedMachines, decisions: BoolArray, rules: EventRules) -> JudgedAlarms:
    """Make the alarms of `decisions` (n,), in the order of the table of `observed`, and judge them."""
    made = alarms(observed.times, observed.lives, decisions[observed.positions], rules.policy)
    found = outcomes(observed.times, observed.lives, made, rules.horizon.length, rules.min_lead.length)
    return JudgedAlarms(observed=observed, alarms=made, outcomes=found)


def score_events(
    judged: JudgedAlarms, rules: EventRules, costs: CostSettings, settings: EvaluationSettings, seed: int
) -> EventScores:
    """Compute every metric of judged alarms, with intervals from a bootstrap over machines."""
    return score_event_summary(EventSummary.of(judged), rules, costs, settings, seed)


def score_event_summary(
    summary: EventSummary, rules: EventRules, costs: CostSettings, settings: EvaluationSettings, seed: int
) -> EventScores:
    """Compute every metric from the summary of judged alarms."""
    per_machine, leads = summary.per_machine, _Leads(summary.leads / rules.lead_unit.length, summary.caught_machine)
    machines = per_machine.shape[1]
    values = _metrics([np.ones(machines)], per_machine, leads, rules, costs)
    samples: Mapping[str, FloatArray] = {}
    if machines >= MIN_MACHINES:
        draws = bootstrap_draws(machines, settings.bootstrap_samples, seed)
        samples = _metrics(draws, per_machine, leads, rules, costs)
    totals = _Totals(*per_machine.sum(axis=1))
    counts = _counts(totals, leads.lengths, machines, rules)
    estimates = {
        name: _estimate(name, float(values[name][0]), counts[name], samples.get(name), totals, rules, settings)
        for name in EVENT_METRICS
    }
    return EventScores(
        machines=machines,
        failures=int(totals.failures),
        caught=int(totals.caught),
        alarms=int(totals.alarms),
        false_alarms=int(totals.false_alarms),
        lead_times=leads.lengths,
        estimates=estimates,
        notes=tuple(_notes(machines, int(totals.failures), estimates)),
    )


class _Totals(NamedTuple):
    """Sums over machines. Times are in the unit of the readings'."""

    failures: float
    caught: float
    alarms: float
    false_alarms: float
    observed: float
    under_alarm: float


class _Leads(NamedTuple):
    """(c,) lead times of the caught failures, in the unit of lead times, and their machines."""

    lengths: FloatArray
    machines: IndexArray


def _sums_per_machine(judged: JudgedAlarms) -> FloatArray:
    """(6, M) the fields of _Totals for each machine."""
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


def _metrics(
    draws: Iterable[FloatArray], per_machine: FloatArray, leads: _Leads, rules: EventRules, costs: CostSettings
) -> dict[str, FloatArray]:
    """Every metric, each (k,), for k draws of machines; each draw (M,) is how often each machine is drawn."""
    sums, medians = [], []
    for drawn in draws:
        sums.append(per_machine @ drawn)
        medians.append(_median(np.repeat(leads.lengths, drawn[leads.machines].astype(int))))
    return {**_ratios(np.stack(sums), rules, costs), "median_lead_time": np.array(medians)}


def _estimate(
    name: str,
    value: float,
    count: str,
    samples: FloatArray | None,
    totals: _Totals,
    rules: EventRules,
    settings: EvaluationSettings,
) -> EventEstimate:
    """A metric with its interval, if there is one.

    A bootstrap interval without width understates the uncertainty. A share and a rate have an exact interval then, other metrics
    none.
    """
    known = samples if samples is not None and _has_interval(name, totals) else np.empty(0)
    known, tail = known[~np.isnan(known)], 1 - settings.confidence
    if len(known) and np.ptp(known) > 0:
        low, high, lower, upper = np.quantile(known, [tail / 2, 1 - tail / 2, tail, 1 - tail])
    elif len(known) and name in ("failures_caught", "false_alarm_rate"):
        low, high = _exact_interval(name, totals, rules, settings.confidence)
        lower, upper = _exact_interval(name, totals, rules, 2 * settings.confidence - 1)
    else:
        low = high = lower = upper = np.nan
    return EventEstimate(
        value=value, low=float(low), high=float(high), lower_bound=float(lower), upper_bound=float(upper), count=count
    )


def _has_interval(name: str, totals: _Totals) -> bool:
    return name not in _FROM_FAILURES or totals.failures >= MIN_FAILURES


def _exact_interval(name: str, totals: _Totals, rules: EventRules, confidence: float) -> tuple[float, float]:
    if name == "failures_caught":
        return wilson_interval(int(totals.caught), int(totals.failures), confidence)
    exposure = totals.observed / rules.rate_unit.length
    return poisson_interval(int(totals.false_alarms), exposure, confidence)


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


def _counts(totals: _Totals, leads: FloatArray, machines: int, rules: EventRules) -> dict[str, str]:
    """What each metric was computed from, as text."""
    failures, caught, opened, false = map(int, totals[:4])
    observed, under_alarm = (time / rules.lead_unit.length for time in (totals.observed, totals.under_alarm))
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


def _notes(machines: int, failures: int, estimates: Mapping[str, EventEstimate]) -> Iterator[str]:
    if machines < MIN_MACHINES:
        yield f"no intervals, which need {MIN_MACHINES} machines: there {_is(machines)}"
    elif failures < MIN_FAILURES:
        yield f"no intervals of what depends on failures, which need {MIN_FAILURES} failures: there {_is(failures)}"
    elif any(math.isnan(estimate.low) and not math.isnan(estimate.value) for estimate in estimates.values()):
        yield "no interval of a number that is equal in every bootstrap sample"


def _is(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"
