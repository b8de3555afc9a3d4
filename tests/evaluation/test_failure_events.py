"""Metrics by failure event, of machines that can be counted by hand."""

import math

import numpy as np
import pytest

from predictive_maintenance.config.event_rules import EventRules, EventUnit, event_rules
from predictive_maintenance.evaluation.failure_events import (
    EventSummary,
    judge_alarms,
    score_event_summary,
    score_events,
)
from predictive_maintenance.history.lives import Failures, lives
from predictive_maintenance.history.observed import ObservedMachines
from predictive_maintenance.machine.alarm import AlarmPolicy
from predictive_maintenance.machine.spans import Span

CYCLES = EventUnit(label="cycle", name="units", length=1.0)
PER_1000 = EventUnit(label="1,000 cycle", name="1000_units", length=1000.0)
RULES = EventRules(
    policy=AlarmPolicy(),
    horizon=Span("10 cycle", "10cycle", length=10.0),
    min_lead=Span("0", "0"),
    lead_unit=CYCLES,
    rate_unit=PER_1000,
    cost_unit=PER_1000,
)


def observed(machines):
    """(the machines, decisions) of (length, positive intervals, failures) of each, with readings at 0 to `length` - 1."""
    times = np.concatenate([np.arange(float(length)) for length, _, _ in machines])
    bounds = np.append(0, np.cumsum([length for length, _, _ in machines]))
    failures = Failures(
        np.array([time for _, _, own in machines for time in own], dtype=float),
        np.append(0, np.cumsum([len(own) for _, _, own in machines])),
        times[bounds[1:] - 1],
    )
    decisions = np.zeros(len(times), dtype=bool)
    for begin, (_, intervals, _) in zip(bounds[:-1], machines, strict=True):
        for first, last in intervals:
            decisions[begin + first : begin + last + 1] = True
    names = np.array([f"M{number}" for number in range(len(machines))], dtype=object)
    found = ObservedMachines(
        names=names,
        positions=np.arange(len(times)),
        times=times,
        bounds=bounds,
        failures=failures,
        lives=lives(times, bounds, failures),
    )
    return found, decisions


@pytest.fixture
def scored(params):
    """A function that scores machines with costs of 1000 for a missed failure and 100 for a false alarm."""
    settings = params.evaluation.model_copy(update={"bootstrap_samples": 200})
    costs = params.costs.model_copy(update={"missed_failure": 1000.0, "false_alarm": 100.0})

    def score(machines, rules=RULES):
        return score_events(judge_alarms(*observed(machines), rules), rules, costs, settings, seed=7)

    return score


FLEET = [
    (101, [(94, 100)], [100]),  # caught, 6 ahead
    (101, [(20, 21), (92, 100)], [100]),  # caught, 8 ahead, after a false alarm
    (101, [], [100]),  # missed
    (201, [(50, 64)], []),  # no failure; an alarm that counts twice
]


def test_each_metric_is_that_of_the_counts(scored):
    scores = scored(FLEET)
    assert (scores.machines, scores.failures, scores.caught, scores.alarms, scores.false_alarms) == (4, 3, 2, 4, 3)
    assert sorted(scores.lead_times) == [6, 8]
    values = {name: estimate.value for name, estimate in scores.estimates.items()}
    assert values == pytest.approx(
        {
            "failures_caught": 2 / 3,
            "median_lead_time": 7,
            "false_alarm_rate": 3 / 500 * 1000,
            "alarms_per_failure": 4 / 3,
            "time_under_alarm": (6 + 2 + 8 + 15) / 500,
            "cost_rate": (1000 + 3 * 100) / 500 * 1000,
        }
    )
    assert {name: estimate.count for name, estimate in scores.estimates.items()} == {
        "failures_caught": "2 of 3 failures",
        "median_lead_time": "quartiles 6.5 to 7.5 cycle",
        "false_alarm_rate": "3 false alarms in 500 cycle of 4 machines",
        "alarms_per_failure": "4 alarms, 3 failures",
        "time_under_alarm": "31 of 500 cycle",
        "cost_rate": "1 missed failure, 3 false alarms",
    }
    assert scores.notes == ()


def test_intervals_contain_their_values_and_bounds(scored):
    for estimate in scored(FLEET).estimates.values():
        assert estimate.low <= estimate.lower_bound <= estimate.value <= estimate.upper_bound <= estimate.high
        assert estimate.low < estimate.high


def test_intervals_are_of_machines_and_not_of_failures(scored):
    """One machine has all the missed failures: that is less certain than as many missed failures of many machines."""
    failures = list(range(20, 200, 20))
    alarms = [(time - 5, time) for time in failures]
    one = scored([(201, [], failures), *[(201, alarms, failures)] * 9])
    missed = [(201, [alarm for place, alarm in enumerate(alarms) if place != number], failures) for number in range(9)]
    many = scored([(201, alarms, failures), *missed])
    assert one["failures_caught"].value == many["failures_caught"].value == 0.9
    assert one["failures_caught"].low < many["failures_caught"].low - 0.05


def test_the_same_seed_gives_the_same_intervals(scored):
    assert scored(FLEET).estimates == scored(FLEET).estimates


def test_a_share_of_one_has_a_wilson_interval(scored):
    """Source: 6 of 6 and z = 1.96 give 6 / (6 + 1.96 ** 2)."""
    caught = scored([(101, [(94, 100)], [100])] * 6)["failures_caught"]
    assert (caught.value, caught.high) == (1, pytest.approx(1))
    assert caught.low == pytest.approx(6 / (6 + 1.96**2), abs=1e-4)


def test_a_rate_without_a_false_alarm_has_an_exact_interval(scored):
    """The rule of three: no event in an exposure of 0.6 gives an upper bound of about 3 / 0.6 at 95 %."""
    rate = scored([(101, [(94, 100)], [100])] * 6)["false_alarm_rate"]
    assert (rate.value, rate.low) == (0, 0)
    assert rate.upper_bound == pytest.approx(-math.log(0.05) / 0.6)
    assert rate.high == pytest.approx(-math.log(0.025) / 0.6)


def test_a_rate_that_is_equal_in_every_sample_has_an_exact_interval(scored):
    """Source: the exact interval of 3 events is 0.6187 to 8.7673 (Garwood, 1936)."""
    rate = scored([(101, [(20, 21)], [])] * 3)["false_alarm_rate"]
    assert rate.value == pytest.approx(10)
    assert (rate.low, rate.high) == pytest.approx((0.6187 / 0.3, 8.7673 / 0.3), rel=1e-4)


def test_another_number_that_is_equal_in_every_sample_has_no_interval(scored):
    scores = scored([(101, [(94, 100)], [100])] * 6)
    assert math.isnan(scores["cost_rate"].high)
    assert math.isnan(scores["alarms_per_failure"].upper_bound)
    assert scores.notes == ("no interval of a number that is equal in every bootstrap sample",)


def test_one_machine_has_values_without_intervals_and_a_note(scored):
    scores = scored(FLEET[1:2])
    assert scores["failures_caught"].value == 1
    assert all(math.isnan(estimate.low) for estimate in scores.estimates.values())
    assert scores.notes == ("no intervals, which need 2 machines: there is 1",)


def test_one_failure_has_no_interval_of_what_depends_on_failures(scored):
    scores = scored([FLEET[0], FLEET[3], FLEET[3]])
    without = {name for name, estimate in scores.estimates.items() if math.isnan(estimate.low)}
    assert without == {"failures_caught", "median_lead_time", "alarms_per_failure", "cost_rate"}
    assert scores.notes == ("no intervals of what depends on failures, which need 2 failures: there is 1",)


def test_machines_without_failure_have_false_alarms_and_costs(scored):
    scores = scored([FLEET[3]] * 3)
    assert scores.failures == 0
    assert math.isnan(scores["failures_caught"].value)
    assert scores["median_lead_time"].count == "no caught failure"
    assert scores["false_alarm_rate"].value == pytest.approx(6 / 600 * 1000)
    assert scores["cost_rate"].value == pytest.approx(600 / 600 * 1000)


def test_a_machine_with_one_reading_has_no_time(scored):
    scores = scored([(1, [(0, 0)], [])])
    assert math.isnan(scores["false_alarm_rate"].value)
    assert math.isnan(scores["time_under_alarm"].value)


def test_decisions_are_in_the_order_of_the_table():
    machines, decisions = observed([(4, [(1, 1)], []), (3, [(2, 2)], [])])
    shuffled = np.array([4, 6, 0, 2, 5, 1, 3])
    positions = np.argsort(shuffled)
    moved = ObservedMachines(**{**vars(machines), "positions": positions})
    np.testing.assert_array_equal(
        judge_alarms(moved, decisions[shuffled], RULES).alarms.opened,
        judge_alarms(machines, decisions, RULES).alarms.opened,
    )


def test_rates_of_timestamps_are_per_machine_month_and_costs_per_machine_year(engine_params):
    rules = event_rules(engine_params)
    assert (rules.lead_unit.label, rules.rate_unit.label, rules.cost_unit.label) == (
        "h", "machine-month", "machine-year",
    )  # fmt: skip
    assert rules.cost_unit.length == 12 * rules.rate_unit.length == 365.25 * 24 * 3.6e9
    assert (rules.horizon.length, rules.min_lead.length) == (24 * 3.6e9, 0)


def test_the_milling_machine_has_no_failure_events(params):
    assert event_rules(params) is None


def test_scores_of_merged_summaries_are_those_of_all_machines(params):
    random = np.random.default_rng(8)
    machines = [
        (length, [(begin, begin + 4) for begin in range(5, length - 6, 11)], [length - 1.0] if number % 2 else [])
        for number, length in enumerate(random.integers(20, 90, 30))
    ]

    def scores(*parts):
        summary = EventSummary.merged(EventSummary.of(judge_alarms(*observed(part), RULES)) for part in parts)
        return score_event_summary(summary, RULES, params.costs, params.evaluation, seed=7)

    whole = score_events(judge_alarms(*observed(machines), RULES), RULES, params.costs, params.evaluation, seed=7)
    merged = scores(machines[:1], machines[1:12], machines[12:])
    assert whole.caught > 5
    assert (merged.machines, merged.failures, merged.alarms, merged.notes) == (30, 15, whole.alarms, whole.notes)
    assert {name: repr(one) for name, one in merged.estimates.items()} == {
        name: repr(one) for name, one in whole.estimates.items()
    }
