"""Automatic promotion, on a real registry: after days of agreement, by the gate's leave, once, and only if it is switched on."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.config.params import ShadowSettings
from predictive_maintenance.shadow.agreement import added, agreement, alarm_agreement, total
from predictive_maintenance.shadow.comparing import Shadow
from predictive_maintenance.shadow.promotion import days_of_agreement, waits_for
from predictive_maintenance.shadow.summary import Summary
from predictive_maintenance.store import comparisons
from predictive_maintenance.store.rows import Comparison, DecisionCounts, Errors, Feedback, Labelled, Saving, Subject
from predictive_maintenance.store.store import Store
from predictive_maintenance.tracking.entities import ModelVersion
from predictive_maintenance.tracking.signing import create_key_pair
from tests.tracking.conftest import connection, make_train, registry, train

from .conftest import MODEL, check_until_done, log

__all__ = ["connection", "make_train", "registry", "train"]

DAY = 86_400
SETTINGS = ShadowSettings(days_of_agreement=3, min_predictions=1_000)


@pytest.fixture
def candidate(connection, train, registry):
    """Version 2 with the files of version 1, which is in production: its gate passed, and it was not promoted."""
    assert train("TrainFlow/1").level == "production"
    connection.client.set_model_version_tag(MODEL, "1", "training_fingerprint", "other rows")
    assert train("TrainFlow/2", promote=False, champion=registry.baseline_model()).level == "candidate"
    return registry.candidate_version()


@pytest.fixture
def store(sqlite_url):
    store = Store.open(sqlite_url, timeout_seconds=5)
    yield store
    store.close()


def log_days(store, small, rows, candidate, days):
    """Log 400 predictions for each of the days after the registration, so many of them alarms that agreement can be sure."""
    alarms = rows[small.scorer.decisions(small.scorer.probabilities(rows))]
    frame = pd.concat([*[alarms] * 4, rows]).head(400)
    for day in days:
        log(store, small, frame, number=day, scored=candidate.created.timestamp() + (day + 1) * DAY)


def test_the_candidate_is_promoted_after_its_days_of_agreement(
    store, small, rows, registry, candidate, run_status, monkeypatch
):
    monkeypatch.setenv("PDM_AUDIT_LOG", "true")
    shadow, start = Shadow(registry, MODEL, SETTINGS), candidate.created.timestamp()
    log_days(store, small, rows, candidate, [0, 1])
    waiting = check_until_done(shadow, store, start + 3 * DAY)
    assert waiting.comparison.promotion == "800 predictions are compared, 1,000 are needed"
    log_days(store, small, rows, candidate, [2])
    waiting = check_until_done(shadow, store, start + 3 * DAY + 60)
    assert waiting.comparison.promotion == "2 of 3 days of agreement"
    assert registry.production_version().version == "1"

    assert check_until_done(shadow, store, start + 4 * DAY + 60).promoted == "2"
    production = registry.production_version()
    assert production.version == "2"
    assert production.tags["previous_production_version"] == "1"
    assert production.tags["production_reason"].startswith("promoted by shadow at ")
    assert "100.00% [99.68%, 100.00%] of 1,200 decisions are those of version 1" in production.tags["production_reason"]
    assert "readings with an alarm of either version have an alarm of both" in production.tags["production_reason"]
    assert "rolled_back_at" not in registry.get_version("1").tags
    assert "because     promoted by shadow at " in run_status()
    (entry,) = store.audit(MODEL, most=9)
    assert (entry.action, entry.subject, entry.actor.key) == ("promotion", "version 2", "shadow")
    assert entry.detail["before"] == "1"
    assert entry.detail["reason"] == production.tags["production_reason"]
    assert check_until_done(shadow, store, start + 5 * DAY).comparison is None
    assert comparisons.find(store, MODEL, most=1)[0].reason == "version 2 is in production"


@pytest.fixture
def run_status():
    return lambda: CliRunner().invoke(main, ["status"]).output


def test_it_stays_a_candidate_by_default(store, small, rows, registry, candidate):
    log_days(store, small, rows, candidate, range(5))
    check = check_until_done(Shadow(registry, MODEL, ShadowSettings()), store, candidate.created.timestamp() + 10 * DAY)
    assert check.promoted is None
    assert registry.production_version().version == "1"


def outcomes(high):
    """400 readings with feedback, on which the candidate saves -20,000 [-40,000, high] EUR."""
    return Labelled(
        readings=400, failures=20, source="feedback", saving=Saving(value=-20_000.0, low=-40_000.0, high=high),
        production=Errors(missed_failures=2, false_alarms=30, costs=17_500.0),
        candidate=Errors(missed_failures=6, false_alarms=30, costs=37_500.0),
    )  # fmt: skip


COSTS_MORE = (
    "the errors of version 2 cost 20,000 [1,000, 40,000] EUR more than those of version 1 on 400 readings with known outcome "
    "(feedback): 6 against 2 missed failures, 30 against 30 false alarms"
)


def test_a_candidate_whose_errors_cost_more_is_not_promoted_until_they_no_longer_do(
    store, small, rows, registry, candidate, monkeypatch
):
    monkeypatch.setenv("PDM_AUDIT_LOG", "true")
    start = candidate.created.timestamp()
    log_days(store, small, rows, candidate, range(3))
    # A further shadow has the same answer, and its entry in the audit log is that of the first one.
    for shadow in [Shadow(registry, MODEL, SETTINGS) for _ in range(2)]:
        comparison = check_until_done(shadow, store, start + 2 * DAY).comparison
        with store.writing() as transaction:
            comparisons.set_labelled(transaction, comparison, outcomes(high=-1_000.0))
        check = check_until_done(shadow, store, start + 9 * DAY)
        assert (check.promoted, check.comparison.promotion) == (None, COSTS_MORE)
    (entry,) = store.audit(MODEL, actions=["blocked_promotion"], most=5)
    assert (entry.actor.key, entry.subject, entry.at) == ("shadow", "version 2", int(start + 9 * DAY))
    assert entry.detail == {"production": "1", "reason": COSTS_MORE}
    assert registry.production_version().version == "1"
    with store.writing() as transaction:
        comparisons.set_labelled(transaction, comparison, outcomes(high=1_000.0))
    assert check_until_done(shadow, store, start + 9 * DAY + 60).promoted == "2"


def test_feedback_that_has_just_arrived_is_taken_into_account_before_a_promotion(
    store, small, rows, registry, candidate, monkeypatch
):
    shadow, midnight = Shadow(registry, MODEL, SETTINGS), (candidate.created.timestamp() // DAY + 4) * DAY
    log_days(store, small, rows, candidate, range(3))
    waiting = check_until_done(shadow, store, midnight - 60)
    assert waiting.comparison.promotion == "2 of 3 days of agreement"
    with store.writing() as transaction:
        subject = Subject("request", "r-0", 1)
        report = Feedback(subject=subject, verdict="confirmed", mode=None, failed=None, comment="", author="anna")
        transaction.add_feedback(MODEL, report, int(midnight))
    monkeypatch.setattr("predictive_maintenance.shadow.comparing.labelled_errors", lambda *_: outcomes(high=-1_000.0))
    check = check_until_done(shadow, store, midnight + 60)
    assert (check.promoted, check.comparison.promotion) == (None, COSTS_MORE)


def test_a_candidate_without_the_required_signature_is_not_promoted(
    store, small, rows, registry, candidate, tmp_path, monkeypatch
):
    shadow, start = Shadow(registry, MODEL, SETTINGS), candidate.created.timestamp()
    log_days(store, small, rows, candidate, range(3))
    check_until_done(shadow, store, start + 2 * DAY)
    create_key_pair(tmp_path / "private.pem", tmp_path / "public.pem")
    monkeypatch.setenv("PDM_MODEL_PUBLIC_KEY", str(tmp_path / "public.pem"))
    check = check_until_done(shadow, store, start + 9 * DAY)
    assert (check.promoted, registry.production_version().version) == (None, "1")
    assert "version 2" in check.comparison.promotion
    assert "signed" in check.comparison.promotion


CREATED = datetime(2026, 5, 1, tzinfo=UTC)
CHECK = {"name": "F1", "level": "production", "measured": "", "required": "", "why": "no"}
PASSED = json.dumps([CHECK | {"passed": True}])
PRODUCTION = ModelVersion(version="1", aliases=(), run_id="", created=CREATED - timedelta(days=9), tags={})
CANDIDATE = replace(PRODUCTION, version="2", created=CREATED, tags={"gate": PASSED, "compared_with": "1"})
AGREEING = {(day, day): DecisionCounts(predictions=1_000, both=100) for day in range(10)}


COMPARISON = Comparison(
    key=1, version="1", candidate="2", started=0, checked=0, state="comparing", reason="", attempts=0, due=0, promotion="",
    currency="EUR", left_out={}, labelled=None,
)  # fmt: skip


def reason(production=PRODUCTION, candidate=CANDIDATE, by_day=AGREEING, settings=SETTINGS, labelled=None):
    days = added([{day: counts} for (day, _), counts in by_day.items()])
    summary = Summary(
        comparison=replace(COMPARISON, labelled=labelled), counts=total(list(by_day.values())),
        agreement=agreement(by_day), days=days, machines=[],
        alarm_agreement=alarm_agreement(by_day),
    )  # fmt: skip
    return waits_for(settings, production, candidate, summary, 10 * DAY)


def test_with_a_passed_gate_and_enough_days_it_waits_for_nothing():
    assert reason() is None
    predictions = total(list(AGREEING.values())).predictions
    assert reason(settings=SETTINGS.model_copy(update={"min_predictions": predictions})) is None
    more = SETTINGS.model_copy(update={"min_predictions": predictions + 1})
    assert reason(settings=more).startswith(f"{predictions:,} predictions are compared")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, "has no quality gate"),
        ({"gate": json.dumps([CHECK | {"passed": False}])}, "stays a candidate, because a check failed: F1 (no)"),
        ({"gate": PASSED, "promoted_at": "2026-05-02T00:00:00+00:00"}, "was in production before"),
        ({"gate": PASSED, "rolled_back_at": "2026-05-02T00:00:00+00:00"}, "was in production before"),
    ],
)
def test_only_a_person_promotes_what_the_gate_does_not_allow_or_was_rolled_back(tags, expected):
    assert expected in reason(candidate=replace(CANDIDATE, tags=tags))


@pytest.mark.parametrize(("compared", "other"), [("3", "version 3"), ("", "no version"), (None, "no version")])
def test_only_a_person_promotes_a_candidate_whose_gate_knew_another_champion(compared, other):
    tags = {"gate": PASSED} | ({} if compared is None else {"compared_with": compared})
    expected = f"the quality gate compared version 2 with {other}, and not with version 1: promote it by hand"
    assert reason(candidate=replace(CANDIDATE, tags=tags)) == expected


def test_only_a_person_promotes_a_candidate_after_a_rollback_of_the_version_that_its_gate_knew(
    store, small, rows, connection, train, registry, candidate
):
    registry.promote("2", "1")
    connection.client.set_model_version_tag(MODEL, "2", "training_fingerprint", "other rows")
    assert train("TrainFlow/3", promote=False, champion=registry.baseline_model()).level == "candidate"
    registry.rollback()
    candidate = registry.candidate_version()
    log_days(store, small, rows, candidate, range(4))
    check = check_until_done(Shadow(registry, MODEL, SETTINGS), store, candidate.created.timestamp() + 9 * DAY)
    assert (check.promoted, registry.production_version().version) == (None, "1")
    assert "compared version 3 with version 2" in check.comparison.promotion


def test_too_little_agreement_is_said_with_its_interval():
    different = {(day, day): DecisionCounts(predictions=1_000, only_candidate=20 + day) for day in range(10)}
    assert reason(by_day=different).startswith("agreement is 97.55% [97.")


def test_a_candidate_that_never_raises_an_alarm_is_not_promoted():
    silent = {(day, day): DecisionCounts(predictions=10_000, only_production=100) for day in range(10)}
    assert reason(by_day=silent) == (
        "agreement on alarms is 0.00% [0.00%, 0.38%], its lower end must be at least 98.00%"
    )


def test_few_alarms_are_not_enough_even_if_all_are_the_same():
    few = {(day, day): DecisionCounts(predictions=1_000, both=10) for day in range(10)}
    assert reason(by_day=few).startswith("agreement on alarms is 100.00% [96.30%, 100.00%]")


def test_without_an_alarm_of_either_version_nothing_is_promoted():
    calm = {(day, day): DecisionCounts(predictions=1_000) for day in range(10)}
    assert reason(by_day=calm) == "agreement on alarms cannot be judged: neither version has raised an alarm"


def test_machines_without_alarms_make_the_agreement_on_alarms_no_surer():
    alarms = {
        (1, machine): DecisionCounts(predictions=1_000, both=20 * (machine % 2), only_candidate=5)
        for machine in range(10)
    }
    calm = {(day, machine): DecisionCounts(predictions=1_000) for day in range(9) for machine in range(20, 250)}
    assert alarm_agreement(alarms | calm) == alarm_agreement(alarms)


def days_in_a_row(by_day, today, **settings):
    found = days_of_agreement(by_day, ShadowSettings(**settings), today)
    return found.agreed, found.ignored


def test_a_day_of_disagreement_starts_the_days_again_and_a_day_without_readings_does_not():
    days = {1: 0, 2: 50, 4: 0, 5: 0, 7: 0}
    by_day = {day: DecisionCounts(predictions=1_000, only_production=different) for day, different in days.items()}
    assert days_in_a_row(by_day, 8) == (3, 0)
    assert days_in_a_row(by_day, 7) == (2, 0)
    assert days_in_a_row(by_day, 8, min_agreement=0.95) == (5, 0)


def test_a_day_with_few_predictions_neither_counts_nor_starts_the_days_again():
    by_day = {
        1: DecisionCounts(predictions=100),
        2: DecisionCounts(predictions=99),
        3: DecisionCounts(predictions=99, only_candidate=99),
        4: DecisionCounts(predictions=1),
        5: DecisionCounts(predictions=100),
    }
    assert days_in_a_row(by_day, 6) == (2, 3)
    assert days_in_a_row(by_day, 6, min_daily_predictions=99) == (1, 1)


def test_days_that_do_not_count_are_named():
    busy = {(1, 1): DecisionCounts(predictions=10_000, both=1_000)}
    quiet = {(day, 1): DecisionCounts(predictions=1) for day in range(2, 10)}
    assert reason(by_day=busy | quiet) == (
        "1 of 3 days of agreement; 8 days with fewer than 100 compared predictions (shadow.min_daily_predictions) do not count"
    )


def test_errors_that_cost_more_for_certain_are_a_reason_whatever_else_is_missing():
    assert reason(labelled=outcomes(high=-1_000.0)) == COSTS_MORE
    assert reason(labelled=outcomes(high=-1_000.0), by_day={}) == COSTS_MORE
    assert reason(labelled=outcomes(high=0.0)) is None
    assert reason(labelled=replace(outcomes(high=-1.0), saving=None)) is None
    assert reason(labelled=outcomes(high=-1.0), settings=ShadowSettings()).startswith("off: ")
