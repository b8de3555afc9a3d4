"""Out-of-fold scores of a candidate that was trained on parts are those of one that was trained on a table."""

from predictive_maintenance.engine.engine import InProcess
from predictive_maintenance.evaluation.part_scores import in_order, out_of_fold_scores_of_parts
from predictive_maintenance.evaluation.row_sets import out_of_fold_scores
from predictive_maintenance.training.candidate import train_candidate
from predictive_maintenance.training.parts_candidate import train_candidate_from_parts
from tests.fixtures.row_parts import milling_table, write_parts


def test_out_of_fold_scores_of_parts_are_those_of_a_table(small, params, tmp_path):
    quick = params.override(trials=1)
    machine = quick.machine
    parts = write_parts(tmp_path / "parts", milling_table(small), machine.feature_names, machine.label_name)
    table = train_candidate("lightgbm", small.rows.train, small.rows.fold, quick)
    trained = train_candidate_from_parts("lightgbm", parts, quick, tmp_path)
    expected = out_of_fold_scores(table, small.rows.train, quick)
    found = out_of_fold_scores_of_parts(trained, quick, InProcess())
    assert (found.rows, found.failures, found.groups) == (expected.rows, expected.failures, expected.groups)
    for name, estimate in expected.estimates.items():
        if name != "brier":  # tool lives that are in two parts are added up in another order
            assert repr(found[name]) == repr(estimate), name


def test_results_that_end_early_wait_for_those_before_them():
    assert list(in_order([(2, "c"), (0, "a"), (1, "b"), (3, "d")])) == ["a", "b", "c", "d"]
