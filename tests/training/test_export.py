"""The exported trees predict as the fitted ones do, also for values midway between training values."""

import numpy as np
import onnxruntime
import pytest

from predictive_maintenance.errors import ModelError
from predictive_maintenance.training.estimators import build_estimator
from predictive_maintenance.training.export import to_onnx


@pytest.mark.parametrize("algorithm", ["lightgbm", "random_forest"])
def test_a_value_midway_between_two_training_values_follows_the_same_branch(algorithm):
    """Split thresholds are midway between training values: for even tenths, at the odd tenths."""
    random = np.random.default_rng(0)
    tenths = random.integers(2800, 3200, size=(4000, 3))
    trained = (tenths - tenths % 2).astype(np.float64) / 10
    labels = (trained.sum(axis=1) + random.normal(0, 3, 4000) > 905).astype(int)
    estimator = build_estimator(algorithm, {"n_estimators": 50}, seed=1, threads=1).fit(
        trained.astype(np.float32), labels
    )
    midway = ((random.integers(2800, 3200, size=(4000, 3)) | 1) / 10).astype(np.float32)

    session = onnxruntime.InferenceSession(to_onnx(estimator, 3), providers=["CPUExecutionProvider"])
    exported = session.run(None, {"features": midway})[0][:, 0]
    expected = (
        estimator.predict(midway, raw_score=True) if algorithm == "lightgbm" else estimator.predict_proba(midway)[:, 1]
    )
    np.testing.assert_allclose(exported, expected, atol=2e-5)


def test_a_model_with_more_than_one_output_is_rejected():
    """With three classes the converter writes three weights a leaf."""
    random = np.random.default_rng(0)
    features, classes = random.normal(size=(60, 3)).astype(np.float32), np.arange(60) % 3
    estimator = build_estimator("random_forest", {"n_estimators": 3}, seed=1, threads=1).fit(features, classes)
    with pytest.raises(ModelError, match="unsupported graph: expected one tree ensemble with one output"):
        to_onnx(estimator, 3)
