"""Machines over time: failures within the horizon give the errors and costs of both versions, with intervals."""

import numpy as np
import pytest

from predictive_maintenance.config.params import ShadowSettings
from predictive_maintenance.shadow.comparing import Shadow
from predictive_maintenance.shadow.labels import LabelRules
from predictive_maintenance.shadow.past import KeptPredictions, columns_with_past
from predictive_maintenance.store import comparisons
from predictive_maintenance.store.known_past import known_past
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Event, Reading, Score

from .conftest import MODEL, NOW, VersionsInMemory, check_until_done

HOUR = 3_600
HOURS, FAILED_AT, HORIZON, IGNORED = 120, 60, 24, 3
BEGINS = NOW - HOURS * HOUR
FAILING = [f"P{number}" for number in range(6)]
HEALTHY = ["P6", "P7"]


@pytest.fixture
def plant(store, small_pump):
    """Hourly readings of pumps in the store and in the log, with the decisions of the model; returns these by pump."""
    inputs = list(small_pump.params.machine.input_names)
    sample = small_pump.rows.test[inputs].head(HOURS).to_dict("records")
    sensors = [{name: value for name, value in row.items() if value == value} for row in sample]
    names = [name for name in FAILING + HEALTHY for _ in range(HOURS)]
    times = [BEGINS + hour * HOUR for _ in FAILING + HEALTHY for hour in range(HOURS)]
    with store.writing() as transaction:
        locked = transaction.machines(MODEL, FAILING + HEALTHY)
        transaction.add([
            (
                locked[name],
                Reading(
                    time=time * 10**6, received=time, sensors=sensors[place % HOURS],
                    score=Score(0.5, alarm=False, version="1"),
                ),
            )
            for place, (name, time) in enumerate(zip(names, times, strict=True))
        ])  # fmt: skip
    scored = KeptPredictions(machine_ids=names, keys=[time * 10**6 for time in times], known=times)
    machine = small_pump.params.machine
    with known_past(store, MODEL) as past:
        positions, columns = columns_with_past(past, machine, machine, scored)
    probabilities = np.empty(len(names))
    probabilities[positions] = small_pump.scorer.probabilities(columns)
    decisions = small_pump.scorer.decisions(probabilities)
    for again in range(2):
        logged = Predictions(
            scored=[time * 10**6 for time in times], request_id=[f"{again}/{place}" for place in range(len(names))],
            failure_probability=probabilities.tolist(), predicted_failure=decisions.tolist(), machine_id=names,
            time=[time * 10**6 for time in times],
        )  # fmt: skip
        with store.writing() as transaction:
            transaction.log(MODEL, 1, [LoggedBlock(number=again, version="1", block=logged.as_block())])
    return decisions.reshape(len(FAILING + HEALTHY), HOURS)


@pytest.fixture
def labelled(store, small_pump):
    """A function that compares the model with itself, and returns what the outcomes say."""

    def compare(**rules):
        versions = VersionsInMemory(versions={"1": small_pump.files, "2": small_pump.files}, alias="1", candidate="2")
        check_until_done(Shadow(versions, MODEL, ShadowSettings(), LabelRules(**{"are_reported": True} | rules)), store)
        return comparisons.find(store, MODEL, most=1)[0].labelled

    return compare


def report_failures(store, names):
    with store.writing() as transaction:
        locked = transaction.machines(MODEL, names)
        failure = Event("failures", (BEGINS + FAILED_AT * HOUR) * 10**6, "seal")
        transaction.add_events({locked[name]: [failure] for name in names}, NOW)


def expected_errors(decisions):
    """(readings, failures, missed, false alarms), counted in the plainest way."""
    counts = np.zeros(4, dtype=int)
    for pump in range(len(FAILING + HEALTHY)):
        for hour in range(HOURS):
            is_due = hour + HORIZON < HOURS
            is_ignored = pump < len(FAILING) and FAILED_AT <= hour < FAILED_AT + IGNORED
            if not is_due or is_ignored:
                continue
            fails = pump < len(FAILING) and FAILED_AT - HORIZON <= hour < FAILED_AT
            alarm = bool(decisions[pump, hour])
            counts += [1, fails, fails and not alarm, alarm and not fails]
    return counts.tolist()


def test_failures_give_the_errors_and_costs_of_both_versions_with_intervals(store, plant, labelled):
    report_failures(store, FAILING)
    found = labelled()
    readings, failures, missed, false_alarms = expected_errors(plant)
    assert (found.source, found.readings, found.failures, found.reason) == ("failures", readings, failures, "")
    assert found.production == found.candidate
    assert found.production.missed_failures == missed
    assert found.production.low <= found.production.costs <= found.production.high
    assert (found.saving.value, found.saving.low, found.saving.high) == (0, 0, 0)
    assert found.production.false_alarms == false_alarms


@pytest.mark.parametrize(
    ("failing", "rules", "reason"),
    [
        ([], {}, "missed failures are unknown"),
        (FAILING[:3], {}, "the failures are of 3 machines: at least 5 are needed for an interval"),
        (FAILING, {"min_failures": 1_000}, "144 readings are before a failure: at least 1000 are needed"),
        (FAILING, {"label_days": 90.0}, "no reading of a machine is old enough"),
    ],
)
def test_costs_that_cannot_be_judged_have_a_reason(store, plant, labelled, failing, rules, reason):
    if failing:
        report_failures(store, failing)
    found = labelled(**rules)
    assert found.reason.startswith(reason)
    assert (found.saving, found.production.low) == (None, None)
