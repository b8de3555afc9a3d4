"""The champion and the challenger on the same rows, none of which the champion was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config import Params
from ..data.splits import row_hashes
from ..scoring import Scorer
from ..sensors import READING_ID
from .metrics import Estimate, Flags, GroupRecall, Scores, f1_difference, recall_by_mode, score


@dataclass(frozen=True)
class Champion:
    """The version that `production` points to. `training_rows` are hashes of the readings it was trained on.

    `rolled_back` names, by the fingerprint of their training rows, the versions that production was rolled back from.
    """

    version: str
    scorer: Scorer
    training_rows: npt.NDArray[np.uint64]
    training_fingerprint: str
    rolled_back: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
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
    champion: Champion, test: pd.DataFrame, probabilities: npt.NDArray[np.float64], decisions: Flags,
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
        return Comparison(champion.version, algorithm, len(rows), 0, seen, same, twin, None, None, None, (), ())
    champions = champion.scorer.probabilities(rows)
    theirs, ours = champion.scorer.decisions(champions), decisions[unseen]
    settings, seed = params.evaluation, params.training.seed
    return Comparison(
        champion.version,
        algorithm,
        len(rows),
        failures,
        seen,
        same,
        twin,
        score(rows, champions, theirs, params.costs, settings, seed),
        score(rows, probabilities[unseen], ours, params.costs, settings, seed),
        f1_difference(rows, ours, theirs, settings, seed),
        recall_by_mode(rows, theirs, settings),
        recall_by_mode(rows, ours, settings),
    )
