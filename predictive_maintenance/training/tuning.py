"""Search one candidate's hyperparameters with Optuna and cross-validation, and prune poor trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.params import Algorithm, CandidateSettings, Range, Scalar, SearchSpace, TrainingSettings
from .estimators import Matrix, Vector, build_estimator, failure_probabilities

if TYPE_CHECKING:
    import optuna

_STARTUP_TRIALS = 4


@dataclass(frozen=True)
class FinishedTrial:
    """A finished trial of a search. `value` and `best` are mean PR-AUC over folds; `value` is None if pruned."""

    trial: int
    trials: int
    value: float | None
    best: float | None

    def __str__(self) -> str:
        value = "pruned" if self.value is None else f"PR-AUC {self.value:.4f}"
        best = "" if self.best is None else f" (best {self.best:.4f})"
        return f"trial {self.trial}/{self.trials}: {value}{best}"


@dataclass(frozen=True)
class TuningResult:
    """The best hyperparameters, including the fixed ones, their out-of-fold probabilities (n,), and all trials."""

    hyperparameters: dict[str, Scalar]
    out_of_fold: Vector
    trials: pd.DataFrame


def tune(
    algorithm: Algorithm,
    candidate: CandidateSettings,
    features: Matrix,
    labels: npt.NDArray[np.integer],
    fold: npt.NDArray[np.integer],
    training: TrainingSettings,
    on_trial: Callable[[FinishedTrial], None] = lambda _: None,
) -> TuningResult:
    """Run `candidate.trials` trials and return the one with the best mean PR-AUC over the folds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=training.seed, n_startup_trials=_STARTUP_TRIALS),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=1),
    )
    best_out_of_fold: Vector = np.empty(0)

    def objective(trial: optuna.Trial) -> float:
        nonlocal best_out_of_fold
        hyperparameters = dict(candidate.fixed) | _suggest_all(trial, candidate)
        out_of_fold = cross_validate(algorithm, hyperparameters, features, labels, fold, training, trial)
        value = mean_pr_auc(labels, out_of_fold, fold)
        completed = [done.value for done in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))]
        if value > max((done for done in completed if done is not None), default=-1.0):
            best_out_of_fold = out_of_fold
        return value

    def report(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        done = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        best = study.best_value if done else None
        value = trial.value if trial.state is optuna.trial.TrialState.COMPLETE else None
        on_trial(FinishedTrial(trial.number + 1, candidate.trials, value, best))

    study.optimize(objective, n_trials=candidate.trials, callbacks=[report])
    return TuningResult(dict(candidate.fixed) | study.best_params, best_out_of_fold, _trial_table(study))


def cross_validate(
    algorithm: Algorithm,
    hyperparameters: dict[str, Scalar],
    features: Matrix,
    labels: npt.NDArray[np.integer],
    fold: npt.NDArray[np.integer],
    training: TrainingSettings,
    trial: optuna.Trial | None = None,
) -> Vector:
    """(n,) out-of-fold probabilities. With a `trial`, raises optuna.TrialPruned after a fold if it is poor.

    Every model is fitted to rows with a negative `fold`, for which the probabilities are NaN.
    """
    import optuna
    from sklearn.metrics import average_precision_score

    out_of_fold = np.full(len(labels), np.nan)
    values = []
    for number in np.unique(fold[fold >= 0]):
        held_out = fold == number
        estimator = build_estimator(algorithm, hyperparameters, training.seed, training.threads)
        estimator.fit(features[~held_out], labels[~held_out])
        out_of_fold[held_out] = failure_probabilities(estimator, features[held_out])
        values.append(average_precision_score(labels[held_out], out_of_fold[held_out]))
        if trial is not None:
            trial.report(float(np.mean(values)), step=int(number))
            if trial.should_prune():
                raise optuna.TrialPruned
    return out_of_fold


def mean_pr_auc(labels: npt.NDArray[np.integer], probabilities: Vector, fold: npt.NDArray[np.integer]) -> float:
    """Mean of the folds' PR-AUC (average precision), the objective of a search."""
    from sklearn.metrics import average_precision_score

    values = [average_precision_score(labels[fold == n], probabilities[fold == n]) for n in np.unique(fold[fold >= 0])]
    return float(np.mean(values))


def _suggest_all(trial: optuna.Trial, candidate: CandidateSettings) -> dict[str, Scalar]:
    return {name: _suggest(trial, name, space) for name, space in candidate.search.items()}


def _suggest(trial: optuna.Trial, name: str, space: SearchSpace) -> Scalar:
    if not isinstance(space, Range):
        return trial.suggest_categorical(name, space)
    if isinstance(space.low, int) and isinstance(space.high, int):
        return trial.suggest_int(name, space.low, space.high, log=space.log)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _trial_table(study: optuna.Study) -> pd.DataFrame:
    """One row a trial: its number, state, value and hyperparameters."""
    return pd.DataFrame(
        [
            {
                "trial": trial.number + 1,
                "state": trial.state.name.lower(),
                "pr_auc": trial.value if trial.value is not None else float("nan"),
                **trial.params,
            }
            for trial in study.trials
        ]
    )
