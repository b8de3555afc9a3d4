"""The candidate scores what production has scored: each prediction once, whatever restarts, is late, or runs beside it."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from predictive_maintenance.errors import DataError, ModelError, RegistryError, StoreError
from predictive_maintenance.shadow import pair
from predictive_maintenance.shadow.pair import score_block
from predictive_maintenance.shadow.summary import summarise
from predictive_maintenance.store import comparisons
from predictive_maintenance.store.rows import DecisionCounts, Feedback, Subject
from predictive_maintenance.store.store import Store
from predictive_maintenance.tracking.entities import ModelVersion
from tests.fixtures.versions import with_machine

from .conftest import MODEL, NOW, check_until_done, expected_counts, log

DAY = 86_400


def summary(store):
    """The current comparison, or the newest."""
    return summarise(store, comparisons.find(store, MODEL, most=1)[0], most_machines=100)


def test_agreement_differences_and_costs_are_counted(store, make_shadow, rows, small, small_forest):
    names = [f"M{number % 30}" for number in range(len(rows))]
    log(store, small, rows.head(400), machines=names[:400])
    log(store, small, rows.tail(200), number=1, machines=names[400:], scored=NOW + DAY)
    check = check_until_done(make_shadow(), store)
    found, expected = summary(store), expected_counts(small, small_forest, rows)
    assert check.counted == 600
    assert vars(found.counts) == pytest.approx(expected)
    assert found.counts.different > 0
    assert [found.days[day].predictions for day in sorted(found.days)] == [400, 200]
    assert found.agreement.low < found.agreement.value < found.agreement.high < 1
    assert found.agreement.value == found.counts.same / 600
    assert len(found.machines) == 30
    name, most_different = found.machines[0]
    assert most_different.different == max(counts.different for _, counts in found.machines) > 0
    own = [position for position, machine in enumerate(names) if machine == name]
    assert vars(most_different) == pytest.approx(expected_counts(small, small_forest, rows.iloc[own]))
    assert (found.comparison.state, found.comparison.currency) == ("comparing", "EUR")


def test_the_same_model_as_candidate_agrees_everywhere(store, make_shadow, versions, rows, small):
    versions.versions["2"] = small.files
    log(store, small, rows)
    check_until_done(make_shadow(), store)
    found = summary(store)
    assert (found.counts.difference, found.counts.different, found.agreement.value) == (0, 0, 1)
    assert 0.99 < found.agreement.low < 1


def test_after_a_restart_only_what_is_new_counts(store, make_shadow, rows, small):
    log(store, small, rows)
    check_until_done(make_shadow(), store)
    assert check_until_done(make_shadow(), store).counted == 0
    log(store, small, rows.head(50), number=1)
    assert check_until_done(make_shadow(), store).counted == 50
    assert summary(store).counts.predictions == 650


def test_several_processes_count_each_prediction_once(empty_store_url, store, make_shadow, rows, small):
    blocks = 60
    for number in range(blocks):
        log(store, small, rows.iloc[number * 10 : number * 10 + 10], number=number, writer=number % 3)

    def follow(shadow):
        with closing(Store.open(empty_store_url, timeout_seconds=30)) as own:
            counted = 0
            for _ in range(20):
                counted += shadow.check(own, NOW).counted
            return counted

    with ThreadPoolExecutor(3) as pool:
        counted = list(pool.map(follow, [make_shadow() for _ in range(3)]))
    assert sum(counted) == summary(store).counts.predictions == blocks * 10


def names(kind, numbers):
    """What names readings: their ids, or their machines and times."""
    if kind == "ids":
        return {"ids": [f"reading {number}" for number in numbers]}
    return {"machines": [f"M{number % 7}" for number in numbers], "times": [number // 7 for number in numbers]}


@pytest.mark.parametrize("kind", ["ids", "times"])
def test_a_reading_that_is_scored_again_counts_once(store, make_shadow, rows, small, small_forest, kind):
    shadow = make_shadow()
    log(store, small, rows, **names(kind, range(600)))
    log(store, small, rows.head(300), number=1, **names(kind, range(300)))
    log(store, small, rows.head(100), writer=2, **names(kind, range(100)))
    assert check_until_done(shadow, store).counted == 600
    log(store, small, rows.head(50), number=2, **names(kind, range(550, 600)))
    assert check_until_done(shadow, store).counted == 0
    found = summary(store)
    assert vars(found.counts) == pytest.approx(expected_counts(small, small_forest, rows))
    assert found.comparison.left_out == {"scored again: each reading counts once": 450}


def test_a_reading_that_is_scored_again_after_a_restart_or_beside_another_shadow_counts_once(
    store, make_shadow, rows, small
):
    first, second = make_shadow(), make_shadow()
    log(store, small, rows.head(200), **names("ids", range(200)))
    check_until_done(first, store)
    log(store, small, rows.head(300), number=1, **names("ids", range(300)))
    assert check_until_done(second, store).counted == 100
    log(store, small, rows.head(400), writer=2, **names("ids", range(400)))
    assert check_until_done(first, store).counted == 100
    log(store, small, rows.head(500), number=2, **names("ids", range(500)))
    assert check_until_done(make_shadow(), store).counted == 100


def test_readings_without_a_name_all_count(store, make_shadow, rows, small):
    log(store, small, rows.head(2), ids=["a", None])
    log(store, small, rows.head(3), number=1, ids=["a", None, None])
    assert check_until_done(make_shadow(), store).counted == 4


def test_readings_of_a_page_that_the_store_did_not_take_count_the_next_time(
    store, make_shadow, rows, small, monkeypatch
):
    shadow, add = make_shadow(), comparisons.add
    log(store, small, rows, **names("ids", range(600)))

    def refuse(*_, **__):
        raise StoreError("no space")

    monkeypatch.setattr(comparisons, "add", refuse)
    with pytest.raises(StoreError):
        shadow.check(store, NOW)
    monkeypatch.setattr(comparisons, "add", add)
    assert check_until_done(shadow, store).counted == 600


def test_what_another_process_counts_meanwhile_does_not_count_again(store, make_shadow, rows, small, monkeypatch):
    first, second, faster = make_shadow(), make_shadow(), []

    def score(*arguments):
        if faster:
            faster.pop().check(store, NOW)
        return score_block(*arguments)

    second.check(store, NOW)
    monkeypatch.setattr("predictive_maintenance.shadow.comparing.score_block", score)
    for number in range(2):
        log(store, small, rows, number=number)
        faster.append(second)
        assert first.check(store, NOW).counted == 0
        assert summary(store).counts.predictions == 600 * (number + 1)


def test_what_the_service_could_not_write_for_hours_counts_when_it_arrives(store, make_shadow, rows, small):
    shadow = make_shadow()
    log(store, small, rows, writer=1)
    check_until_done(shadow, store)
    log(store, small, rows, writer=2, scored=NOW - 5 * 3_600)
    log(store, small, rows, writer=1, number=1, scored=NOW - 3 * 3_600)
    assert check_until_done(shadow, store).counted == 1_200


def test_predictions_of_another_version_and_of_before_the_candidate_do_not_count(store, make_shadow, rows, small):
    registered = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    log(store, small, rows, writer=1, scored=registered - 60)
    log(store, small, rows, writer=2, number=0, scored=registered - 60)
    log(store, small, rows.head(10), writer=2, number=1, scored=registered + 60)
    log(store, small, rows, writer=2, number=2, version="7")
    assert check_until_done(make_shadow(), store).counted == 10


def test_without_a_candidate_the_comparison_ends_and_goes_on_when_it_returns(store, make_shadow, versions, rows, small):
    shadow = make_shadow()
    log(store, small, rows)
    check_until_done(shadow, store)
    versions.candidate = None
    assert check_until_done(shadow, store).comparison is None
    ended = summary(store).comparison
    assert (ended.state, ended.reason) == ("ended", "there is no candidate")
    versions.candidate = "1"
    assert check_until_done(shadow, store).reason == "version 1 is in production"
    versions.candidate = "2"
    log(store, small, rows.head(5), number=1)
    check_until_done(shadow, store)
    assert (summary(store).comparison.state, summary(store).counts.predictions) == ("comparing", 605)


def test_another_candidate_begins_a_new_comparison(store, make_shadow, versions, rows, small):
    shadow = make_shadow()
    log(store, small, rows)
    check_until_done(shadow, store)
    versions.versions["3"], versions.candidate = small.files, "3"
    check_until_done(shadow, store)
    now, before = comparisons.find(store, MODEL, most=5)
    assert (now.candidate, now.state) == ("3", "comparing")
    assert (before.candidate, before.state) == ("2", "ended")
    assert before.reason == "version 3 is compared with version 1"
    assert summary(store).counts.different == 0


def test_a_broken_candidate_is_noted_and_loaded_again_later_and_later(store, make_shadow, versions, rows, small):
    shadow, good = make_shadow(), versions.versions["2"]
    versions.versions["2"] = good | {"scorer.json": good["scorer.json"].replace(b'"threshold": 0.', b'"threshold": 3.')}
    log(store, small, rows)
    assert check_until_done(shadow, store, NOW).comparison.state == "broken"
    downloads = versions.downloads
    assert check_until_done(shadow, store, NOW + 59).comparison.attempts == 1
    assert versions.downloads == downloads
    second = check_until_done(make_shadow(), store, NOW + 60).comparison
    assert (second.attempts, second.due) == (2, NOW + 60 + 120)
    assert "scorer.json is damaged: threshold" in second.reason
    versions.versions["2"] = good
    assert check_until_done(shadow, store, NOW + 180).counted == 600
    assert (summary(store).comparison.state, summary(store).comparison.attempts) == ("comparing", 0)


class KilledError(BaseException):
    """Ends a process at once, as a signal does."""


@pytest.fixture
def candidate_raises(monkeypatch):
    """A function that sets the error that the candidate raises while it scores, or None."""
    errors = [None]

    def scores(*arguments):
        if errors[0] is not None:
            raise errors[0]
        return real(*arguments)

    real = pair._scores
    monkeypatch.setattr(pair, "_scores", scores)
    return lambda error: errors.__setitem__(0, error)


@pytest.mark.parametrize("error", [RuntimeError("Non-zero status code"), MemoryError(), ModelError("no mode")])
def test_a_candidate_that_fails_while_it_scores_is_broken_and_tried_again_later_and_later(
    store, make_shadow, rows, small, candidate_raises, error
):
    shadow = make_shadow()
    log(store, small, rows)
    candidate_raises(error)
    for attempts, now in enumerate((NOW, NOW + 60, NOW + 180), start=1):
        check_until_done(shadow, store, now)
        found = check_until_done(shadow, store, now + 59).comparison
        assert (found.state, found.attempts, found.due) == ("broken", attempts, now + 60 * 2 ** (attempts - 1))
        assert str(error) in found.reason
    candidate_raises(None)
    assert check_until_done(shadow, store, NOW + 420).counted == 600
    assert (summary(store).comparison.state, summary(store).comparison.attempts) == ("comparing", 0)


def test_a_candidate_that_kills_the_process_while_it_scores_is_broken_and_tried_again_later_and_later(
    store, make_shadow, versions, rows, small, candidate_raises
):
    log(store, small, rows)
    candidate_raises(KilledError())
    for attempts, now in enumerate((NOW, NOW + 60, NOW + 180), start=1):
        with pytest.raises(KilledError):
            make_shadow().check(store, now)
        downloads = versions.downloads
        found = make_shadow().check(store, now + 1).comparison
        assert (found.state, found.attempts, found.due) == ("broken", attempts, now + 60 * 2 ** (attempts - 1))
        assert found.reason == "it is scoring predictions; if this stays, the process ended while it was"
        assert versions.downloads == downloads
    candidate_raises(None)
    assert check_until_done(make_shadow(), store, NOW + 420).counted == 600
    assert (summary(store).comparison.state, summary(store).comparison.attempts) == ("comparing", 0)


def test_a_candidate_that_fails_at_predictions_with_feedback_is_broken(
    store, make_shadow, rows, small, candidate_raises
):
    shadow = make_shadow()
    log(store, small, rows)
    check_until_done(shadow, store)
    report_outcomes(store, rows, [0])
    candidate_raises(RuntimeError("Non-zero status code"))
    found = check_until_done(shadow, store, NOW + 600).comparison
    assert (found.state, found.reason) == (
        "broken",
        "version 2 cannot score readings of the log: RuntimeError('Non-zero status code')",
    )


def test_a_block_that_the_candidate_cannot_take_is_left_out_with_its_feedback(
    store, make_shadow, rows, small, candidate_raises
):
    log(store, small, rows)
    report_outcomes(store, rows, [0])
    candidate_raises(DataError("row 1: torque_nm is too large"))
    found = check_until_done(make_shadow(), store).comparison
    assert (found.state, found.left_out, found.labelled) == ("comparing", {"not accepted by the candidate": 600}, None)


@pytest.mark.parametrize("error", [StoreError("no connection"), KeyboardInterrupt(), SystemExit(143)])
def test_a_store_that_is_away_or_a_person_who_ends_it_is_no_fault_of_the_candidate(
    store, make_shadow, rows, small, candidate_raises, error
):
    log(store, small, rows)
    candidate_raises(error)
    with pytest.raises(type(error)):
        make_shadow().check(store, NOW)
    candidate_raises(None)
    assert check_until_done(make_shadow(), store).counted == 600


def test_what_another_process_has_ended_stays_ended(store, make_shadow, rows, small, monkeypatch):
    log(store, small, rows)

    def score(*arguments):
        with store.writing() as transaction:
            comparisons.end_others(transaction, MODEL, because="version 3 is the candidate")
        return score_block(*arguments)

    monkeypatch.setattr("predictive_maintenance.shadow.comparing.score_block", score)
    make_shadow().check(store, NOW)
    assert summary(store).comparison.state == "ended"


def test_a_registry_that_is_away_is_no_fault_of_the_candidate(store, make_shadow, versions, rows, small):
    shadow = make_shadow()
    log(store, small, rows)
    versions.down = "no connection"
    with pytest.raises(RegistryError):
        shadow.check(store, NOW)
    versions.down = None
    assert check_until_done(shadow, store).counted == 600


def test_a_candidate_that_needs_other_columns_is_not_comparable(
    store, make_shadow, versions, small, small_compressor, rows
):
    versions.versions["2"] = small_compressor.files
    log(store, small, rows)
    found = check_until_done(make_shadow(), store).comparison
    assert found.state == "not comparable"
    assert "it needs columns " in found.reason
    assert "which the readings of production do not have" in found.reason
    assert summary(store).counts == DecisionCounts()


def test_readings_that_the_candidate_does_not_accept_are_left_out(store, make_shadow, versions, rows, small, params):
    narrow = params.machine.adjusted(ranges={"torque_nm": (0.0, 65.0)})
    versions.versions["2"] = with_golden_below(small, narrow)
    log(store, small, rows)
    outside = int((rows["torque_nm"] > 65).sum())
    assert outside > 0
    assert check_until_done(make_shadow(), store).counted == 600 - outside
    assert summary(store).comparison.left_out == {"not accepted by the candidate": outside}


def with_golden_below(small, machine):
    """The files of the small model with a narrower range of torque, and golden readings within it."""
    files = with_machine(small.files, machine)
    golden, reference = json.loads(files["golden.json"]), json.loads(files["reference.json"])
    kept = [row for row, torque in enumerate(golden["readings"]["torque_nm"]) if torque <= 65]
    golden["readings"] = {name: [values[row] for row in kept] for name, values in golden["readings"].items()}
    for name in ("probabilities", "decisions", "modes"):
        if golden.get(name) is not None:
            golden[name] = [golden[name][row] for row in kept]
    within = [row for row, torque in enumerate(reference["torque_nm"]) if torque <= 65]
    reference = {name: [values[row] for row in within] for name, values in reference.items()}
    return files | {"golden.json": json.dumps(golden).encode(), "reference.json": json.dumps(reference).encode()}


def with_costs(files, missed_failure, false_alarm):
    """The files of a version with other costs of errors."""
    costs = {"missed_failure_cost": missed_failure, "false_alarm_cost": false_alarm}
    spec = json.loads(files["scorer.json"])
    assert costs.keys() <= spec.keys()
    return files | {"scorer.json": json.dumps(spec | costs).encode()}


def never_alarms(files):
    """The files of a version whose threshold no probability reaches."""
    spec, golden = json.loads(files["scorer.json"]), json.loads(files["golden.json"])
    spec["threshold"], golden["decisions"] = 1.0, [False] * len(golden["decisions"])
    return files | {"scorer.json": json.dumps(spec).encode(), "golden.json": json.dumps(golden).encode()}


def report_outcomes(store, rows, reported):
    """Report what became of the predictions of the first block for some rows."""
    for row in reported:
        failed = bool(rows["machine_failure"].iloc[row])
        report = Feedback(
            subject=Subject("request", "r-0", row + 1), verdict="confirmed" if failed else "false", mode=None, failed=None,
            comment="", author="anna",
        )  # fmt: skip
        with store.writing() as transaction:
            transaction.add_feedback(MODEL, report, NOW)


def test_feedback_gives_the_errors_of_both(store, make_shadow, rows, small, small_forest):
    log(store, small, rows)
    reported = list(range(0, 600, 7))
    report_outcomes(store, rows, reported)
    check_until_done(make_shadow(), store)
    labelled, truth = summary(store).comparison.labelled, rows["machine_failure"].iloc[reported].to_numpy(bool)
    assert (labelled.readings, labelled.failures) == (len(reported), truth.sum())
    for model, errors in ((small, labelled.production), (small_forest, labelled.candidate)):
        decisions = model.scorer.decisions(model.scorer.probabilities(rows.iloc[reported]))
        assert errors.missed_failures == (truth & ~decisions).sum()
        assert errors.false_alarms == (~truth & decisions).sum()
        assert errors.costs == 5000 * errors.missed_failures + 250 * errors.false_alarms
        assert errors.low <= errors.costs <= errors.high
    assert labelled.saving.value == labelled.production.costs - labelled.candidate.costs
    assert labelled.saving.low <= labelled.saving.value <= labelled.saving.high


def test_a_candidate_that_misses_confirmed_failures_costs_more_for_certain(store, make_shadow, rows, small, versions):
    versions.versions = {"1": small.files, "2": never_alarms(small.files)}
    log(store, small, rows)
    alarms = np.flatnonzero(small.scorer.decisions(small.scorer.probabilities(rows)))
    report_outcomes(store, rows, alarms.tolist())
    check_until_done(make_shadow(), store)
    labelled = summary(store).comparison.labelled
    assert (labelled.candidate.missed_failures, labelled.production.missed_failures) == (labelled.failures, 0)
    assert labelled.saving.high < 0


@pytest.mark.parametrize(
    ("reported", "machines", "reason"),
    [
        (9, None, "9 readings have feedback: at least 10 are needed"),
        (20, 4, "the feedback is about 4 machines: at least 5 are needed for an interval"),
        (20, 5, ""),
    ],
)
def test_costs_by_little_feedback_are_not_judged(store, make_shadow, rows, small, reported, machines, reason):
    names = None if machines is None else [f"M{row % machines}" for row in range(len(rows))]
    log(store, small, rows, machines=names)
    report_outcomes(store, rows, range(reported))
    check_until_done(make_shadow(), store)
    labelled = summary(store).comparison.labelled
    assert (labelled.reason, labelled.saving is None) == (reason, bool(reason))


def test_the_costs_are_those_of_the_version_in_production_for_both(
    store, make_shadow, rows, small, small_forest, versions
):
    versions.versions["2"] = with_costs(small_forest.files, 70.0, 3.0)
    log(store, small, rows)
    report_outcomes(store, rows, range(0, 600, 7))
    check_until_done(make_shadow(), store)
    found = summary(store)
    assert vars(found.counts) == pytest.approx(expected_counts(small, small_forest, rows))
    candidate = found.comparison.labelled.candidate
    assert candidate.costs == 5000 * candidate.missed_failures + 250 * candidate.false_alarms > 0


def test_feedback_is_counted_again_ten_minutes_later_at_the_earliest(store, make_shadow, rows, small):
    log(store, small, rows)
    report_outcomes(store, rows, [0])
    shadow, counted = make_shadow(), []
    for later, reported in ((0, []), (1, [1]), (599, []), (600, []), (601, [2]), (1_199, []), (1_200, [])):
        report_outcomes(store, rows, reported)
        check_until_done(shadow, store, NOW + later)
        counted.append(summary(store).comparison.labelled.readings)
    assert counted == [1, 1, 1, 2, 2, 2, 3]


def test_a_new_candidate_is_compared_with_the_feedback_that_there_is(store, make_shadow, versions, rows, small):
    log(store, small, rows)
    report_outcomes(store, rows, range(0, 600, 7))
    shadow = make_shadow()
    check_until_done(shadow, store)
    versions.versions["3"], versions.candidate = versions.versions["2"], "3"
    check_until_done(shadow, store)
    found = summary(store).comparison
    assert (found.candidate, found.labelled.readings) == ("3", 86)


def test_nothing_is_promoted_by_default(store, make_shadow, versions, rows, small):
    versions.versions["2"] = small.files
    for day in range(20):
        log(store, small, rows, number=day, scored=NOW - day * DAY)
    versions.promote = lambda *_, **__: pytest.fail("promoted")
    check = check_until_done(make_shadow(), store)
    assert check.promoted is None
    assert check.comparison.promotion == "off: shadow.days_of_agreement is null"
    assert isinstance(versions.candidate_version(), ModelVersion)


def test_a_machine_whose_name_no_database_keeps_does_not_stop_the_comparison(store):
    with store.writing() as transaction:
        comparison = comparisons.begin(transaction, MODEL, "1", "2", started=NOW, now=NOW)
        counts = dict.fromkeys(["M1", "M\0"], DecisionCounts(predictions=1))
        place = comparisons.Place(1, None)
        assert comparisons.add(transaction, comparison, place, 1, days={}, machines=counts, left_out={})
    assert [name for name, _ in comparisons.counts_by_machine(store, comparison, most=9)] == ["M1"]


def test_the_machines_of_a_large_fleet_are_counted_by_machine_up_to_a_number(store, monkeypatch):
    monkeypatch.setattr(comparisons, "MOST_MACHINES", 3)
    with store.writing() as transaction:
        comparison = comparisons.begin(transaction, MODEL, "1", "2", started=NOW, now=NOW)
        for number, names in enumerate((["M1", "M2"], [f"M{machine}" for machine in range(300_000)])):
            place = comparisons.Place(1, number or None)
            counts = dict.fromkeys(names, DecisionCounts(predictions=1))
            assert comparisons.add(transaction, comparison, place, number + 1, days={}, machines=counts, left_out={})
    found = comparisons.counts_by_machine(store, comparison, most=9)
    assert [(name, counts.predictions) for name, counts in found] == [("M0", 1), ("M1", 2), ("M2", 2)]
