"""The exported trees decide as the fitted ones do, also on readings that lie exactly between those that were seen."""

import numpy as np
import onnxruntime
import pytest

from predictive_maintenance.errors import ModelError
from predictive_maintenance.training.estimators import build
from predictive_maintenance.training.export import to_onnx


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_a_reading_midway_between_two_that_were_seen_goes_the_same_way(algorithm):
    """Thresholds lie midway between seen values: with every second tenth seen, the others are thresholds."""
    random = np.random.default_rng(0)
    tenths = random.integers(2800, 3200, size=(4000, 3))
    seen = (tenths - tenths % 2).astype(np.float64) / 10
    labels = (seen.sum(axis=1) + random.normal(0, 3, 4000) > 905).astype(int)
    estimator = build(algorithm, {"n_estimators": 50}, seed=1, threads=1).fit(seen.astype(np.float32), labels)
    between = ((random.integers(2800, 3200, size=(4000, 3)) | 1) / 10).astype(np.float32)

    session = onnxruntime.InferenceSession(to_onnx(estimator, 3), providers=["CPUExecutionProvider"])
    exported = session.run(None, {"features": between})[0][:, 0]
    exact = (
        estimator.predict(between, raw_score=True)
        if algorithm == "lightgbm"
        else estimator.predict_proba(between)[:, 1]
    )
    np.testing.assert_allclose(exported, exact, atol=2e-5)


def test_what_is_no_ensemble_of_one_output_is_not_exported():
    """Three classes instead of two: the converter makes three weights a leaf of it."""
    random = np.random.default_rng(0)
    features, classes = random.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 3
    estimator = build("random_forest", {"n_estimators": 3}, seed=1, threads=1).fit(features, classes)
    with pytest.raises(ModelError, match="another kind of model than the one that is known"):
        to_onnx(estimator, 3)
