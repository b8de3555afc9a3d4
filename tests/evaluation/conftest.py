"""A champion for the challenger of the `small` model, and rows with labels and tool lives."""

import numpy as np
import pandas as pd
import pytest

from predictive_maintenance.evaluation.baseline_model import BaselineModel
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.validation.row_identity import row_hashes


@pytest.fixture(scope="session")
def champion(small):
    """The small model as a champion, trained on the training rows of the small model."""
    return BaselineModel(
        version="3",
        scorer=small.scorer,
        training_rows=np.sort(row_hashes(small.rows.train["reading_id"])),
        training_fingerprint=training_fingerprint(small.rows.train, small.params.machine),
    )


@pytest.fixture(scope="session")
def rows_with():
    """A function that makes rows with `labels` (n,) and tool lives of ten readings each, or `lives` (n,)."""

    def make(labels, lives=None):
        lives = np.arange(len(labels)) // 10 if lives is None else lives
        return pd.DataFrame({"machine_failure": labels, "group": [f"life {life}" for life in lives]})

    return make
