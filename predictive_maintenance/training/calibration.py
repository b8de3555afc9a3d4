"""Sigmoid calibration on the logit (Platt 1999), fitted to out-of-fold probabilities.

Isotonic calibration is not offered: it produces ties, which lower PR-AUC.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from ..scorer.calibration import Calibration, logit
from .score_summary import ScoreSummary

Vector = npt.NDArray[np.float64]


def fit_calibration(labels: npt.NDArray[np.integer], probabilities: Vector) -> Calibration:
    """Fit the sigmoid to `labels`. Returns the identity if the fitted slope is not positive."""
    return _fit(labels, probabilities, None)


def fit_calibration_of(summary: ScoreSummary) -> Calibration:
    """The calibration that `fit_calibration` fits, but for the tolerance of its solver, from a summary of the probabilities."""
    labels, scores, counts = _labelled(summary, summary.typical)
    return _fit(labels, scores, counts)


def log_loss_of(summary: ScoreSummary, probabilities: Vector) -> float:
    """The log-loss of the rows of `summary` with these `probabilities` (k,) in place of its scores, summed over the rows."""
    labels, given, counts = _labelled(summary, np.clip(probabilities, 1e-6, 1 - 1e-6))
    return float(-(counts @ np.where(labels == 1, np.log(given), np.log1p(-given))))


def calibrate_out_of_fold(
    labels: npt.NDArray[np.integer], probabilities: Vector, fold: npt.NDArray[np.integer]
) -> Vector:
    """(n,) each fold's probabilities, calibrated by a sigmoid fitted on the other folds."""
    calibrated = np.empty_like(probabilities)
    for number in np.unique(fold):
        held_out = fold == number
        calibration = fit_calibration(labels[~held_out], probabilities[~held_out])
        calibrated[held_out] = calibration.apply(probabilities[held_out])
    return calibrated


def should_calibrate(
    method: Literal["auto", "sigmoid", "none"], labels: npt.NDArray[np.integer], raw: Vector, calibrated: Vector
) -> bool:
    """Whether to calibrate: as `method` sets or, for "auto", if it lowers the out-of-fold log-loss."""
    from sklearn.metrics import log_loss

    if method != "auto":
        return method == "sigmoid"
    return bool(log_loss(labels, calibrated) < log_loss(labels, np.clip(raw, 1e-6, 1 - 1e-6)))


def _fit(labels: npt.NDArray[np.integer], probabilities: Vector, counts: Vector | None) -> Calibration:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6, max_iter=1000).fit(logit(probabilities)[:, None], labels, counts)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Calibration(slope, intercept) if slope > 0 else Calibration()


def _labelled(summary: ScoreSummary, scores: Vector) -> tuple[npt.NDArray[np.int64], Vector, Vector]:
    """Labels, scores and numbers of rows, each (2k,): the failures first."""
    counts = np.concatenate([summary.failures, summary.rows - summary.failures]).astype(np.float64)
    return np.repeat([1, 0], len(scores)), np.tile(scores, 2), counts
