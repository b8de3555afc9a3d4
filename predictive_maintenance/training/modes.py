"""Train the model that says which failure mode is the likeliest if a machine fails."""

import numpy as np
import pandas as pd

from ..machine.machine import Machine
from .estimators import Estimator

_TREES = 100
_SETTINGS = {"max_depth": 12, "min_samples_leaf": 5, "max_features": 0.3, "min_impurity_decrease": 0.0}
_MIN_MODES = 2
_MAX_ROWS = 20_000
"""More failing rows are readings before the same failures, which resemble each other. The time grows with their number."""


def has_mode_model(machine: Machine) -> bool:
    """Whether alarms of the machine have a failure mode: it has a history or a horizon, and several modes."""
    has_alarms = machine.needs_history or machine.horizon is not None
    return has_alarms and len(machine.mode_names) >= _MIN_MODES


def train_modes(rows: pd.DataFrame, machine: Machine, features: tuple[str, ...], seed: int) -> Estimator | None:
    """A random forest with one output for each failure mode, fitted to the failing rows alone; None if they have one mode.

    Of many failing rows it takes a sample. Its outputs are shares of trees, one against the rest, so that a row may have several
    modes or none. A mode that no row has gets 0.
    """
    from sklearn.ensemble import RandomForestRegressor

    failing = rows[rows[machine.label_name] == 1]
    failing = failing.sample(min(len(failing), _MAX_ROWS), random_state=seed).sort_index()
    modes = failing.reindex(columns=list(machine.mode_names)).fillna(0).to_numpy(dtype=np.float64)
    if (modes.sum(axis=0) > 0).sum() < _MIN_MODES:
        return None
    # Squared error over indicators of modes is Gini impurity.
    forest = RandomForestRegressor(n_estimators=_TREES, random_state=seed, n_jobs=1, **_SETTINGS)
    return forest.fit(machine.feature_matrix(failing, features), modes)
