"""Which models the quality gate rejects, registers as candidate, or allows in production."""

from dataclasses import replace

import numpy as np
import pytest

from predictive_maintenance.evaluation.gate import judge
from predictive_maintenance.evaluation.intervals import Estimate
from predictive_maintenance.evaluation.metrics import Confusion, Scores
from predictive_maintenance.evaluation.verdict import CheckName
from predictive_maintenance.training.export import Agreement
from predictive_maintenance.validation.row_identity import row_hashes
from tests.fixtures.evaluations import compare

from .test_event_checks import events
from .test_event_checks import scores as event_scores

AGREES = Agreement(2000, 1e-7, 0)


def scores(recall, f1, margin=0.05):
    metrics = {"recall": recall, "f1": f1, "f1_gain": f1 - 0.066, "mcc": f1}
    estimates = {
        name: Estimate(value, value - margin, value + margin, value - margin) for name, value in metrics.items()
    }
    return Scores(rows=2000, failures=68, groups=24, confusion=Confusion(0, 0, 0, 0), estimates=estimates)


def verdict(params, held_out=(0.8, 0.85), out_of_fold=(0.8, 0.85), agreement=AGREES, comparison=None):
    return judge(scores(*held_out), scores(*out_of_fold), agreement, comparison, params.gate, 10)


def compared(small, champion, decisions=None, fingerprint="other rows"):
    """The small model as a challenger of `champion`, with other `decisions` than its own if given."""
    probabilities = small.scorer.probabilities(small.rows.test)
    decisions = small.scorer.decisions(probabilities) if decisions is None else decisions
    return compare(champion, small.rows.test, probabilities, decisions, fingerprint, small.params)


def failed(verdict):
    return {check.name for check in verdict.failed}


def test_a_good_model_is_allowed_in_production_if_there_is_no_champion(params):
    result = verdict(params)
    assert result.level == "production"
    assert result.summary() == "passes every check"
    why = {check.name: check.why for check in result.checks}
    assert why[CheckName.NOT_ROLLED_BACK] == "not needed: no version is in production yet"


def test_every_check_of_the_gate_is_in_the_verdict(params):
    of_alarms = {
        CheckName.HELD_OUT_CAUGHT, CheckName.HELD_OUT_FALSE_ALARMS, CheckName.CAUGHT_LOWER_BOUND,
        CheckName.FALSE_ALARMS_UPPER_BOUND,
    }  # fmt: skip
    assert [check.name for check in verdict(params).checks] == [name for name in CheckName if name not in of_alarms]
    gate = params.gate.model_copy(update={"max_false_alarm_rate": 1.0})
    judged = judge(scores(0.8, 0.85), scores(0.8, 0.85), AGREES, None, gate, 10, events())
    assert [check.name for check in judged.checks] == list(CheckName)


def test_a_model_that_misses_most_failures_is_rejected_and_one_that_may_stays_a_candidate(params):
    def judged(held_out, out_of_fold):
        found = events(held_out=event_scores(caught=held_out), out_of_fold=event_scores(caught=out_of_fold))
        return judge(scores(0.8, 0.85), scores(0.8, 0.85), AGREES, None, params.gate, 10, found)

    assert judged(0.45, 0.8).level is None
    assert failed(judged(0.8, 0.55)) == {CheckName.CAUGHT_LOWER_BOUND}
    assert judged(0.8, 0.55).level == "candidate"
    assert judged(0.8, 0.8).level == "production"


@pytest.mark.parametrize(
    ("held_out", "name", "reason"),
    [
        ((0.69, 0.85), "Recall on held-out rows", "0.690 is below 0.7 on 2,000 held-out rows with 68 failures"),
        ((0.8, 0.59), "F1 on held-out rows", "0.590 is below 0.6 on 2,000 held-out rows with 68 failures"),
    ],
)
def test_a_model_below_a_minimum_is_rejected_with_the_reason(params, held_out, name, reason):
    result = verdict(params, held_out=held_out)
    assert result.level is None
    assert failed(result) == {name}
    assert result.summary() == f"is rejected, because a check failed: {name} ({reason})"


def test_a_model_at_the_minimum_passes(params):
    assert verdict(params, held_out=(0.7, 0.6)).level == "production"


@pytest.mark.parametrize(
    ("out_of_fold", "name"),
    [((0.74, 0.85), CheckName.RECALL_LOWER_BOUND), ((0.8, 0.64), CheckName.F1_LOWER_BOUND)],
)
def test_a_model_whose_lower_bound_is_below_a_minimum_stays_a_candidate(params, out_of_fold, name):
    result = verdict(params, out_of_fold=out_of_fold)
    assert result.level == "candidate"
    assert failed(result) == {name}


@pytest.mark.parametrize("agreement", [Agreement(2000, 1e-7, 1), Agreement(2000, 1e-3, 0)])
def test_a_model_whose_export_disagrees_stays_a_candidate(params, agreement):
    result = verdict(params, agreement=agreement)
    assert result.level == "candidate"
    assert failed(result) == {CheckName.EXPORT_AGREES}


def test_an_equal_model_from_the_same_rows_does_not_replace_the_champion(params, small, champion):
    comparison = compared(small, champion, fingerprint=champion.training_fingerprint)
    result = verdict(params, comparison=comparison)
    assert result.level == "candidate"
    assert failed(result) == {"Improves on the champion"}
    assert result.failed[0].why == "trained on the same rows as version 3: F1 must be higher, and differs by +0.000"


def test_an_equal_model_from_new_rows_replaces_the_champion(params, small, champion):
    assert verdict(params, comparison=compared(small, champion)).level == "production"


def test_a_model_from_the_rows_of_a_rolled_back_version_stays_a_candidate(params, small, champion):
    champion = replace(champion, rolled_back={"these rows": "7", "those rows": "9"})
    result = verdict(params, comparison=compared(small, champion, fingerprint="these rows"))
    assert result.level == "candidate"
    assert failed(result) == {CheckName.NOT_ROLLED_BACK}
    assert "version 7 was trained on the same rows and rolled back" in result.summary()
    assert "promote 7 --force" in result.summary()


def test_a_model_from_other_rows_than_the_rolled_back_versions_passes(params, small, champion):
    champion = replace(champion, rolled_back={"these rows": "7"})
    assert verdict(params, comparison=compared(small, champion, fingerprint="other rows")).level == "production"


def test_a_model_with_a_lower_f1_does_not_replace_the_champion(params, small, champion):
    comparison = compared(small, champion, decisions=np.zeros(len(small.rows.test), dtype=bool))
    assert failed(verdict(params, comparison=comparison)) == {CheckName.NO_F1_LOSS, CheckName.NO_MODE_RECALL_LOSS}


def test_a_recall_loss_in_one_failure_mode_is_enough_to_stay_a_candidate(params, small, champion):
    """The challenger misses every second power failure and is perfect otherwise, so its F1 is higher than before."""
    failures, power_failures = (
        small.rows.test[name].to_numpy().astype(bool) for name in ("machine_failure", "power_failure")
    )
    missed = power_failures & (np.cumsum(power_failures) % 2 == 0)
    result = verdict(params, comparison=compared(small, champion, decisions=failures & ~missed))
    assert failed(result) == {CheckName.NO_MODE_RECALL_LOSS}
    assert "Power failure" in result.failed[0].why


def test_a_challenger_is_not_promoted_if_all_held_out_rows_are_in_the_champions_training_rows(params, small, champion):
    champion = replace(champion, training_rows=np.sort(row_hashes(small.rows.test["reading_id"])))
    result = verdict(params, comparison=compared(small, champion))
    assert result.level == "candidate"
    assert failed(result) == {CheckName.NO_F1_LOSS}
    assert "the other 0 rows have 0 failures, and a comparison needs 10" in result.summary()


def test_a_model_whose_champion_cannot_be_compared_stays_a_candidate_with_the_command_to_promote_it(
    params, small, champion
):
    comparison = replace(
        compared(small, champion), obstacle="it needs column vibration_mm_s, which the held-out rows do not have"
    )
    result = verdict(params, comparison=comparison)
    assert result.level == "candidate"
    assert result.summary() == (
        "stays a candidate, because a check failed: No F1 loss against the champion (not comparable with version 3: it needs "
        'column vibration_mm_s, which the held-out rows do not have; to use the new version anyway, run "predictive-maintenance '
        'promote" with the number of the new version and --force)'
    )
    check = {check.name: check for check in result.checks}[CheckName.NO_MODE_RECALL_LOSS]
    assert (check.measured, check.why) == ("-", 'not assessed: "No F1 loss against the champion" has the reason')


def test_a_champion_that_cannot_be_compared_is_one_failed_check_also_if_it_was_trained_on_the_same_rows(
    params, small, champion
):
    comparison = compared(small, champion, fingerprint=champion.training_fingerprint)
    comparison = replace(comparison, obstacle="it predicts broken", f1_difference=None)
    assert failed(verdict(params, comparison=comparison)) == {CheckName.NO_F1_LOSS}


def test_the_check_says_what_the_other_description_of_the_champion_changed(params, small, champion):
    comparison = replace(compared(small, champion), notes=("50 rows are left out",), same_columns=False)
    result = verdict(params, comparison=comparison)
    assert result.level == "production"
    why = {check.name: check.why for check in result.checks}
    assert why[CheckName.NO_F1_LOSS].endswith("with a lower bound of +0.000; 50 rows are left out")
    assert why[CheckName.IMPROVES_ON_CHAMPION] == "trained on other columns than the champion"


def test_too_few_failures_among_the_rows_that_the_champion_accepts_are_not_comparable(params, small, champion):
    comparison = replace(compared(small, champion), failures=3, rows=400, refused_rows=1200)
    result = verdict(params, comparison=comparison)
    assert failed(result) == {CheckName.NO_F1_LOSS}
    assert "was trained on 0 of the held-out rows and does not accept 1,200 others; the other 400 rows have 3" in (
        result.summary()
    )
