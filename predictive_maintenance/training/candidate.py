"""One candidate from the training rows: tuned, calibrated, given its threshold on out-of-fold rows, and fitted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import Algorithm, Params, Scalar
from ..machine.features import feature_matrix, feature_names
from ..machine.sensors import LABEL
from ..scorer.scoring import Calibration
from .calibration import cross_fitted, fit_calibration, should_calibrate
from .estimators import Estimator, Matrix, Vector, build
from .thresholds import select_threshold
from .tuning import Progress, Tuned, cross_validate, tune


@dataclass(frozen=True)
class OutOfFold:
    """What a candidate says of rows that neither its fold's model, nor its calibration, nor its threshold has seen."""

    probabilities: Vector
    decisions: npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class TrainedCandidate:
    """A fitted estimator with all that turns its output into a decision."""

    algorithm: Algorithm
    estimator: Estimator
    features: tuple[str, ...]
    hyperparameters: dict[str, Scalar]
    calibration: Calibration
    threshold: float
    out_of_fold: OutOfFold
    trials: pd.DataFrame


def train_candidate(
    algorithm: Algorithm,
    train: pd.DataFrame,
    fold: npt.NDArray[np.integer],
    params: Params,
    on_trial: Callable[[Progress], None] = lambda _: None,
) -> TrainedCandidate:
    """Tune, calibrate, choose the threshold, fit on all of `train`. The same seed and rows give the same model."""
    names = feature_names(params.features.published_limit_margins)
    features, labels = feature_matrix(train, names), train[LABEL.name].to_numpy()
    tuned = tune(algorithm, params.candidates[algorithm], features, labels, fold, params.training, on_trial)
    return _fit(algorithm, tuned, names, features, labels, fold, params)


def train_untuned(
    algorithm: Algorithm, train: pd.DataFrame, fold: npt.NDArray[np.integer], params: Params
) -> TrainedCandidate:
    """The same with the algorithm's own defaults: for a report on rows that a search has already seen."""
    names = feature_names(params.features.published_limit_margins)
    features, labels = feature_matrix(train, names), train[LABEL.name].to_numpy()
    hyperparameters = dict(params.candidates[algorithm].fixed)
    raw = cross_validate(algorithm, hyperparameters, features, labels, fold, params.training)
    return _fit(algorithm, Tuned(hyperparameters, raw, pd.DataFrame()), names, features, labels, fold, params)


def decide(
    labels: npt.NDArray[np.integer], raw: Vector, fold: npt.NDArray[np.integer], params: Params
) -> tuple[Calibration, float, OutOfFold]:
    """Calibration and threshold from out-of-fold probabilities, and what they give on rows that did not choose them."""
    calibrated = cross_fitted(labels, raw, fold)
    use = should_calibrate(params.training.calibration, labels, raw, calibrated)
    decisions = np.empty(len(labels), dtype=bool)
    for number in np.unique(fold):
        judged = fold == number
        # On raw probabilities: calibration keeps their order, and a fold's own would know the judged fold's labels.
        threshold = select_threshold(labels[~judged], raw[~judged], params.threshold, params.costs)
        decisions[judged] = raw[judged] >= threshold
    calibration = fit_calibration(labels, raw) if use else Calibration()
    threshold = select_threshold(labels, calibration.apply(raw), params.threshold, params.costs)
    return calibration, threshold, OutOfFold(calibrated if use else raw, decisions)


def _fit(
    algorithm: Algorithm,
    tuned: Tuned,
    names: tuple[str, ...],
    features: Matrix,
    labels: npt.NDArray[np.integer],
    fold: npt.NDArray[np.integer],
    params: Params,
) -> TrainedCandidate:
    calibration, threshold, out_of_fold = decide(labels, tuned.out_of_fold, fold, params)
    estimator = build(algorithm, tuned.hyperparameters, params.training.seed, params.training.threads)
    estimator.fit(features, labels)
    return TrainedCandidate(
        algorithm=algorithm,
        estimator=estimator,
        features=names,
        hyperparameters=tuned.hyperparameters,
        calibration=calibration,
        threshold=threshold,
        out_of_fold=out_of_fold,
        trials=tuned.trials,
    )
