"""Permutation importances of a trained candidate's features."""

import pandas as pd

from ..machine.machine import Machine
from ..training.candidate import FittedCandidate

_REPEATS = 5
_MAX_ROWS = 20_000


def permutation_importances(trained: FittedCandidate, rows: pd.DataFrame, machine: Machine, seed: int) -> pd.DataFrame:
    """Loss of PR-AUC on `rows` when one feature is shuffled, by descending loss.

    Columns: feature, pr_auc_loss (mean over repeats), deviation (standard deviation over repeats).
    """
    from sklearn.inspection import permutation_importance

    sample = rows.sample(min(len(rows), _MAX_ROWS), random_state=seed)
    result = permutation_importance(
        trained.estimator,
        machine.feature_matrix(sample, trained.features),
        sample[machine.label_name].to_numpy(),
        scoring="average_precision",
        n_repeats=_REPEATS,
        random_state=seed,
    )
    table = pd.DataFrame(
        {"feature": trained.features, "pr_auc_loss": result.importances_mean, "deviation": result.importances_std}
    )
    return table.sort_values("pr_auc_loss", ascending=False, ignore_index=True)
