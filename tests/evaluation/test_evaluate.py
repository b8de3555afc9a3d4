"""The evaluation of a candidate: sets of rows, comparison with the champion, published rules."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from machines.milling.oracle import violates_rules
from predictive_maintenance.config.event_rules import event_rules
from predictive_maintenance.evaluation import row_sets
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.evaluation.evaluate import thresholds_file
from predictive_maintenance.evaluation.failure_events import judge_alarms, score_events
from predictive_maintenance.evaluation.row_sets import forward_scores, oracle_scores
from predictive_maintenance.evaluation.verdict import CheckName
from predictive_maintenance.history.observed import observe
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.validation.row_identity import row_hashes
from tests.fixtures.evaluations import compare, evaluated


@pytest.fixture(scope="module")
def evaluation(small, champion):
    """The small model, evaluated against itself as champion."""
    return evaluated(small, champion, oracle=violates_rules)


def test_held_out_and_out_of_fold_scores_cover_both_sides_of_the_split(evaluation, small):
    assert evaluation.held_out.rows == len(small.rows.test)
    assert evaluation.out_of_fold.rows == len(small.rows.train)


def test_forward_scores_are_of_the_latest_readings(evaluation, small):
    """`split.forward_share` is 30 %, rounded down to whole tool lives."""
    share = evaluation.forward.rows / (len(small.rows.train) + len(small.rows.test))
    assert 0.25 < share <= 0.3


def test_the_model_of_the_forward_scores_has_the_threads_of_all_candidates(small, monkeypatch):
    threads = []

    def train(algorithm, rows, fold, params, training_only):
        threads.append(params.training.threads)
        return train_untuned(algorithm, rows, fold, params, training_only)

    monkeypatch.setattr(row_sets, "train_untuned", train)
    only = {small.trained.algorithm: small.params.candidates[small.trained.algorithm]}
    alone, _ = forward_scores(small.trained, small.rows, small.params.model_copy(update={"candidates": only}))
    both, _ = forward_scores(small.trained, small.rows, small.params)
    assert threads == [small.params.training.threads, small.params.training.threads * 2]
    assert alone == both


def test_forward_scores_are_none_if_the_latest_readings_have_no_failure(small):
    middle = small.rows.train["position"].max() / 2

    def without_late_failures(frame):
        return frame.assign(machine_failure=frame["machine_failure"].where(frame["position"] < middle, 0))

    rows = replace(
        small.rows, train=without_late_failures(small.rows.train), test=without_late_failures(small.rows.test)
    )
    scores, note = forward_scores(small.trained, rows, small.params)
    assert scores is None
    assert note == "not available, because the latest readings contain no failure"


def test_forward_scores_are_none_if_every_machine_has_earlier_readings_because_these_stay_together(small_engine):
    def from_one_start(frame):
        start = frame.groupby("group", observed=True)["timestamp"].transform("min")
        return frame.assign(timestamp=pd.Timestamp("2024-01-01", tz="UTC") + (frame["timestamp"] - start))

    rows = small_engine.rows
    aligned = replace(rows, train=from_one_start(rows.train), test=from_one_start(rows.test))
    scores, note = forward_scores(small_engine.trained, aligned, small_engine.params)
    assert scores is None
    assert note == "not available, because every engine has earlier readings, and its readings stay together"


def test_scores_by_product_type_cover_all_held_out_rows(evaluation):
    (product_type,) = evaluation.categories
    assert list(product_type.values) == ["L", "M", "H"]
    assert sum(scores.rows for scores in product_type.values.values()) == evaluation.held_out.rows


def test_importances_are_of_the_models_features_in_descending_order(evaluation, small):
    assert set(evaluation.importances["feature"]) == set(small.trained.features)
    assert evaluation.importances["pr_auc_loss"].is_monotonic_decreasing
    assert evaluation.importances["pr_auc_loss"].iloc[0] > 0.05


def test_an_evaluation_against_the_same_model_fails_one_check_alone(evaluation):
    assert evaluation.comparison.same_training_data
    assert [check.name for check in evaluation.verdict.failed] == [CheckName.IMPROVES_ON_CHAMPION]


def test_the_thresholds_file_has_counts_at_the_decision_threshold(evaluation):
    columns = json.loads(thresholds_file(evaluation))
    index = columns["threshold"].index(evaluation.threshold)
    assert columns["rows"] == evaluation.held_out.rows
    assert columns["failures"] == evaluation.held_out.failures
    assert columns["true_positives"][index] == evaluation.held_out.confusion.true_positives
    assert columns["false_positives"][index] == evaluation.held_out.confusion.false_positives


def test_rows_that_the_champion_was_trained_on_are_left_out_of_the_comparison(small, champion):
    test = small.rows.test
    champion = replace(champion, training_rows=np.sort(row_hashes(test["reading_id"].iloc[::2])))
    probabilities = small.scorer.probabilities(test)
    decisions = small.scorer.decisions(probabilities)
    comparison = compare(champion, test, probabilities, decisions, "other rows", small.params)
    assert comparison.seen_rows == len(test.iloc[::2])
    assert comparison.rows == len(test) - comparison.seen_rows
    assert comparison.champion.rows == comparison.challenger.rows == comparison.rows


def test_the_training_fingerprint_depends_on_the_rows_and_not_on_their_order(small):
    rows = small.rows.train
    assert training_fingerprint(rows.iloc[::-1], MILLING) == training_fingerprint(rows, MILLING)
    assert training_fingerprint(
        rows.assign(machine_failure=1 - rows["machine_failure"]), MILLING
    ) != training_fingerprint(rows, MILLING)
    assert training_fingerprint(rows.iloc[1:], MILLING) != training_fingerprint(rows, MILLING)


def test_a_machine_whose_label_has_no_horizon_is_not_evaluated_by_failure_event(evaluation):
    assert evaluation.events is None


def test_alarms_are_those_of_the_held_out_and_of_the_out_of_fold_decisions(small_engine, engine_events):
    """Each engine fails once. A failure is caught if a reading of its last 24 hours, but the last one, is positive."""
    rows, scorer = small_engine.rows, small_engine.scorer
    decisions = {"held_out": scorer.decisions(scorer.probabilities(rows.test))}
    decisions["out_of_fold"] = small_engine.trained.out_of_fold.decisions
    for side, frame in (("held_out", rows.test), ("out_of_fold", rows.train)):
        last = frame.groupby("machine_id")["timestamp"].transform("max")
        positive = decisions[side] & frame["fails_soon"].astype(bool) & (frame["timestamp"] < last)
        found = getattr(engine_events, side)
        assert found.failures == found.machines == frame["machine_id"].nunique()
        assert found.caught == frame["machine_id"][positive].nunique() > 5


def test_the_failures_of_held_out_machines_are_those_of_all_their_readings(small_engine):
    """The last readings of the held-out machines have no label: the alarms are those of the others."""
    rows = small_engine.rows
    last = rows.test.groupby("machine_id")["timestamp"].transform("max")
    late = rows.test["timestamp"] > last - pd.Timedelta("12h")
    partly = replace(rows, test=rows.test[~late].reset_index(drop=True), history=rows.test[late])
    decisions = partly.test["fails_soon"].to_numpy().astype(bool)
    observed = observe(small_engine.params.machine, partly.test, partly.train, partly.history)
    rules = event_rules(small_engine.params)
    judged = judge_alarms(observed, decisions, rules)
    found = score_events(judged, rules, small_engine.params.costs, small_engine.params.evaluation, 1)
    leads = found.lead_times
    assert len(leads) == found.failures > 5
    assert leads.min() > 21
    assert leads.max() <= 24


def test_there_are_no_oracle_scores_without_failure_modes(small):
    test = small.rows.test
    modes = [name for name in test.columns if name.endswith("_failure") and name != "machine_failure"]
    assert oracle_scores(test, violates_rules, small.params) is not None
    assert oracle_scores(test.drop(columns=modes), violates_rules, small.params) is None


def test_there_are_no_oracle_scores_without_an_oracle(small):
    assert oracle_scores(small.rows.test, None, small.params) is None


def test_the_oracle_and_the_trivial_models_are_scored_on_the_held_out_rows(evaluation):
    rows = {evaluation.held_out.rows, evaluation.oracle.rows, evaluation.trivial.never_alarm.rows}
    assert rows == {evaluation.trivial.always_alarm.rows}
    assert evaluation.oracle["precision"].value > 0.9
