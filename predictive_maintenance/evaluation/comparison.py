"""The champion and the challenger on the same rows, none of which the champion was trained on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import Params
from ..machine.sensors import READING_ID
from ..training.splits import row_hashes
from .baseline_model import BaselineModel
from .metrics import Estimate, Flags, GroupRecall, Scores, f1_difference, recall_by_mode, score


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The champion against the challenger. `rows` of the held-out rows are compared, `seen_rows` the champion knows.

    Scores and the difference are None when no row with a failure is left. `rolled_back_twin` is the version, if any, that
    was trained on the challenger's rows and rolled back.
    """

    version: str
    algorithm: str
    rows: int
    failures: int
    seen_rows: int
    same_training_data: bool
    rolled_back_twin: str | None
    champion: Scores | None
    challenger: Scores | None
    f1_difference: Estimate | None
    champion_modes: tuple[GroupRecall, ...]
    challenger_modes: tuple[GroupRecall, ...]


def compare(
    champion: BaselineModel, test: pd.DataFrame, probabilities: npt.NDArray[np.float64], decisions: Flags,
    training_fingerprint: str, params: Params,
) -> Comparison:  # fmt: skip
    """Score `champion` on the rows of `test` that it has not seen, beside the challenger's `decisions` (n,) on them."""
    unseen = ~np.isin(row_hashes(test[READING_ID.name]), champion.training_rows)
    rows = test[unseen].reset_index(drop=True)
    same = champion.training_fingerprint == training_fingerprint
    twin = champion.rolled_back.get(training_fingerprint)
    failures = int(rows["machine_failure"].sum())
    algorithm, seen = champion.scorer.spec.algorithm, int((~unseen).sum())
    if failures == 0:
        return Comparison(
            version=champion.version,
            algorithm=algorithm,
            rows=len(rows),
            failures=0,
            seen_rows=seen,
            same_training_data=same,
            rolled_back_twin=twin,
            champion=None,
            challenger=None,
            f1_difference=None,
            champion_modes=(),
            challenger_modes=(),
        )
    champions = champion.scorer.probabilities(rows)
    theirs, ours = champion.scorer.decisions(champions), decisions[unseen]
    settings, seed = params.evaluation, params.training.seed
    return Comparison(
        version=champion.version,
        algorithm=algorithm,
        rows=len(rows),
        failures=failures,
        seen_rows=seen,
        same_training_data=same,
        rolled_back_twin=twin,
        champion=score(rows, champions, theirs, params.costs, settings, seed),
        challenger=score(rows, probabilities[unseen], ours, params.costs, settings, seed),
        f1_difference=f1_difference(rows, ours, theirs, settings, seed),
        champion_modes=recall_by_mode(rows, theirs, settings),
        challenger_modes=recall_by_mode(rows, ours, settings),
    )
