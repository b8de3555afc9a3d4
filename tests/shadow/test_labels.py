"""Machines over time: failures within the horizon give the errors and costs of both versions, with intervals."""

import json

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
    """A function that compares the model with a candidate, by default itself, and returns what the outcomes say."""

    def compare(candidate=small_pump.files, **rules):
        versions = VersionsInMemory(versions={"1": small_pump.files, "2": candidate}, alias="1", candidate="2")
        check_until_done(Shadow(versions, MODEL, ShadowSettings(), LabelRules(**{"are_reported": True} | rules)), store)
        (found,) = comparisons.find(store, MODEL, most=1)
        assert found.state == "comparing", found.reason
        return found.labelled

    return compare


def report_failures(store, names):
    with store.writing() as transaction:
        locked = transaction.machines(MODEL, names)
        failure = Event("failures", (BEGINS + FAILED_AT * HOUR) * 10**6, "seal")
        transaction.add_events({locked[name]: [failure] for name in names}, NOW)


def with_alarms_only(files):
    """The files of a version that decides for an alarm at each reading."""
    spec, golden = json.loads(files["scorer.json"]), json.loads(files["golden.json"])
    changed = {
        "scorer.json": spec | {"threshold": 1e-12},
        "golden.json": golden | {"decisions": [True] * len(golden["decisions"])},
    }
    return files | {name: json.dumps(content).encode() for name, content in changed.items()}


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


def test_the_errors_are_those_of_each_version_and_their_difference_is_what_the_candidate_saves(
    store, plant, labelled, small_pump
):
    report_failures(store, FAILING)
    always = np.ones_like(plant)
    found, costs = labelled(with_alarms_only(small_pump.files)), small_pump.params.costs
    for errors, decisions in ((found.production, plant), (found.candidate, always)):
        _, _, missed, false_alarms = expected_errors(decisions)
        assert (errors.missed_failures, errors.false_alarms) == (missed, false_alarms)
        assert errors.costs == missed * costs.missed_failure + false_alarms * costs.false_alarm
        assert errors.low <= errors.costs <= errors.high
    saving = found.saving
    assert 0 < saving.low <= saving.value <= saving.high  # a missed failure costs as much as many false alarms
    assert saving.value == found.production.costs - found.candidate.costs


@pytest.mark.parametrize(("alarms", "later"), [([False, True], 1), ([True, False], HOURS * HOUR)])
def test_of_several_predictions_of_a_reading_the_latest_whose_label_is_due_counts(
    store, plant, labelled, alarms, later
):
    """The predictions are in one block of the log: the service writes those of some seconds together."""
    report_failures(store, FAILING)
    before, scored = labelled().production, BEGINS + 10 * HOUR
    assert not plant[0, 10]
    repeated = Predictions(
        scored=[(scored + 1) * 10**6, (scored + 1 + later) * 10**6], request_id=["a", "b"],
        failure_probability=[0.1, 0.9], predicted_failure=alarms, machine_id=[FAILING[0]] * 2,
        time=[scored * 10**6] * 2,
    )  # fmt: skip
    with store.writing() as transaction:
        transaction.log(MODEL, 1, [LoggedBlock(number=2, version="1", block=repeated.as_block())])
    assert labelled().production.false_alarms == before.false_alarms + 1


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
