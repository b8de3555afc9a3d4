"""Build, run and save the estimator of each algorithm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.params import Algorithm, Scalar

Estimator = Any
"""A scikit-learn RandomForestClassifier or a LightGBM LGBMClassifier; neither library ships types."""

Matrix = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


def build_estimator(algorithm: Algorithm, hyperparameters: Mapping[str, Scalar], seed: int, threads: int) -> Estimator:
    """Build an unfitted estimator. The same seed and data give the same model for any number of threads."""
    settings: dict[str, Any] = dict(hyperparameters) | {"random_state": seed, "n_jobs": threads}
    if algorithm == "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(**settings)
    from lightgbm import LGBMClassifier

    return LGBMClassifier(**settings, deterministic=True, force_row_wise=True, verbose=-1)


def failure_probabilities(estimator: Estimator, features: Matrix) -> Vector:
    """(n,) float64 probabilities of failure, not calibrated."""
    return np.asarray(estimator.predict_proba(features), dtype=np.float64)[:, 1]


def save_estimator(estimator: Estimator, folder: Path) -> Path:
    """Write the fitted estimator to `folder` without pickle: LightGBM's text format, skops for scikit-learn."""
    from lightgbm import LGBMClassifier

    if isinstance(estimator, LGBMClassifier):
        path = folder / "lightgbm.txt"
        estimator.booster_.save_model(path)
        return path
    import skops.io

    path = folder / "random_forest.skops"
    skops.io.dump(estimator, path)
    return path
