"""Machines over time: failures within the horizon give the errors and costs of both versions, with intervals."""

import json
from contextlib import suppress

import numpy as np
import pytest

from predictive_maintenance.config.params import ShadowSettings
from predictive_maintenance.errors import ModelError, RegistryError
from predictive_maintenance.shadow import labels
from predictive_maintenance.shadow.agreement import Costs
from predictive_maintenance.shadow.comparing import Shadow
from predictive_maintenance.shadow.labels import LabelRules, _measured
from predictive_maintenance.shadow.past import KeptPredictions, columns_with_past
from predictive_maintenance.store import comparisons
from predictive_maintenance.store.known_past import known_past
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Alarm, Event, Feedback, Reading, Score, Subject

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


def report_failures(store, names, hour=FAILED_AT):
    with store.writing() as transaction:
        locked = transaction.machines(MODEL, names)
        failure = Event("failures", (BEGINS + hour * HOUR) * 10**6, "seal")
        transaction.add_events({locked[name]: [failure] for name in names}, NOW)


def with_alarms_only(files):
    """The files of a version that decides for an alarm at each reading."""
    spec, golden = json.loads(files["scorer.json"]), json.loads(files["golden.json"])
    changed = {
        "scorer.json": spec | {"threshold": 1e-12},
        "golden.json": golden | {"decisions": [True] * len(golden["decisions"])},
    }
    return files | {name: json.dumps(content).encode() for name, content in changed.items()}


def log_again(store, hour, alarms, later):
    """Log further predictions of one reading in one block, so many seconds after the reading."""
    time, count = BEGINS + hour * HOUR, len(alarms)
    again = Predictions(
        scored=[(time + seconds) * 10**6 for seconds in later], request_id=[f"again/{number}" for number in range(count)],
        failure_probability=[0.5] * count, predicted_failure=alarms, machine_id=FAILING[:1] * count,
        time=[time * 10**6] * count,
    )  # fmt: skip
    with store.writing() as transaction:
        transaction.log(MODEL, 1, [LoggedBlock(number=2, version="1", block=again.as_block())])


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


def test_readings_whose_horizon_has_not_ended_do_not_count_although_the_failure_is_known(store, plant, labelled):
    """Of machines that have not failed, such readings have no label: only failures would count."""
    report_failures(store, FAILING)
    report_failures(store, HEALTHY[:1], hour=HOURS - 10)
    assert labelled().failures == len(FAILING) * HORIZON + 10


@pytest.mark.parametrize(("alarms", "later"), [([False, True], 1), ([True, False], HOURS * HOUR)])
def test_of_several_predictions_of_a_reading_the_latest_whose_label_is_due_counts(
    store, plant, labelled, alarms, later
):
    """The predictions are in one block of the log: the service writes those of some seconds together."""
    report_failures(store, FAILING)
    before = labelled().production
    assert not plant[0, 10]
    log_again(store, hour=10, alarms=alarms, later=[1, 1 + later])
    assert labelled().production.false_alarms == before.false_alarms + 1


def test_the_latest_readings_are_enough_if_there_are_many(store, plant, labelled, monkeypatch):
    monkeypatch.setattr(labels, "MOST_LABELLED", 1)
    monkeypatch.setattr(comparisons, "_NAMES_AT_A_TIME", 1)
    report_failures(store, FAILING)
    log_again(store, hour=40, alarms=[True], later=[1])
    found = labelled()
    assert (found.readings, found.failures) == (1, 1)


def log_alarms(store, hours):
    """Log further predictions of the readings of all pumps at some hours, all alarms."""
    places = [(name, BEGINS + hour * HOUR) for name in FAILING + HEALTHY for hour in hours]
    logged = Predictions(
        scored=[(time + 1) * 10**6 for _, time in places], request_id=[f"alarm/{place}" for place in range(len(places))],
        failure_probability=[0.9] * len(places), predicted_failure=[True] * len(places),
        machine_id=[name for name, _ in places], time=[time * 10**6 for _, time in places],
    )  # fmt: skip
    with store.writing() as transaction:
        transaction.log(MODEL, 1, [LoggedBlock(number=2, version="1", block=logged.as_block())])


def report_alarms(store, verdicts):
    """Report what was found out about an alarm of each pump that was open for a day before FAILED_AT."""
    opened, closed = ((BEGINS + hour * HOUR) * 10**6 for hour in (FAILED_AT - HORIZON, FAILED_AT))
    for name, verdict in verdicts.items():
        report = Feedback(
            subject=Subject("alarm", name, opened), verdict=verdict, mode=None,
            failed=closed if verdict == "confirmed" else None, comment="", author="anna",
        )  # fmt: skip
        with store.writing() as transaction:
            (locked,) = transaction.machines(MODEL, [name]).values()
            transaction.save_alarm(locked, Alarm(opened=opened, probability=0.9, version="1", closed=closed))
            transaction.add_feedback(MODEL, report, NOW)


def test_feedback_on_alarms_gives_costs_where_failures_are_not_reported(store, plant, labelled):
    hours = range(FAILED_AT - 10, FAILED_AT)
    log_alarms(store, hours)
    report_alarms(store, dict.fromkeys(FAILING, "confirmed") | dict.fromkeys(HEALTHY, "false"))
    found, decisions = labelled(are_reported=False), plant.copy()
    decisions[:, hours] = True
    confirmed = decisions[: len(FAILING), FAILED_AT - HORIZON : FAILED_AT]
    assert found.source == "confirmed alarms"
    assert (found.failures, found.production.missed_failures) == (int(confirmed.sum()), 0)
    false = decisions[len(FAILING) :, FAILED_AT - HORIZON : FAILED_AT + 1]
    assert found.production.false_alarms == int(false.sum())
    assert found.candidate.missed_failures == int((~plant[: len(FAILING), hours]).sum()) > 0
    assert found.saving.high < 0


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


@pytest.mark.parametrize(("failing", "rules"), [(FAILING[:5], {}), (FAILING, {"min_failures": 144})])
def test_as_many_failures_and_machines_as_are_needed_are_enough(store, plant, labelled, failing, rules):
    report_failures(store, failing)
    found = labelled(**rules)
    assert (found.reason, found.saving.value) == ("", 0)


def test_failures_are_counted_again_an_hour_later_at_the_earliest(store, plant, small_pump):
    versions = VersionsInMemory(versions={"1": small_pump.files, "2": small_pump.files}, alias="1", candidate="2")
    shadow, found = Shadow(versions, MODEL, ShadowSettings(), LabelRules(are_reported=True)), []
    for later, failing in ((0, FAILING[:1]), (1, FAILING[1:2]), (HOUR - 1, []), (HOUR, [])):
        report_failures(store, failing)
        check_until_done(shadow, store, NOW + later)
        found.append(comparisons.find(store, MODEL, most=1)[0].labelled.failures)
    assert found == [HORIZON, HORIZON, HORIZON, 2 * HORIZON]


@pytest.mark.parametrize("error", [ModelError("its files were changed"), RegistryError("no answer")])
def test_a_promotion_that_fails_is_tried_again_later_and_later_and_failures_are_counted_for_each_attempt_only(
    store, plant, small_pump, monkeypatch, error
):
    versions = VersionsInMemory(versions={"1": small_pump.files, "2": small_pump.files}, alias="1", candidate="2")
    shadow, attempts, counted, reasons = Shadow(versions, MODEL, ShadowSettings()), [], [], set()

    def promote(*_, **__):
        attempts.append(now)
        raise error

    for name, value in {
        "waits_for": lambda *_: None, "promotion_reason": lambda _: "",
        "labelled_errors": lambda *_: counted.append(now), "_FAILURE_SECONDS": 10**6,
    }.items():  # fmt: skip
        monkeypatch.setattr(f"predictive_maintenance.shadow.comparing.{name}", value)
    monkeypatch.setattr(VersionsInMemory, "promote", promote, raising=False)
    for now in range(NOW, NOW + 12_000, 30):
        with suppress(RegistryError):
            reasons.add(check_until_done(shadow, store, now).comparison.promotion)
    assert np.diff(attempts).tolist() == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    assert (counted, reasons) == (attempts, {str(error)})


def test_the_interval_is_one_of_the_costs_for_all_readings_although_machines_have_different_numbers():
    """Each reading costs the same here, so that drawing other machines changes nothing."""
    machines = np.repeat(np.array([f"P{number}" for number in range(6)], dtype=object), range(10, 70, 10))
    failed = np.ones(len(machines), dtype=bool)
    found = _measured(
        "failures", failed, ~failed, failed, machines, Costs(missed_failure=5.0, false_alarm=1.0), reason=""
    )
    errors = found.production
    assert (errors.costs, errors.low, errors.high) == pytest.approx((210 * 5.0,) * 3)
    assert found.candidate.high == 0
