"""Sigmoid calibration on the logit (Platt 1999), fitted to out-of-fold probabilities.

Isotonic calibration is not offered: it produces ties, which lower PR-AUC.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from ..scorer.calibration import Calibration, logit

Vector = npt.NDArray[np.float64]


def fit_calibration(labels: npt.NDArray[np.integer], probabilities: Vector) -> Calibration:
    """Fit the sigmoid to `labels`. Returns the identity if the fitted slope is not positive."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6, max_iter=1000).fit(logit(probabilities)[:, None], labels)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Calibration(slope, intercept) if slope > 0 else Calibration()


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
