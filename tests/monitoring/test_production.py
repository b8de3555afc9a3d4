"""What the store has of production is compared in windows: readings that it keeps, the log of predictions, and labels."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from predictive_maintenance.config.params import EvaluationSettings, MonitoringSettings
from predictive_maintenance.evaluation.intervals import Estimate
from predictive_maintenance.evaluation.metrics import score
from predictive_maintenance.monitoring.incidents import follow
from predictive_maintenance.monitoring.labels import known_failures
from predictive_maintenance.monitoring.performance import EvaluationMetrics
from predictive_maintenance.monitoring.production import Rules, WatchedVersion, recent_windows, silent_machines
from predictive_maintenance.monitoring.production_check import check_production
from predictive_maintenance.monitoring.rule import lasting
from predictive_maintenance.scorer.monitoring_reference import ALARM, MonitoringReference
from predictive_maintenance.scorer.version_files import MONITORING_FILE
from predictive_maintenance.store import store as store_module
from predictive_maintenance.store.predictions import LoggedBlock, Predictions
from predictive_maintenance.store.rows import Event, Feedback, InputCount, Reading, Score, Subject
from predictive_maintenance.store.store import Store

DAY = 86_400
NOW = 1_800_230_400.0
"""The midnight that begins a Monday."""
RULES = Rules(
    monitoring=MonitoringSettings(window_days=1, windows=3, least=2, failures_are_reported=True),
    evaluation=EvaluationSettings(bootstrap_samples=200, confidence=0.95, min_assessable_failures=10),
)


@pytest.fixture
def store(empty_store_url):
    store = Store.open(empty_store_url, timeout_seconds=5)
    yield store
    store.close()


def watched_version(small, model="a model"):
    return WatchedVersion(
        model=model,
        version="3",
        machine=small.params.machine,
        reference=MonitoringReference.model_validate_json(small.files[MONITORING_FILE]),
        at_evaluation=EvaluationMetrics(metrics={}, costs=small.params.costs),
    )


def log(store, small, days_ago, rows, **changed):
    """Log the prediction of held-out rows, some hours before the end of a day."""
    frame = small.rows.test.sample(rows, random_state=abs(days_ago)).assign(**changed)
    probabilities = small.scorer.probabilities(frame)
    logged = Predictions(
        scored=int((NOW - days_ago * DAY - 7_200) * 1e6),
        request_id="r",
        failure_probability=probabilities.tolist(),
        predicted_failure=small.scorer.decisions(probabilities).tolist(),
        inputs={name: frame[name].tolist() for name in small.params.machine.input_names},
    )
    with store.writing() as transaction:
        transaction.log("a model", 1, [LoggedBlock(number=abs(days_ago), version="3", block=logged.as_block())])


def test_predictions_without_a_kept_reading_come_from_the_log(store, small):
    for day in (2, 1, 0):
        log(store, small, day, 600, **({} if day == 2 else {"torque_nm": 65.0}))
    windows = list(recent_windows(store, watched_version(small), RULES, NOW))
    assert [(window.begins, window.ends, window.rows) for window in windows] == [
        (int(NOW) - (day + 1) * DAY, int(NOW) - day * DAY, 600) for day in (2, 1, 0)
    ]
    counting = [{(one.kind, one.column) for one in window.findings if one.exceeds_limit} for window in windows]
    assert counting[0] == set()
    assert ("distribution", "torque_nm") in counting[1] & counting[2]
    reasons = lasting([window.findings for window in windows], least=2, among=3)
    (torque,) = [reason for reason in reasons if reason.column == "torque_nm"]
    assert torque.now == pytest.approx(65.0)
    assert torque.before == pytest.approx(small.rows.train["torque_nm"].mean())


def test_a_drift_that_ends_closes_its_incident_after_calm_windows(store, small):
    """Two drifted days between calm ones, checked at the end of each: two of three windows open and close an incident."""
    watched, changes = watched_version(small), {}
    for days_ago in range(6, -1, -1):
        log(store, small, days_ago, 600, **({"torque_nm": 65.0} if days_ago in (4, 3) else {}))
        now = NOW - days_ago * DAY
        found = check_production(store, watched, RULES, now)
        for change in follow(store, watched, found.windows, found.reasons, RULES.monitoring, now):
            changes[days_ago] = (change.what, change.incident.closed_by)
    assert changes == {3: ("opened", None), 1: ("closed", "resolved")}


@pytest.mark.parametrize("named_by", ["reading_id", "time"])
def test_a_reading_that_is_scored_again_counts_once(store, small, named_by):
    """The retries are those of one machine alone: counted, they would be a drift, with a machine whose sensors are stuck."""
    frame = small.rows.test.head(300)
    names = [f"M{number}" for number in range(300)]
    keys = {"reading_id": names} if named_by == "reading_id" else {"machine_id": names, "time": [7] * 300}
    for number in range(41):
        part = slice(0, 300) if number == 0 else slice(0, 1)
        probabilities = small.scorer.probabilities(frame[part])
        logged = Predictions(
            scored=int((NOW - 7_200 + number) * 1e6),
            request_id=f"r{number}",
            row=1,
            failure_probability=probabilities.tolist(),
            predicted_failure=small.scorer.decisions(probabilities).tolist(),
            inputs={name: frame[name][part].tolist() for name in small.params.machine.input_names},
            **{name: values[part] for name, values in keys.items()},
        )
        with store.writing() as transaction:
            transaction.log("a model", 1, [LoggedBlock(number=number, version="3", block=logged.as_block())])
    *_, newest = recent_windows(store, watched_version(small), RULES, NOW)
    assert newest.rows == 300
    assert not [finding for finding in newest.findings if finding.kind == "constant values"]


def test_equal_readings_without_name_all_count(store, small):
    with store.writing() as transaction:
        again = Predictions(
            scored=int((NOW - 60) * 1e6), request_id="r", failure_probability=[0.5] * 9, predicted_failure=[True] * 9,
            inputs={name: small.rows.test[name].tolist()[:1] * 9 for name in small.params.machine.input_names},
        )  # fmt: skip
        transaction.log("a model", 1, [LoggedBlock(number=9, version="3", block=again.as_block())])
    assert [window.rows for window in recent_windows(store, watched_version(small), RULES, NOW)] == [0, 0, 9]


@pytest.mark.parametrize("days", [1, 7])
def test_a_check_between_the_ends_of_two_windows_changes_nothing(store, small, days):
    log(store, small, 0, 600, torque_nm=65.0)
    settings = RULES.monitoring.model_copy(update={"window_days": days})
    rules, watched = replace(RULES, monitoring=settings), watched_version(small)
    end = days * DAY
    first, later, *_ = checks = [
        list(recent_windows(store, watched, rules, NOW + seconds)) for seconds in (0, 3_600, end - 1, end)
    ]
    assert first == later == checks[2]
    assert first[-1].ends == NOW
    assert checks[3][:-1] == first[1:]
    assert (checks[3][-1].begins, checks[3][-1].rows) == (NOW, 0)


def test_a_window_of_seconds_ends_within_seconds(store, small):
    settings = RULES.monitoring.model_copy(update={"window_days": 20 / DAY})
    *_, newest = recent_windows(store, watched_version(small), replace(RULES, monitoring=settings), NOW + 27)
    assert (newest.begins - NOW, newest.ends - NOW) == (0, 20)


def test_predictions_of_another_version_or_model_are_left_out(store, small):
    log(store, small, 0, 600)
    found = watched_version(small)
    other = replace(found, version="2")
    for watched in (other, watched_version(small, model="another")):
        assert [window.findings for window in recent_windows(store, watched, RULES, NOW)] == [None] * 3


def keep(store, small, machines, days_ago, count, ahead=0):
    """Keep `count` readings of each machine, scored by version 3; every other one is an alarm.

    Their times are some days `ahead`.
    """
    arrived, inputs = int(NOW - days_ago * DAY), [*small.params.machine.input_names]
    rows = small.rows.test[inputs].sample(len(machines) * count, replace=True, random_state=abs(days_ago))
    sensors = [{name: value for name, value in row.items() if value == value} for row in rows.to_dict("records")]
    with store.writing() as transaction:
        locked = transaction.machines("a model", machines)
        transaction.add(
            [
                (
                    locked[machines[number % len(machines)]],
                    Reading(
                        time=(arrived + ahead * DAY) * 10**6 - number,
                        received=arrived - 60 * (number + 1),
                        sensors=values,
                        score=Score(0.5, alarm=number % 2 == 0, version="3"),
                    ),
                )
                for number, values in enumerate(sensors)
            ]
        )


def test_kept_readings_are_read_in_pages_with_their_scores(store, small_pump, monkeypatch):
    monkeypatch.setattr(store_module, "_READINGS_AT_A_TIME", 70)
    keep(store, small_pump, [f"P{number}" for number in range(30)], 0, 10)
    *_, newest = recent_windows(store, watched_version(small_pump), RULES, NOW)
    assert newest.rows == 300
    (rate,) = [finding for finding in newest.findings if finding.column == ALARM]
    assert rate.now == 0.5
    assert rate.exceeds_limit
    others = recent_windows(store, watched_version(small_pump, model="another"), RULES, NOW)
    assert [window.rows for window in others] == [0, 0, 0]


def test_a_burst_of_alarms_of_the_only_machine_is_not_certain(store, small_pump):
    """Its consecutive readings resemble each other: there are 20 clusters of 32, and alarms in five of them."""
    begins = int(NOW) - 640
    with store.writing() as transaction:
        machine = transaction.machines("a model", ["P1"])["P1"]
        transaction.add([
            (
                machine,
                Reading(
                    time=(begins + second) * 10**6, received=begins + second, sensors={"flow": 50.0},
                    score=Score(0.5, alarm=second < 160, version="3"),
                ),
            )
            for second in range(640)
        ])  # fmt: skip
    *_, newest = recent_windows(store, watched_version(small_pump), RULES, NOW)
    (rate,) = [finding for finding in newest.findings if finding.column == ALARM]
    assert rate.now == 0.25
    assert rate.low < rate.limit < rate.effect


def silent(store, small, days, model="a model", **settings):
    watched, settings = watched_version(small, model), MonitoringSettings(**settings)
    return [one.machine_id for one in silent_machines(store, watched, settings, NOW + days * DAY)]


def test_machines_that_have_fallen_silent_are_named(store, small_pump):
    keep(store, small_pump, ["P1", "P3"], 2, 4)
    keep(store, small_pump, ["P2"], 1, 1)
    keep(store, small_pump, ["P4"], 0, 1)
    assert silent(store, small_pump, 0) == ["P2", "P1", "P3"]  # the latest to fall silent is first
    assert silent(store, small_pump, 0, silent_hours=36) == ["P1", "P3"]
    assert silent(store, small_pump, 0, silent_hours=0.01) == ["P4", "P2", "P1", "P3"]


def test_a_fleet_may_have_more_machines_than_are_read_together(store, small_pump):
    names = [f"P{number:04}" for number in range(1_001)]
    keep(store, small_pump, names, 2, 1)
    assert silent(store, small_pump, 0) == names
    known = known_failures(store, "a model", small_pump.params.machine, are_reported=True)
    assert [*known.observed_until] == names


def test_a_silent_machine_is_named_until_it_no_longer_belongs_to_the_fleet(store, small_pump):
    keep(store, small_pump, ["P1"], 0, 1)
    assert [silent(store, small_pump, days) for days in (0.5, 1, 30, 89, 91)] == [[], ["P1"], ["P1"], ["P1"], []]
    assert silent(store, small_pump, 91, retired_days=120) == ["P1"]
    assert silent(store, small_pump, 30, model="another") == []


def test_a_machine_that_is_silent_only_after_it_has_left_the_fleet_is_an_error():
    with pytest.raises(ValueError, match="silent_hours is 48, and retired_days 2: no machine would be silent"):
        MonitoringSettings(silent_hours=48, retired_days=2)


def test_a_machine_whose_clock_went_back_is_not_silent(store, small_pump):
    keep(store, small_pump, ["P1", "P2"], 2, 3)
    with store.writing() as transaction:
        machine = transaction.machines("a model", ["P1"])["P1"]
        late = Reading(time=0, received=int(NOW) - DAY // 2, sensors={"flow": 1.0}, score=None)
        transaction.add([(machine, late)])
    assert silent(store, small_pump, 0) == ["P2"]


def test_the_time_of_a_window_is_its_own(store, small):
    log(store, small, 1, 400)
    assert [window.rows for window in recent_windows(store, watched_version(small), RULES, NOW)] == [0, 400, 0]


def test_predictions_of_a_clock_that_is_ahead_count_when_their_time_has_come(store, small):
    log(store, small, -2, 600)
    watched = watched_version(small)
    assert [window.findings for window in recent_windows(store, watched, RULES, NOW)] == [None] * 3
    assert [window.rows for window in recent_windows(store, watched, RULES, NOW + 2 * DAY)] == [0, 0, 600]


def test_readings_with_times_in_the_future_count_when_they_arrived(store, small_pump):
    keep(store, small_pump, ["P1", "P2"], 0, 150, ahead=3650)
    windows = list(recent_windows(store, watched_version(small_pump), RULES, NOW))
    assert [window.rows for window in windows] == [0, 0, 300]


def test_a_machine_of_a_clock_that_is_ahead_is_not_silent(store, small_pump):
    keep(store, small_pump, ["P1"], -30, 3)
    assert silent(store, small_pump, 0) == []


@pytest.mark.parametrize("years", [-50, 10])
def test_a_monitor_whose_clock_is_wrong_compares_nothing(store, small, years):
    log(store, small, 0, 600, torque_nm=65.0)
    windows = list(recent_windows(store, watched_version(small), RULES, NOW + years * 365 * DAY))
    assert [window.findings for window in windows] == [None] * 3


def log_with_ids(store, small, days_ago, rows, flipped=0.0):
    """Log predictions of held-out rows with ids, and feedback on each; a share of the outcomes is the opposite of the label."""
    frame = small.rows.test.sample(rows, replace=True, random_state=days_ago)
    probabilities = small.scorer.probabilities(frame)
    ids = [f"{days_ago}-{number}" for number in range(rows)]
    logged = Predictions(
        scored=int((NOW - days_ago * DAY - 7_200) * 1e6),
        request_id="r",
        failure_probability=probabilities.tolist(),
        predicted_failure=small.scorer.decisions(probabilities).tolist(),
        reading_id=ids,
        inputs={name: frame[name].tolist() for name in small.params.machine.input_names},
    )
    failed = frame[small.params.machine.label_name].to_numpy() == 1
    failed ^= np.random.default_rng(days_ago).random(rows) < flipped
    with store.writing() as transaction:
        transaction.log("a model", 1, [LoggedBlock(number=days_ago, version="3", block=logged.as_block())])
        for name, outcome in zip(ids, failed.tolist(), strict=True):
            found_out = Feedback(
                subject=Subject("reading", name), verdict="confirmed" if outcome else "false", mode=None, failed=None,
                comment="", author="A",
            )  # fmt: skip
            transaction.add_feedback("a model", found_out, int(NOW))


@pytest.mark.parametrize(("flipped", "expected"), [(0.0, set()), (0.1, {"recall", "f1", "pr_auc"})])
def test_concept_drift_is_a_finding_once_labels_arrive(store, small, flipped, expected):
    """The readings are like those of training; what they lead to has changed."""
    for day in range(5):
        log_with_ids(store, small, day, 600, flipped)
    test, costs = small.rows.test, small.params.costs
    probabilities = small.scorer.probabilities(test)
    held_out = score(
        test,
        small.params.machine.label_name,
        probabilities,
        small.scorer.decisions(probabilities),
        costs,
        RULES.evaluation,
        1,
    )
    watched = replace(watched_version(small), at_evaluation=EvaluationMetrics(metrics=held_out.estimates, costs=costs))
    windows = list(recent_windows(store, watched, RULES, NOW))
    reasons = lasting([window.findings for window in windows], least=2, among=3)
    assert {reason.column for reason in reasons if reason.kind == "performance"} >= expected
    assert {reason.kind for reason in reasons} <= {"performance"}
    assert bool(reasons) == bool(expected)
    newest = windows[-1].performance
    assert (newest.predictions, newest.labelled, newest.source) == (2_400, 2_400, "feedback")  # of four windows
    assert [window.performance.predictions for window in windows] == [1_800, 2_400, 2_400]


def test_nothing_is_compared_in_windows_without_predictions(store, small):
    """Those before have labels, and their performance belongs to the windows, too."""
    for day in range(2):
        log_with_ids(store, small, day, 600)
    at_evaluation = EvaluationMetrics(metrics={"recall": Estimate(0.9, 0.8, 1.0, 0.8)}, costs=small.params.costs)
    watched = replace(watched_version(small), at_evaluation=at_evaluation)
    windows = list(recent_windows(store, watched, RULES, NOW + 3 * DAY))
    assert windows[0].performance.labelled == 1_200
    assert [window.findings for window in windows] == [None] * 3


def test_labels_are_expected_after_the_horizon_and_some_days(store, small_pump):
    keep(store, small_pump, [f"P{number}" for number in range(30)], 3, 10)
    settings = RULES.monitoring.model_copy(update={"performance_windows": 1})
    rules = replace(RULES, monitoring=settings)
    watched = watched_version(small_pump)
    (reason,) = {
        metric.reason for window in recent_windows(store, watched, rules, NOW) for metric in window.performance.metrics
    }
    assert "send it to /feedback, or every failure to /events" in reason
    with store.writing() as transaction:
        machine = transaction.machines("a model", ["P1"])["P1"]
        transaction.add_events({machine: [Event("failures", int(NOW) * 10**6, "seal")]}, int(NOW))

    def predictions(label_days):
        delayed = replace(rules, monitoring=settings.model_copy(update={"label_days": label_days}))
        return [window.performance.predictions for window in recent_windows(store, watched, delayed, NOW)]

    assert predictions(0.0) == [300, 0, 0]  # scored 3 days ago; the horizon is a day, a window too
    assert predictions(1.0) == [0, 300, 0]
    assert predictions(2.0) == [0, 0, 300]


def test_a_repeated_prediction_of_a_reading_that_is_not_kept_counts_once(store, small_pump):
    scored = int((NOW - 3 * DAY - 7_200) * 1e6)
    keep(store, small_pump, ["P1"], 3, 10)
    with store.writing() as transaction:
        machine = transaction.machines("a model", ["P1"])["P1"]
        transaction.add_events({machine: [Event("failures", int(NOW) * 10**6, "seal")]}, int(NOW))
        for number in range(2):
            logged = Predictions(
                scored=scored + number, request_id=f"r{number}", failure_probability=[0.5], predicted_failure=[True],
                reading_id=["a"], machine_id=["P1"], time=[scored], inputs={"flow": [1.0]},
            )  # fmt: skip
            transaction.log("a model", 1, [LoggedBlock(number=number, version="3", block=logged.as_block())])
    rules = replace(RULES, monitoring=RULES.monitoring.model_copy(update={"performance_windows": 1}))
    first, *_ = recent_windows(store, watched_version(small_pump), rules, NOW)
    assert first.performance.predictions == 11


def test_a_kept_reading_that_is_sent_for_a_prediction_later_counts_once(store, small_pump):
    keep(store, small_pump, ["P1"], 1, 10)
    time = int(NOW - DAY) * 10**6
    kept = Predictions(
        scored=time - 7_200 * 10**6, request_id="r1", machine_id=["P1"], time=[time], failure_probability=[0.5],
        predicted_failure=[True],
    )  # fmt: skip
    again = replace_struct(kept, scored=kept.scored + 1, request_id="r2", inputs={"flow": [1.0]})
    with store.writing() as transaction:
        for number, logged in enumerate((kept, again)):
            transaction.log("a model", 1, [LoggedBlock(number=number, version="3", block=logged.as_block())])
    windows = list(recent_windows(store, watched_version(small_pump), RULES, NOW))
    assert [window.rows for window in windows] == [0, 10, 0]


def test_rejected_readings_are_a_finding_also_where_none_is_scored(store, small):
    counts = [
        InputCount(began=int(NOW) - 600 * number, accepted=0, rejected=5, fields={"torque_nm": 5})
        for number in range(1, 30)
    ]
    with store.writing() as transaction:
        transaction.save_inputs("a model", 1, counts)
    *_, newest = recent_windows(store, watched_version(small), RULES, NOW)
    assert [(one.kind, one.now, one.exceeds_limit) for one in newest.findings] == [("rejected readings", 1.0, True)]
    assert newest.inputs.fields == {"torque_nm": 145}
