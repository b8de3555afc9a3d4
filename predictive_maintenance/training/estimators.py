"""The algorithms that compete: how each is built from its hyperparameters, and stored for those who look inside."""

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


def build(algorithm: Algorithm, hyperparameters: Mapping[str, Scalar], seed: int, threads: int) -> Estimator:
    """An unfitted estimator. The same seed and data give the same model, whatever the number of threads."""
    settings: dict[str, Any] = dict(hyperparameters) | {"random_state": seed, "n_jobs": threads}
    if algorithm == "random_forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(**settings)
    from lightgbm import LGBMClassifier

    return LGBMClassifier(**settings, deterministic=True, force_row_wise=True, verbose=-1)


def failure_probabilities(estimator: Estimator, features: Matrix) -> Vector:
    """(n,) float64 probabilities of failure, as the estimator itself gives them."""
    return np.asarray(estimator.predict_proba(features), dtype=np.float64)[:, 1]


def save_estimator(estimator: Estimator, folder: Path) -> Path:
    """Write the fitted estimator without pickle: LightGBM's own text format, skops for scikit-learn."""
    from lightgbm import LGBMClassifier

    if isinstance(estimator, LGBMClassifier):
        path = folder / "lightgbm.txt"
        estimator.booster_.save_model(path)
        return path
    import skops.io

    path = folder / "random_forest.skops"
    skops.io.dump(estimator, path)
    return path
