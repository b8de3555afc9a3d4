"""Candidates are tuned, calibrated and given a threshold on out-of-fold rows, reproducibly."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.training.calibration import calibrate_out_of_fold, fit_calibration, should_calibrate
from predictive_maintenance.training.candidate import select_calibration_and_threshold, train_candidate
from predictive_maintenance.training.estimators import save_estimator
from predictive_maintenance.training.export import estimator_probabilities
from predictive_maintenance.training.tuning import cross_validate


@pytest.fixture(scope="module")
def quick(params):
    return params.override(trials=3)


@pytest.fixture(scope="module")
def tuned(small, quick):
    """A candidate tuned in three trials, and the reported progress."""
    reported = []
    return train_candidate("lightgbm", small.rows.train, small.rows.fold, quick, reported.append), reported


def test_tuning_reports_each_trial_and_is_reproducible(small, quick, tuned):
    first, reported = tuned
    again = train_candidate("lightgbm", small.rows.train, small.rows.fold, quick)
    assert [progress.trial for progress in reported] == [1, 2, 3]
    assert "trial 3/3" in str(reported[-1])
    assert first.hyperparameters == again.hyperparameters
    assert first.threshold == again.threshold
    pd.testing.assert_frame_equal(first.trials, again.trials)
    np.testing.assert_array_equal(
        estimator_probabilities(first, small.rows.test, small.params.machine),
        estimator_probabilities(again, small.rows.test, small.params.machine),
    )


def test_another_seed_selects_other_hyperparameters(small, quick, tuned):
    trained, _ = tuned
    other = train_candidate("lightgbm", small.rows.train, small.rows.fold, quick.override(seed=8))
    assert trained.hyperparameters != other.hyperparameters


def test_an_out_of_fold_probability_does_not_depend_on_its_own_fold_s_labels(small):
    """Inverting the labels of one fold leaves its probabilities bit-identical and changes those of another fold."""
    labels = small.rows.train["machine_failure"].to_numpy()
    fold, training = small.rows.fold, small.params.training
    features = MILLING.feature_matrix(small.rows.train, small.trained.features)
    hyperparameters = {"n_estimators": 20}
    before = cross_validate("lightgbm", hyperparameters, features, labels, fold, training)
    inverted = np.where(fold == 0, 1 - labels, labels)
    after = cross_validate("lightgbm", hyperparameters, features, inverted, fold, training)
    np.testing.assert_array_equal(before[fold == 0], after[fold == 0])
    assert (before[fold == 1] != after[fold == 1]).any()


def test_a_fold_s_decisions_do_not_depend_on_its_own_labels(small):
    labels = small.rows.train["machine_failure"].to_numpy()
    fold = small.rows.fold
    raw = np.random.default_rng(1).random(len(labels)) * 0.5 + labels * 0.4
    _, _, before = select_calibration_and_threshold(labels, raw, fold, small.params)
    _, _, after = select_calibration_and_threshold(np.where(fold == 0, 1 - labels, labels), raw, fold, small.params)
    np.testing.assert_array_equal(before.decisions[fold == 0], after.decisions[fold == 0])


def test_calibration_corrects_overconfident_probabilities_unless_it_is_turned_off():
    random = np.random.default_rng(0)
    true = random.random(20_000) * 0.9 + 0.05
    labels = (random.random(20_000) < true).astype(int)
    fold = np.arange(20_000) % 5
    overconfident = true**3 / (true**3 + (1 - true) ** 3)
    calibrated = calibrate_out_of_fold(labels, overconfident, fold)
    assert log_loss(labels, calibrated) < log_loss(labels, overconfident)
    assert should_calibrate("auto", labels, overconfident, calibrated)
    assert fit_calibration(labels, overconfident).slope == pytest.approx(1 / 3, abs=0.03)
    assert not should_calibrate("none", labels, overconfident, calibrated)


def test_probabilities_that_decrease_with_the_labels_are_not_calibrated():
    labels = np.array([1, 1, 0, 0] * 50)
    assert fit_calibration(labels, 1 - labels * 0.5 - 0.25).is_identity


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_the_saved_estimator_can_be_loaded_without_pickle(small_models, tmp_path, algorithm):
    small = small_models[algorithm]
    trained = small.trained
    path = save_estimator(trained.estimator, tmp_path)
    features = MILLING.feature_matrix(small.rows.test[list(MILLING.input_names)], trained.features)
    if algorithm == "lightgbm":
        import lightgbm

        loaded = lightgbm.Booster(model_file=path).predict(features)
    else:
        import skops.io

        loaded = skops.io.load(path, trusted=["sklearn.tree._tree.Tree"]).predict_proba(features)[:, 1]
    np.testing.assert_allclose(loaded, trained.estimator.predict_proba(features)[:, 1], rtol=1e-12)
