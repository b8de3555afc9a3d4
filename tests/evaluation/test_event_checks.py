"""The gate's checks on failures caught and on false alarms."""

from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.evaluation.event_checks import event_checks
from predictive_maintenance.evaluation.event_evaluation import EventEvaluation
from predictive_maintenance.evaluation.failure_events import EVENT_METRICS, EventEstimate, EventScores
from predictive_maintenance.evaluation.verdict import CheckName

from .test_failure_events import RULES


def scores(caught=0.8, rate=2.0, failures=20):
    """Scores with bounds 0.1 beside the share caught and 1.0 beside the rate of false alarms."""
    nothing = EventEstimate(value=np.nan, low=np.nan, high=np.nan, lower_bound=np.nan, upper_bound=np.nan, count="")

    def around(value, margin, count):
        low, high = value - margin, value + margin
        return EventEstimate(value=value, low=low, high=high, lower_bound=low, upper_bound=high, count=count)

    return EventScores(
        machines=9,
        failures=failures,
        caught=int(caught * failures),
        alarms=30,
        false_alarms=4,
        lead_times=np.empty(0),
        notes=(),
        estimates=dict.fromkeys(EVENT_METRICS, nothing)
        | {
            "failures_caught": around(caught, 0.1, f"{int(caught * failures)} of {failures} failures"),
            "false_alarm_rate": around(rate, 1.0, "4 false alarms in 2,000 cycle of 9 machines"),
        },
    )


def events(held_out=None, out_of_fold=None):
    return EventEvaluation(
        rules=RULES, held_out=held_out or scores(), out_of_fold=out_of_fold or scores(), naive=(), timelines=()
    )


def checks(params, held_out=None, out_of_fold=None, min_failures=10, **gate):
    settings = params.gate.model_copy(update=gate)
    return {
        check.name: check
        for level in ("candidate", "production")
        for check in event_checks(level, events(held_out, out_of_fold), settings, min_failures)
    }


def test_by_default_half_of_the_failures_must_be_caught_and_false_alarms_are_not_limited(params):
    assert params.gate.max_false_alarm_rate is None
    found = checks(params)
    assert {name: (check.level, check.required, check.passed) for name, check in found.items()} == {
        CheckName.HELD_OUT_CAUGHT: ("candidate", ">= 0.5", True),
        CheckName.CAUGHT_LOWER_BOUND: ("production", ">= 0.5", True),
    }


def test_a_candidate_must_catch_the_share_on_held_out_machines(params):
    at_minimum = checks(params, held_out=scores(caught=0.5))
    below = checks(params, held_out=scores(caught=0.45))
    assert at_minimum[CheckName.HELD_OUT_CAUGHT].passed
    assert not below[CheckName.HELD_OUT_CAUGHT].passed
    assert below[CheckName.CAUGHT_LOWER_BOUND].passed
    assert below[CheckName.HELD_OUT_CAUGHT].why == (
        "0.450 is not at least 0.5: 9 of 20 failures of held-out machines were caught"
    )


def test_production_needs_the_lower_bound_on_out_of_fold_rows(params):
    found = checks(params, out_of_fold=scores(caught=0.55))
    assert found[CheckName.HELD_OUT_CAUGHT].passed
    assert not found[CheckName.CAUGHT_LOWER_BOUND].passed
    assert found[CheckName.CAUGHT_LOWER_BOUND].why.startswith("the lower bound 0.450 is not at least 0.5: 11 of 20")


def test_false_alarms_are_limited_by_value_for_a_candidate_and_by_upper_bound_for_production(params):
    found = checks(params, max_false_alarm_rate=2.5)
    value, bound = found[CheckName.HELD_OUT_FALSE_ALARMS], found[CheckName.FALSE_ALARMS_UPPER_BOUND]
    assert (value.measured, value.required, value.passed) == ("2.000", "<= 2.5 per 1,000 cycle", True)
    assert (bound.measured, bound.passed) == ("3.000", False)
    assert bound.why == (
        "the upper bound 3.000 per 1,000 cycle is not at most 2.5: 4 false alarms in 2,000 cycle of 9 machines"
    )
    assert not checks(params, max_false_alarm_rate=0.0)[CheckName.HELD_OUT_FALSE_ALARMS].passed


def test_the_share_of_too_few_failures_is_not_assessed(params):
    found = checks(params, held_out=scores(caught=0.0, failures=9), max_false_alarm_rate=1.0)
    assert found[CheckName.HELD_OUT_CAUGHT].passed
    assert found[CheckName.HELD_OUT_CAUGHT].why == "not assessed: 9 failures of held-out machines, and 10 are needed"
    assert not found[CheckName.HELD_OUT_FALSE_ALARMS].passed


def test_a_minimum_of_0_switches_the_check_off(params):
    assert checks(params, held_out=scores(caught=0.0), min_failures_caught=0.0) == {}


@pytest.mark.parametrize("name", [CheckName.CAUGHT_LOWER_BOUND, CheckName.FALSE_ALARMS_UPPER_BOUND])
def test_a_bound_that_there_is_not_passes_no_check(params, name):
    known = scores()
    unknown = {
        metric: replace(estimate, lower_bound=np.nan, upper_bound=np.nan)
        for metric, estimate in known.estimates.items()
    }
    found = checks(params, out_of_fold=replace(known, estimates=unknown), max_false_alarm_rate=100.0)
    assert (found[name].measured, found[name].passed) == ("unknown", False)


def test_a_machine_whose_label_has_no_horizon_has_no_such_check(params):
    gate = params.gate.model_copy(update={"max_false_alarm_rate": 1.0})
    assert list(event_checks("candidate", None, gate, 10)) == []
