"""Scores on each set of rows that a report shows: out-of-fold, forward in time, and the oracle's."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.machine_extras import Oracle
from ..config.params import Algorithm, Params
from ..errors import DataError
from ..training.candidate import FittedCandidate, TrainedCandidate, train_untuned
from ..training.export import estimator_probabilities
from ..training.splits import SplitRows, assign_folds, check_folds, forward_split, is_held_out
from ..training.time_split import is_by_time
from .intervals import BoolArray, FloatArray
from .metrics import Scores, score
from .time_order import why_order_is_unknown

NEW_MACHINES, NEW_MACHINES_LATER = "new_machines", "new_machines_later"


def score_rows(rows: pd.DataFrame, probabilities: FloatArray, decisions: BoolArray, params: Params) -> Scores:
    """Scores of `probabilities` and `decisions` (both (n,)) on `rows`, with the settings of `params`."""
    return score(
        rows, params.machine.label_name, probabilities, decisions, params.costs, params.evaluation, params.training.seed
    )


def out_of_fold_scores(trained: TrainedCandidate, train: pd.DataFrame, params: Params) -> Scores:
    """Scores of a candidate on the training rows `train`.

    The model, calibration and threshold that judge a row were fitted without the row's fold.
    """
    out_of_fold = trained.out_of_fold
    return score_rows(train, out_of_fold.probabilities, out_of_fold.decisions, params)


def forward_scores(trained: FittedCandidate, rows: SplitRows, params: Params) -> tuple[Scores | None, str]:
    """Scores of the same algorithm, trained on the earlier readings and evaluated on the latest ones, and a note on them.

    It uses default hyperparameters, because the search has seen the later rows. Scores are None, with the reason as
    note, if the order of the rows in time is unknown, or if the earlier rows or the latest rows have too few failures.
    """
    if is_by_time(params.machine, params.split):
        return None, "the held-out rows are the latest ones"
    all_rows = pd.concat([rows.train, rows.test]).sort_values("position", ignore_index=True)
    if reason := why_order_is_unknown(all_rows, params.machine):
        return None, f"not available, because {reason}"
    is_later = forward_split(all_rows, params.split.forward_share)
    earlier, later = all_rows[~is_later].reset_index(drop=True), all_rows[is_later].reset_index(drop=True)
    if later.empty:
        group = params.machine.description.texts.group
        return None, f"not available, because every {group} has earlier readings, and its readings stay together"
    if not later[params.machine.label_name].any():
        return None, "not available, because the latest readings contain no failure"
    try:
        fold = assign_folds(earlier, params.machine, params.split.folds, params.training.seed)
    except DataError as error:
        return None, f"not available, because the earlier readings cannot be split into folds: {error}"
    fitted = _trained_again(trained.algorithm, earlier, fold, params, rows.training_only)
    probabilities = estimator_probabilities(fitted, later, params.machine)
    scores = score_rows(later, probabilities, probabilities >= fitted.threshold, params)
    return scores, (
        f"trained on the {len(earlier):,} earlier readings with default hyperparameters, "
        f"evaluated on the {len(later):,} latest readings"
    )


def new_machine_scores(trained: FittedCandidate, rows: SplitRows, params: Params) -> tuple[dict[str, Scores], str]:
    """Scores of the same algorithm on machines that it was not trained on, by NEW_MACHINES and NEW_MACHINES_LATER, and a note.

    The first are of the time of the training rows, the second of the held-out rows, which are later. It uses default
    hyperparameters, because the search has seen these machines. Empty, without a note, unless rows are split by time; empty with
    the reason as note if the machines or their failures are too few.
    """
    if not is_by_time(params.machine, params.split):
        return {}, ""
    share, salt = params.split.test_share, params.split.salt
    new, new_later = (is_held_out(side["group"], share, salt) for side in (rows.train, rows.test))
    known, fold = rows.train[~new].reset_index(drop=True), rows.fold[~new]
    try:
        check_folds(known[params.machine.label_name].to_numpy(), fold, params.split.folds)
    except DataError as error:
        return {}, f"not available, because the other machines are too few to train on: {error}"
    parts = {NEW_MACHINES: rows.train[new], NEW_MACHINES_LATER: rows.test[new_later]}
    judged = {key: part.reset_index(drop=True) for key, part in parts.items() if part[params.machine.label_name].any()}
    if not judged:
        return {}, "not available, because the machines that would be held out have no failure"
    fitted = _trained_again(trained.algorithm, known, fold, params, rows.training_only)
    scores = {}
    for key, part in judged.items():
        probabilities = estimator_probabilities(fitted, part, params.machine)
        scores[key] = score_rows(part, probabilities, probabilities >= fitted.threshold, params)
    machines = pd.concat(list(judged.values()))["group"].nunique()
    groups = params.machine.description.texts.groups
    return scores, f"trained with default hyperparameters without {machines} {groups}, evaluated on them"


def _trained_again(
    algorithm: Algorithm,
    train: pd.DataFrame,
    fold: npt.NDArray[np.integer],
    params: Params,
    training_only: pd.DataFrame | None,
) -> TrainedCandidate:
    """A candidate without a search, with the threads of all candidates: these are not trained at the same time any more."""
    threads = params.training.threads * len(params.candidates)
    training = params.training.model_copy(update={"threads": threads})
    return train_untuned(algorithm, train, fold, params.model_copy(update={"training": training}), training_only)


def oracle_scores(rows: pd.DataFrame, oracle: Oracle | None, params: Params) -> Scores | None:
    """Scores of `oracle` on `rows`; None without an oracle, and without failure modes, as in data that it was not made for."""
    if oracle is None or not any(name in rows for name in params.machine.mode_names):
        return None
    decisions = oracle(rows)
    return score_rows(rows, decisions.astype(float), decisions, params)
