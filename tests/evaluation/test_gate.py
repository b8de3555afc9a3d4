"""Who may be a candidate, who may be promoted, and why not."""

from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.comparison import compare
from predictive_maintenance.evaluation.evaluate import evaluate, training_fingerprint
from predictive_maintenance.evaluation.gate import judge
from predictive_maintenance.evaluation.metrics import Confusion, Estimate, Scores
from predictive_maintenance.evaluation.rules import broken_rules
from predictive_maintenance.evaluation.verdict import Verdict
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.training.export import Agreement
from predictive_maintenance.training.splits import row_hashes

AGREES = Agreement(2000, 1e-7, 0)


def scores(recall, f1, lower=0.05):
    estimates = {
        name: Estimate(value, value - lower, value + lower, value - lower)
        for name, value in (("recall", recall), ("f1", f1))
    }
    return Scores(rows=2000, failures=68, tool_lives=24, confusion=Confusion(0, 0, 0, 0), estimates=estimates)


def verdict(params, held_out=(0.8, 0.85), out_of_fold=(0.8, 0.85), agreement=AGREES, comparison=None):
    return judge(scores(*held_out), scores(*out_of_fold), agreement, comparison, params.gate, 10)


@pytest.fixture(scope="module")
def champion(small):
    """The small model as a champion that was trained on the small rows."""
    return BaselineModel(
        version="3",
        scorer=small.scorer,
        training_rows=np.sort(row_hashes(small.rows.train["reading_id"])),
        training_fingerprint=training_fingerprint(small.rows.train),
    )


def compared(small, champion, decisions=None, fingerprint="other rows"):
    probabilities = small.scorer.probabilities(small.rows.test)
    decisions = small.scorer.decisions(probabilities) if decisions is None else decisions
    return compare(champion, small.rows.test, probabilities, decisions, fingerprint, small.params)


def failed(verdict):
    return {check.name for check in verdict.failed}


def test_a_good_model_without_a_champion_goes_to_production(params):
    found = verdict(params)
    assert found.level == "production"
    assert found.summary() == "passes every check"


@pytest.mark.parametrize(
    ("held_out", "name"),
    [((0.69, 0.85), "Recall on held-out rows"), ((0.8, 0.59), "F1 on held-out rows")],
)
def test_a_model_below_a_minimum_is_rejected_and_says_why(params, held_out, name):
    found = verdict(params, held_out=held_out)
    assert found.level is None
    assert failed(found) == {name}
    assert found.summary().startswith(f"is rejected: {name}: ")


def test_the_minimum_itself_is_enough(params):
    assert verdict(params, held_out=(0.7, 0.6)).level == "production"


def test_a_model_that_is_not_surely_good_stays_a_candidate(params):
    found = verdict(params, out_of_fold=(0.74, 0.85))
    assert found.level == "candidate"
    assert failed(found) == {"Recall lower bound, out-of-fold"}


@pytest.mark.parametrize("agreement", [Agreement(2000, 1e-7, 1), Agreement(2000, 1e-3, 0)])
def test_an_export_that_disagrees_stays_a_candidate(params, agreement):
    assert failed(verdict(params, agreement=agreement)) == {"Exported scorer agrees"}


def test_an_equal_model_from_the_same_rows_does_not_replace_the_champion(params, small, champion):
    comparison = compared(small, champion, fingerprint=champion.training_fingerprint)
    found = verdict(params, comparison=comparison)
    assert found.level == "candidate"
    assert failed(found) == {"Earns the place"}


def test_an_equal_model_from_new_rows_replaces_the_champion(params, small, champion):
    assert verdict(params, comparison=compared(small, champion)).level == "production"


def test_a_model_from_the_rows_of_a_version_that_was_rolled_back_stays_a_candidate(params, small, champion):
    regretted = replace(champion, rolled_back={"these rows": "7", "those rows": "9"})
    found = verdict(params, comparison=compared(small, regretted, fingerprint="these rows"))
    assert found.level == "candidate"
    assert failed(found) == {"Not rolled back before"}
    assert "version 7 was trained on the same rows and rolled back" in found.summary()
    assert "promote 7 --force" in found.summary()
    assert verdict(params, comparison=compared(small, regretted, fingerprint="other rows")).level == "production"


def test_a_worse_model_does_not_replace_the_champion(params, small, champion):
    comparison = compared(small, champion, decisions=np.zeros(len(small.rows.test), dtype=bool))
    found = verdict(params, comparison=comparison)
    assert {"No F1 loss against champion", "No failure mode lost"} <= failed(found)


def test_losing_one_failure_mode_is_enough_to_stay_a_candidate(params, small, champion):
    """More alarms make up in F1 for the power failures that are missed now; the mode still stands against it."""
    labels = small.rows.test["machine_failure"].to_numpy().astype(bool)
    lost = small.rows.test["power_failure"].to_numpy().astype(bool)
    found = verdict(params, comparison=compared(small, champion, decisions=labels & ~lost))
    assert failed(found) == {"No failure mode lost"} or "No failure mode lost" in failed(found)
    assert "Power failure" in next(check.why for check in found.failed if check.name == "No failure mode lost")


def test_rows_that_the_champion_was_trained_on_are_left_out_of_the_comparison(params, small, champion):
    knows_half = replace(champion, training_rows=np.sort(row_hashes(small.rows.test["reading_id"].iloc[::2])))
    comparison = compared(small, knows_half)
    assert comparison.seen_rows == len(small.rows.test.iloc[::2])
    assert comparison.rows == len(small.rows.test) - comparison.seen_rows


def test_without_rows_that_are_new_to_the_champion_nothing_is_promoted(params, small, champion):
    knows_all = replace(champion, training_rows=np.sort(row_hashes(small.rows.test["reading_id"])))
    found = verdict(params, comparison=compared(small, knows_all))
    assert found.level == "candidate"
    assert "too few to compare on; promote by hand" in found.summary()


def test_a_verdict_survives_its_tag(params):
    found = verdict(params, held_out=(0.1, 0.1))
    assert Verdict.from_json(found.to_json()) == found
    assert len(found.to_json()) < 4500


def test_an_evaluation_holds_every_part_of_the_report(small, champion):
    evaluation = evaluate(
        small.trained, small.out_of_fold, Scorer.from_files(small.files), small.rows, champion, small.params
    )
    assert evaluation.held_out.rows == len(small.rows.test)
    assert evaluation.out_of_fold is small.out_of_fold
    assert evaluation.out_of_fold.rows == len(small.rows.train)
    assert evaluation.forward is not None
    assert 0.25 < evaluation.forward.rows / (len(small.rows.train) + len(small.rows.test)) <= 0.3
    assert evaluation.oracle is not None
    assert set(evaluation.product_types) == {"L", "M", "H"}
    assert sum(scores.rows for scores in evaluation.product_types.values()) == evaluation.held_out.rows
    assert evaluation.comparison is not None
    assert evaluation.comparison.same_training_data
    assert failed(evaluation.verdict) == {"Earns the place"}
    assert evaluation.importances["feature"].iloc[0] in small.trained.features


def test_the_published_rules_explain_the_modes_of_the_real_file(ai4i_csv, read_rows):
    rows = read_rows(str(ai4i_csv))
    modes = rows[["heat_dissipation_failure", "power_failure", "overstrain_failure"]].any(axis=1)
    np.testing.assert_array_equal(broken_rules(rows), modes.to_numpy())
