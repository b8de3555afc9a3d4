"""Threshold table and calibration bins."""

import numpy as np
import pytest
from sklearn import metrics as reference

from predictive_maintenance.evaluation.curves import CalibrationCounts, threshold_table


def test_the_threshold_table_ascends_and_agrees_with_scikit_learn(params):
    random = np.random.default_rng(5)
    labels = random.random(3000) < 0.1
    probabilities = np.clip(random.random(3000) * 0.6 + labels * 0.4, 0, 1)
    table = threshold_table(labels, probabilities, params.costs, chosen=0.51234)
    assert len(table) <= 201
    assert 0.51234 in table["threshold"].to_numpy()
    assert table["threshold"].is_monotonic_increasing
    for line in table.iloc[::40].itertuples():
        assert line.recall == pytest.approx(reference.recall_score(labels, probabilities >= line.threshold))
        assert line.precision == pytest.approx(reference.precision_score(labels, probabilities >= line.threshold))


def test_calibration_bins_cover_every_row():
    probabilities = np.linspace(0, 1, 1001)
    bins = CalibrationCounts.of(probabilities > 0.5, probabilities).table()
    assert bins["rows"].sum() == 1001
    assert bins["observed_share"].iloc[0] == 0.0
    assert bins["observed_share"].iloc[-1] == 1.0
