"""The champion and the challenger on the same held-out rows, without those that the champion was trained on."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..config.params import Params
from ..machine.machine import Machine
from ..machine.names import READING_ID
from ..validation.row_identity import row_hashes
from .baseline_model import BaselineModel
from .failure_modes import ModeRecall, recall_by_mode
from .intervals import BoolArray, Estimate, FloatArray
from .metrics import Scores, f1_difference, score


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The champion `version` against the challenger.

    `rows` held-out rows were compared; `seen_rows` were left out, because the champion was trained on them. Scores and
    the F1 difference are None if the compared rows contain no failure. `rolled_back_twin` is the version that was
    trained on the challenger's training rows and rolled back, if there is one.
    """

    version: str
    algorithm: str
    rows: int
    failures: int
    seen_rows: int
    same_training_data: bool
    rolled_back_twin: str | None
    champion: Scores | None = None
    challenger: Scores | None = None
    f1_difference: Estimate | None = None
    champion_modes: tuple[ModeRecall, ...] = ()
    challenger_modes: tuple[ModeRecall, ...] = ()


def compare(
    champion: BaselineModel, test: pd.DataFrame, probabilities: FloatArray, decisions: BoolArray,
    fingerprint: str, params: Params,
) -> Comparison:  # fmt: skip
    """Compare the challenger's `probabilities` and `decisions` (both (n,)) on `test` with those of `champion`.

    `fingerprint` is the `training_fingerprint` of the challenger's training rows.
    """
    unseen = ~np.isin(row_hashes(test[READING_ID]), champion.training_rows)
    rows = test[unseen].reset_index(drop=True)
    machine = params.machine
    failures = int(rows[machine.label_name].sum())
    comparison = Comparison(
        version=champion.version,
        algorithm=champion.scorer.spec.algorithm,
        rows=len(rows),
        failures=failures,
        seen_rows=int((~unseen).sum()),
        same_training_data=champion.training_fingerprint == fingerprint,
        rolled_back_twin=champion.rolled_back.get(fingerprint),
    )
    if failures == 0:
        return comparison
    champion_probabilities = champion.scorer.probabilities(rows)
    champion_decisions = champion.scorer.decisions(champion_probabilities)
    challenger_decisions = decisions[unseen]
    settings, seed = params.evaluation, params.training.seed
    return replace(
        comparison,
        champion=score(
            rows, machine.label_name, champion_probabilities, champion_decisions, params.costs, settings, seed
        ),
        challenger=score(
            rows, machine.label_name, probabilities[unseen], challenger_decisions, params.costs, settings, seed
        ),
        f1_difference=f1_difference(rows, machine.label_name, challenger_decisions, champion_decisions, settings, seed),
        champion_modes=recall_by_mode(rows, champion_decisions, machine, settings),
        challenger_modes=recall_by_mode(rows, challenger_decisions, machine, settings),
    )


def training_fingerprint(train: pd.DataFrame, machine: Machine) -> str:
    """sha256 of the ids, inputs and labels of the training rows, independent of their order."""
    inputs = [name for name in machine.input_names if name in train]
    hashes = pd.util.hash_pandas_object(train[[READING_ID, *inputs, machine.label_name]], index=False)
    return hashlib.sha256(np.sort(hashes.to_numpy()).tobytes()).hexdigest()
