"""The evaluation of a run's chosen candidate: everything that its card, its report and the gate are made of."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..config.params import Params
from ..errors import DataError
from ..machine.features import feature_matrix
from ..machine.sensors import INPUT_NAMES, LABEL, MODE_NAMES, PRODUCT_TYPE, PRODUCT_TYPES, READING_ID
from ..scorer.scoring import Scorer
from ..training.candidate import TrainedCandidate, train_untuned
from ..training.export import Agreement, agreement, estimator_probabilities
from ..training.splits import SplitRows, assign_folds, forward_split
from .baseline_model import BaselineModel
from .comparison import Comparison, compare
from .gate import judge
from .metrics import GroupRecall, Scores, calibration_bins, over_thresholds, recall_by_mode, score
from .rules import broken_rules
from .verdict import Verdict

_IMPORTANCE_REPEATS = 5
_IMPORTANCE_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured of one model. `forward` and `oracle` are None where the rows do not allow them."""

    algorithm: str
    threshold: float
    held_out: Scores
    out_of_fold: Scores
    forward: Scores | None
    forward_note: str
    oracle: Scores | None
    modes: tuple[GroupRecall, ...]
    product_types: dict[str, Scores]
    thresholds: pd.DataFrame
    calibration: pd.DataFrame
    importances: pd.DataFrame
    agreement: Agreement
    comparison: Comparison | None
    verdict: Verdict


def evaluate(
    trained: TrainedCandidate, out_of_fold: Scores, scorer: Scorer, rows: SplitRows, champion: BaselineModel | None,
    params: Params,
) -> Evaluation:  # fmt: skip
    """Judge the exported `scorer` of `trained` on the held-out rows, and against the champion on the same ones.

    `out_of_fold` is what `out_of_fold_scores` gave for `trained`.
    """
    settings, costs, seed = params.evaluation, params.costs, params.training.seed
    test = rows.test
    probabilities = scorer.probabilities(test)
    decisions = scorer.decisions(probabilities)
    labels = test[LABEL.name].to_numpy().astype(bool)
    held_out = score(test, probabilities, decisions, costs, settings, seed)
    forward, note = forward_scores(trained, rows, params)
    agrees = agreement(trained, scorer, test)
    fingerprint = training_fingerprint(rows.train)
    comparison = compare(champion, test, probabilities, decisions, fingerprint, params) if champion else None
    return Evaluation(
        algorithm=trained.algorithm,
        threshold=trained.threshold,
        held_out=held_out,
        out_of_fold=out_of_fold,
        forward=forward,
        forward_note=note,
        oracle=_oracle(test, params),
        modes=recall_by_mode(test, decisions, settings),
        product_types=_by_product_type(test, probabilities, decisions, params),
        thresholds=over_thresholds(labels, probabilities, costs, trained.threshold),
        calibration=calibration_bins(labels, probabilities),
        importances=importances(trained, test, seed),
        agreement=agrees,
        comparison=comparison,
        verdict=judge(held_out, out_of_fold, agrees, comparison, params.gate, settings.min_assessable_failures),
    )


def thresholds_file(evaluation: Evaluation) -> bytes:
    """What each threshold would have caught and missed on the held-out rows, as JSON columns: it travels with the model."""
    counts = evaluation.thresholds[["threshold", "true_positives", "false_positives"]]
    held_out = evaluation.held_out
    return json.dumps({"rows": held_out.rows, "failures": held_out.failures, **counts.to_dict("list")}).encode()


def out_of_fold_scores(trained: TrainedCandidate, rows: SplitRows, params: Params) -> Scores:
    """A candidate on the training rows, each judged by a model, calibration and threshold that have not seen it."""
    honest = trained.out_of_fold
    return score(
        rows.train, honest.probabilities, honest.decisions, params.costs, params.evaluation, params.training.seed
    )


def forward_scores(trained: TrainedCandidate, rows: SplitRows, params: Params) -> tuple[Scores | None, str]:
    """How the algorithm does on the next regime: fitted on the earlier readings, judged on the latest ones.

    It runs with default hyperparameters, since the search has seen the later rows. (None, why) where it cannot run.
    """
    everything = pd.concat([rows.train, rows.test]).sort_values("position", ignore_index=True)
    later = forward_split(everything, params.split.forward_share)
    past, future = everything[~later].reset_index(drop=True), everything[later].reset_index(drop=True)
    if future.empty or not future[LABEL.name].any():
        return None, "the latest rows hold no failure"
    try:
        fold = assign_folds(past, params.split.folds, params.training.seed)
    except DataError as error:
        return None, f"the earlier rows do not suffice: {error}"
    fitted = train_untuned(trained.algorithm, past, fold, params)
    probabilities = estimator_probabilities(fitted, future)
    scores = score(
        future, probabilities, probabilities >= fitted.threshold, params.costs, params.evaluation, params.training.seed
    )
    note = (
        f"trained on the {len(past):,} earlier readings, judged on the {len(future):,} latest; hyperparameters untuned"
    )
    return scores, note


def training_fingerprint(train: pd.DataFrame) -> str:
    """sha256 of the training rows' ids, inputs and labels, whatever their order."""
    hashes = pd.util.hash_pandas_object(train[[READING_ID.name, *INPUT_NAMES, LABEL.name]], index=False)
    return hashlib.sha256(np.sort(hashes.to_numpy()).tobytes()).hexdigest()


def importances(trained: TrainedCandidate, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """PR-AUC lost on held-out rows when one feature is shuffled: mean and standard deviation, the largest first."""
    from sklearn.inspection import permutation_importance

    sample = rows.sample(min(len(rows), _IMPORTANCE_ROWS), random_state=seed)
    result = permutation_importance(
        trained.estimator,
        feature_matrix(sample, trained.features),
        sample[LABEL.name].to_numpy(),
        scoring="average_precision",
        n_repeats=_IMPORTANCE_REPEATS,
        random_state=seed,
    )
    table = pd.DataFrame(
        {"feature": trained.features, "pr_auc_loss": result.importances_mean, "deviation": result.importances_std}
    )
    return table.sort_values("pr_auc_loss", ascending=False, ignore_index=True)


def _oracle(test: pd.DataFrame, params: Params) -> Scores | None:
    if not any(name in test for name in MODE_NAMES):
        return None
    decisions = broken_rules(test)
    return score(test, decisions.astype(float), decisions, params.costs, params.evaluation, params.training.seed)


def _by_product_type(
    test: pd.DataFrame, probabilities: np.ndarray, decisions: np.ndarray, params: Params
) -> dict[str, Scores]:
    scores = {}
    for name in PRODUCT_TYPES:
        inside = (test[PRODUCT_TYPE.name] == name).to_numpy()
        if inside.any():
            rows = test[inside].reset_index(drop=True)
            scores[name] = score(
                rows, probabilities[inside], decisions[inside], params.costs, params.evaluation, params.training.seed
            )
    return scores
