"""Rows of a source for training only: every model is fitted to them, and nothing is scored, selected or stored by them."""

import json

import numpy as np
import pandas as pd
import pytest

from machines.milling.simulator import simulate
from predictive_maintenance.errors import DataError
from predictive_maintenance.evaluation.row_sets import forward_scores, out_of_fold_scores
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.scorer.version_files import GOLDEN_FILE, MONITORING_FILE, REFERENCE_FILE, TRAINING_ROWS_FILE
from predictive_maintenance.training.candidate import (
    select_calibration_and_threshold,
    train_candidate,
    train_untuned,
)
from predictive_maintenance.training.estimators import build_estimator, failure_probabilities
from predictive_maintenance.training.export import export_model
from predictive_maintenance.training.parts_candidate import train_candidate_from_parts
from predictive_maintenance.training.row_parts import TRAINING_ONLY
from predictive_maintenance.training.splits import choose_sides, split
from predictive_maintenance.training.tuning import cross_validate
from tests.fixtures.row_parts import write_parts

HOT = 345.0
"""An air temperature in K that only rows for training only have."""


@pytest.fixture(scope="module")
def quick(params):
    return params.override(trials=2)


@pytest.fixture(scope="module")
def real(simulated):
    return MILLING.with_features(simulated)


@pytest.fixture(scope="module")
def extra():
    rows = simulate(1500, seed=4).assign(source_index=1, source="extra", row=range(1, 1501), air_temperature_k=HOT)
    return MILLING.with_features(rows)


@pytest.fixture(scope="module")
def with_extra(quick, real, extra):
    return split(pd.concat([real, extra], ignore_index=True), MILLING, quick.split, 7, training_only={1})


@pytest.fixture(scope="module")
def alone(quick, real):
    return split(real, MILLING, quick.split, 7)


@pytest.fixture(scope="module")
def trained(quick, with_extra):
    rows = with_extra
    return train_untuned("lightgbm", rows.train, rows.fold, quick, rows.training_only)


def test_they_are_on_no_side_and_do_not_move_the_others(with_extra, alone, extra):
    for side in ("train", "test"):
        names = ["reading_id", "group"]
        pd.testing.assert_frame_equal(
            getattr(with_extra, side)[names].astype(str), getattr(alone, side)[names].astype(str)
        )
    np.testing.assert_array_equal(with_extra.fold, alone.fold)
    assert set(with_extra.training_only["reading_id"]) == set(extra["reading_id"])
    assert with_extra.history.empty
    assert with_extra.notes == ("1,500 rows are of sources for training only: they are never held out or scored",)


def test_by_time_they_do_not_move_the_boundary(quick, real, extra):
    times = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(2000), unit="h")
    late = extra.assign(timestamp=times[-1] + pd.Timedelta(days=99), machine_id="simulated")
    rows = pd.concat([real.assign(timestamp=times, machine_id="A"), late], ignore_index=True)
    settings = quick.split.model_copy(update={"by": "time"})
    only = (rows["source_index"] == 1).to_numpy()
    rows["group"] = rows["machine_id"].astype("category")
    sides = choose_sides(rows, MILLING, settings, 7, training_only=only)
    assert sides.held_out.sum() == pytest.approx(0.2 * 2000, abs=1)
    assert not (sides.held_out & only).any()
    assert not (sides.trained & only).any()


def test_a_tool_life_ends_where_they_begin(quick, real, extra):
    """The first reading of the other source can have a higher wear than the last one."""
    extra = extra.assign(tool_wear_min=extra["tool_wear_min"] + 500)
    rows = split(pd.concat([real, extra], ignore_index=True), MILLING, quick.split, 7, training_only={1})
    assert not set(rows.training_only["group"].astype(str)) & set(
        pd.concat([rows.train, rows.test])["group"].astype(str)
    )


def test_a_machine_that_both_sources_have_is_an_error(quick, real, extra):
    rows = pd.concat([frame.assign(machine_id="A") for frame in (real, extra)], ignore_index=True)
    with pytest.raises(DataError, match="machine 'A' has readings of a source for training only and of another one"):
        split(rows, MILLING, quick.split, 7, training_only={1})


def test_a_group_that_both_sources_have_is_an_error_also_if_its_rows_are_in_several_parts(quick, real, extra):
    rows = pd.concat([real, extra], ignore_index=True)
    only = (rows["source_index"] == 1).to_numpy()
    sites = np.where(only, "simulated", "north")
    sites[-1] = "north"
    rows["group"] = pd.Categorical(sites)
    with pytest.raises(DataError, match="'north' has readings of a source for training only and of another one"):
        choose_sides(rows, MILLING, quick.split, 7, training_only=only)


def test_every_model_is_fitted_to_them(quick, with_extra, trained):
    rows = with_extra
    training, hyperparameters = quick.training, trained.hyperparameters
    merged = build_estimator("lightgbm", hyperparameters, training.seed, training.threads)
    merged.fit(MILLING.feature_matrix(rows.fitted), rows.fitted["machine_failure"].to_numpy())
    features = MILLING.feature_matrix(rows.test)
    expected = failure_probabilities(merged, features)
    np.testing.assert_array_equal(failure_probabilities(trained.estimator, features), expected)
    without = train_untuned("lightgbm", rows.train, rows.fold, quick)
    assert (failure_probabilities(without.estimator, features) != expected).any()
    assert (trained.out_of_fold.probabilities != without.out_of_fold.probabilities).any()


def test_the_out_of_fold_scores_are_of_the_other_rows(quick, with_extra, trained):
    assert np.isfinite(trained.out_of_fold.probabilities).all()
    assert out_of_fold_scores(trained, with_extra.train, quick).rows == len(with_extra.train)


def test_threshold_and_calibration_are_selected_by_the_other_rows(quick, with_extra, trained):
    rows, hyperparameters = with_extra, trained.hyperparameters
    labels, fold = rows.fitted["machine_failure"].to_numpy(), np.append(rows.fold, np.full(1500, TRAINING_ONLY))
    features = MILLING.feature_matrix(rows.fitted)
    raw = cross_validate("lightgbm", hyperparameters, features, labels, fold, quick.training)
    assert np.isnan(raw[len(rows.train) :]).all()
    others = slice(len(rows.train))
    calibration, threshold, _ = select_calibration_and_threshold(labels[others], raw[others], rows.fold, quick)
    assert (trained.calibration, trained.threshold) == (calibration, threshold)


def test_the_forward_report_evaluates_later_rows_of_the_others(quick, with_extra, alone, trained):
    scores, _ = forward_scores(trained, with_extra, quick)
    expected, _ = forward_scores(trained, alone, quick)
    assert (scores.rows, scores.failures) == (expected.rows, expected.failures)
    assert scores["pr_auc"].value != expected["pr_auc"].value


def test_a_version_remembers_the_others_as_its_reference(quick, with_extra, trained):
    files = export_model(trained, with_extra, quick)
    golden, reference, monitoring = (json.loads(files[name]) for name in (GOLDEN_FILE, REFERENCE_FILE, MONITORING_FILE))
    assert max(golden["readings"]["air_temperature_k"]) < HOT
    assert max(reference["air_temperature_k"]) < HOT
    watched = monitoring["columns"]["air_temperature_k"]
    assert sum(watched["counts"]) == len(with_extra.train)
    assert len(files[TRAINING_ROWS_FILE]) > 8 * len(with_extra.fitted)  # an evaluation must not take them for unseen


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_parts_give_the_candidate_of_tables(quick, with_extra, tmp_path, algorithm):
    rows = with_extra
    fixed = {"n_estimators": 20}
    candidates = {algorithm: quick.candidates[algorithm].model_copy(update={"fixed": fixed})}
    few = quick.model_copy(update={"candidates": candidates})
    fold = np.append(rows.fold, np.full(len(rows.training_only), TRAINING_ONLY))
    table = pd.DataFrame(MILLING.feature_matrix(rows.fitted), columns=list(MILLING.feature_names))
    table = table.assign(
        machine_failure=rows.fitted["machine_failure"], group=rows.fitted["group"].astype(str), fold=fold
    )
    parts = write_parts(tmp_path / "rows", table, MILLING.feature_names, "machine_failure")
    (tmp_path / "all").mkdir()
    found = train_candidate_from_parts(algorithm, parts, few, tmp_path / "all")
    expected = train_candidate(algorithm, rows.train, rows.fold, few, training_only=rows.training_only)
    candidate = found.candidate
    assert (candidate.threshold, candidate.calibration) == (expected.threshold, expected.calibration)
    predicted = np.concatenate([found.out_of_fold.read(place).probabilities for place in range(3)])
    np.testing.assert_array_equal(predicted, expected.out_of_fold.probabilities)
    features = MILLING.feature_matrix(rows.test)
    np.testing.assert_array_equal(
        failure_probabilities(candidate.estimator, features), failure_probabilities(expected.estimator, features)
    )
    (tmp_path / "sample").mkdir()
    sampled = few.model_copy(update={"training": few.training.model_copy(update={"search_rows": 2000})})
    found = train_candidate_from_parts(algorithm, parts, sampled, tmp_path / "sample")
    assert sum(len(found.out_of_fold.read(place).decisions) for place in range(3)) == len(rows.train)
