"""Train one candidate: tune, calibrate, select the decision threshold on out-of-fold rows, and fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import Algorithm, Params, Scalar
from ..history.observed import ObservedMachines, observe
from ..scorer.calibration import Calibration
from .alarm_thresholds import false_alarms_are_limited, select_threshold_of_alarms
from .calibration import calibrate_out_of_fold, fit_calibration, should_calibrate
from .estimators import Estimator, Matrix, Vector, build_estimator
from .row_parts import TRAINING_ONLY
from .tuning import FinishedTrial, TuningResult, cross_validate, tune


@dataclass(frozen=True)
class OutOfFold:
    """(n,) predictions for the training rows. Model, calibration and threshold of each come from the other folds."""

    probabilities: Vector
    decisions: npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class FittedCandidate:
    """A fitted estimator with the calibration and threshold that turn its output into a decision.

    `notes` say on which rows it was searched and fitted, if these are not all training rows. `chosen` are the settings of
    params.yaml that depended on the free memory, with the values that they had.
    """

    algorithm: Algorithm
    estimator: Estimator
    features: tuple[str, ...]
    hyperparameters: dict[str, Scalar]
    calibration: Calibration
    threshold: float
    trials: pd.DataFrame
    notes: tuple[str, ...] = ()
    chosen: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainedCandidate(FittedCandidate):
    """A candidate with its out-of-fold predictions in memory."""

    out_of_fold: OutOfFold


def train_candidate(
    algorithm: Algorithm,
    train: pd.DataFrame,
    fold: npt.NDArray[np.integer],
    params: Params,
    on_trial: Callable[[FinishedTrial], None] = lambda _: None,
    training_only: pd.DataFrame | None = None,
) -> TrainedCandidate:
    """Tune, calibrate, select the threshold and fit on all of `train`. The same seed and rows give the same model.

    Every model is fitted to the rows `training_only` as well, and nothing is selected by them.
    """
    rows = _fitted_rows(train, fold, params, training_only)
    tuned = tune(algorithm, params.candidates[algorithm], *rows, params.training, on_trial)
    return _fit(algorithm, tuned, rows, train, params)


def train_untuned(
    algorithm: Algorithm,
    train: pd.DataFrame,
    fold: npt.NDArray[np.integer],
    params: Params,
    training_only: pd.DataFrame | None = None,
) -> TrainedCandidate:
    """Train a candidate without a search, with its fixed hyperparameters and the algorithm's defaults."""
    rows = _fitted_rows(train, fold, params, training_only)
    hyperparameters = dict(params.candidates[algorithm].fixed)
    raw = cross_validate(algorithm, hyperparameters, *rows, params.training)
    return _fit(algorithm, TuningResult(hyperparameters, raw, pd.DataFrame()), rows, train, params)


def select_calibration_and_threshold(
    labels: npt.NDArray[np.integer],
    raw: Vector,
    fold: npt.NDArray[np.integer],
    params: Params,
    train: pd.DataFrame | None = None,
) -> tuple[Calibration, float, OutOfFold]:
    """Select calibration and threshold by `raw`, the out-of-fold probabilities (n,).

    `OutOfFold` has the predictions that evaluate this choice: each fold's come from the other folds. `train` are the rows, which
    `threshold.at_most_false_alarms` needs.
    """
    calibrated = calibrate_out_of_fold(labels, raw, fold)
    use_calibration = should_calibrate(params.training.calibration, labels, raw, calibrated)
    decisions = np.empty(len(labels), dtype=bool)
    for number in np.unique(fold):
        held_out = fold == number
        # On raw probabilities: calibration keeps their order, and calibrated ones depend on the held-out fold's labels.
        others = _observed(train, ~held_out, params)
        threshold = select_threshold_of_alarms(labels[~held_out], raw[~held_out], params, others)
        decisions[held_out] = raw[held_out] >= threshold
    calibration = fit_calibration(labels, raw) if use_calibration else Calibration()
    every = _observed(train, np.ones(len(labels), dtype=bool), params)
    threshold = select_threshold_of_alarms(labels, calibration.apply(raw), params, every)
    return calibration, threshold, OutOfFold(calibrated if use_calibration else raw, decisions)


class _FittedRows(NamedTuple):
    """Features (n, F), labels (n,) and folds (n,) of the training rows, and after them of those for training only."""

    features: Matrix
    labels: npt.NDArray[np.integer]
    fold: npt.NDArray[np.integer]


def _fitted_rows(
    train: pd.DataFrame, fold: npt.NDArray[np.integer], params: Params, training_only: pd.DataFrame | None
) -> _FittedRows:
    machine = params.machine
    features, labels = machine.feature_matrix(train), train[machine.label_name].to_numpy()
    if training_only is None or training_only.empty:
        return _FittedRows(features, labels, fold)
    return _FittedRows(
        np.concatenate([features, machine.feature_matrix(training_only)]),
        np.concatenate([labels, training_only[machine.label_name].to_numpy()]),
        np.concatenate([fold, np.full(len(training_only), TRAINING_ONLY, dtype=fold.dtype)]),
    )


def _fit(
    algorithm: Algorithm, tuned: TuningResult, rows: _FittedRows, train: pd.DataFrame, params: Params
) -> TrainedCandidate:
    scored = slice(len(train))
    calibration, threshold, out_of_fold = select_calibration_and_threshold(
        rows.labels[scored], tuned.out_of_fold[scored], rows.fold[scored], params, train
    )
    estimator = build_estimator(algorithm, tuned.hyperparameters, params.training.seed, params.training.threads)
    estimator.fit(rows.features, rows.labels)
    return TrainedCandidate(
        algorithm=algorithm,
        estimator=estimator,
        features=params.machine.feature_names,
        hyperparameters=tuned.hyperparameters,
        calibration=calibration,
        threshold=threshold,
        out_of_fold=out_of_fold,
        trials=tuned.trials,
    )


def _observed(train: pd.DataFrame | None, rows: npt.NDArray[np.bool_], params: Params) -> ObservedMachines | None:
    """The machines of some training rows, if the selection of the threshold needs them."""
    return observe(params.machine, train[rows]) if train is not None and false_alarms_are_limited(params) else None
