"""Candidates are tuned, calibrated and given a threshold on rows that judge honestly, the same way each time."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from predictive_maintenance.machine.features import feature_matrix
from predictive_maintenance.machine.sensors import INPUT_NAMES
from predictive_maintenance.training.calibration import cross_fitted, fit_calibration, should_calibrate
from predictive_maintenance.training.candidate import decide, train_candidate
from predictive_maintenance.training.estimators import save_estimator
from predictive_maintenance.training.export import estimator_probabilities
from predictive_maintenance.training.tuning import cross_validate


@pytest.fixture(scope="module")
def quick(params):
    return params.override(trials=3)


def test_tuning_reports_each_trial_and_is_repeatable(small, quick):
    seen = []
    first = train_candidate("lightgbm", small.rows.train, small.rows.fold, quick, seen.append)
    again = train_candidate("lightgbm", small.rows.train, small.rows.fold, quick)
    assert [progress.trial for progress in seen] == [1, 2, 3]
    assert "trial 3/3" in str(seen[-1])
    assert first.hyperparameters == again.hyperparameters
    assert first.threshold == again.threshold
    pd.testing.assert_frame_equal(first.trials, again.trials)
    np.testing.assert_array_equal(
        estimator_probabilities(first, small.rows.test), estimator_probabilities(again, small.rows.test)
    )


def test_another_seed_searches_elsewhere(small, quick):
    trained = train_candidate("lightgbm", small.rows.train, small.rows.fold, quick)
    other = train_candidate("lightgbm", small.rows.train, small.rows.fold, quick.override(seed=8))
    assert trained.hyperparameters != other.hyperparameters


def test_an_out_of_fold_probability_does_not_know_its_own_label(small):
    """Labels of the judged fold turned around: its probabilities stay as they are, bit by bit."""
    labels = small.rows.train["machine_failure"].to_numpy()
    fold, training = small.rows.fold, small.params.training
    features = feature_matrix(small.rows.train, small.trained.features)
    hyperparameters = {"n_estimators": 20}
    honest = cross_validate("lightgbm", hyperparameters, features, labels, fold, training)
    turned = np.where(fold == 0, 1 - labels, labels)
    spoiled = cross_validate("lightgbm", hyperparameters, features, turned, fold, training)
    np.testing.assert_array_equal(honest[fold == 0], spoiled[fold == 0])
    assert (honest[fold == 1] != spoiled[fold == 1]).any()


def test_a_folds_decisions_do_not_know_its_own_labels(small):
    labels = small.rows.train["machine_failure"].to_numpy()
    fold = small.rows.fold
    raw = np.random.default_rng(1).random(len(labels)) * 0.5 + labels * 0.4
    _, _, honest = decide(labels, raw, fold, small.params)
    _, _, spoiled = decide(np.where(fold == 0, 1 - labels, labels), raw, fold, small.params)
    np.testing.assert_array_equal(honest.decisions[fold == 0], spoiled.decisions[fold == 0])


def test_calibration_mends_overconfident_probabilities_and_is_left_out_where_it_does_not_help():
    random = np.random.default_rng(0)
    true = random.random(20_000) * 0.9 + 0.05
    labels = (random.random(20_000) < true).astype(int)
    fold = np.arange(20_000) % 5
    overconfident = true**3 / (true**3 + (1 - true) ** 3)
    calibrated = cross_fitted(labels, overconfident, fold)
    assert log_loss(labels, calibrated) < log_loss(labels, overconfident)
    assert should_calibrate("auto", labels, overconfident, calibrated)
    assert fit_calibration(labels, overconfident).slope == pytest.approx(1 / 3, abs=0.03)
    assert not should_calibrate("none", labels, overconfident, calibrated)


def test_probabilities_that_fall_as_failures_rise_are_left_alone():
    labels = np.array([1, 1, 0, 0] * 50)
    assert fit_calibration(labels, 1 - labels * 0.5 - 0.25).is_identity


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_the_stored_estimator_can_be_opened_without_pickle(small, tmp_path, algorithm):
    from predictive_maintenance.training.candidate import train_untuned

    trained = train_untuned(algorithm, small.rows.train, small.rows.fold, small.params)
    path = save_estimator(trained.estimator, tmp_path)
    features = feature_matrix(small.rows.test[list(INPUT_NAMES)], trained.features)
    if algorithm == "lightgbm":
        import lightgbm

        found = lightgbm.Booster(model_file=path).predict(features)
    else:
        import skops.io

        found = skops.io.load(path, trusted=["sklearn.tree._tree.Tree"]).predict_proba(features)[:, 1]
    np.testing.assert_allclose(found, trained.estimator.predict_proba(features)[:, 1], rtol=1e-12)
