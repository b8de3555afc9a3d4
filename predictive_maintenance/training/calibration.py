"""Sigmoid calibration on the logit (Platt 1999), fitted on out-of-fold rows where it lowers the log-loss.

Isotonic calibration is left out on purpose: its ties cost PR-AUC.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from ..scorer.scoring import Calibration, logit

Vector = npt.NDArray[np.float64]


def fit_calibration(labels: npt.NDArray[np.integer], probabilities: Vector) -> Calibration:
    """The sigmoid that suits `labels` best; the identity when the probabilities do not rise with the labels."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6, max_iter=1000).fit(logit(probabilities)[:, None], labels)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Calibration(slope, intercept) if slope > 0 else Calibration()


def cross_fitted(labels: npt.NDArray[np.integer], probabilities: Vector, fold: npt.NDArray[np.integer]) -> Vector:
    """(n,) each fold's probabilities calibrated by what the other folds taught."""
    calibrated = np.empty_like(probabilities)
    for number in np.unique(fold):
        judged = fold == number
        calibrated[judged] = fit_calibration(labels[~judged], probabilities[~judged]).apply(probabilities[judged])
    return calibrated


def should_calibrate(
    kind: Literal["auto", "sigmoid", "none"], labels: npt.NDArray[np.integer], raw: Vector, calibrated: Vector
) -> bool:
    """Whether to calibrate: as told, or by the out-of-fold log-loss."""
    from sklearn.metrics import log_loss

    if kind != "auto":
        return kind == "sigmoid"
    return bool(log_loss(labels, calibrated) < log_loss(labels, np.clip(raw, 1e-6, 1 - 1e-6)))
