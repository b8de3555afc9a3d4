"""Train one candidate on rows in Parquet files: search on a sample of them, calibrate, select the threshold, fit.

LightGBM is fitted to all rows, a random forest to a sample that fits into memory. If the search takes all rows, the
result is bit-identical to that of `train_candidate` for the same rows in one table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from ..config.params import Algorithm, Params, Scalar
from ..engine.settings import DASK, ENGINE_VARIABLE, SCHEDULER_VARIABLE, scheduler_address
from ..errors import ConfigError, DataError
from ..scorer.calibration import Calibration
from .alarm_thresholds import false_alarms_are_limited
from .candidate import FittedCandidate, select_calibration_and_threshold
from .estimators import Estimator, build_estimator, failure_probabilities
from .memory import available_memory
from .out_of_fold_parts import (
    OutOfFoldParts,
    empty_out_of_fold,
    select_from_summaries,
    summaries_by_fold,
    write_all,
    write_decisions,
    write_fold,
)
from .row_parts import RowParts, Rows, RowSample, count_classes, count_rows, read_rows, row_groups, shared
from .tuning import FinishedTrial, tune

_LIGHTGBM_BYTES_PER_ROW = 50
"""Beside one byte for each feature: labels, scores, gradients, and which rows are chosen."""
_FOREST_MEMORY_SHARE = 0.5
_FOREST_BYTES_PER_VALUE = 4
_FOREST_BYTES_PER_TREE = 12
"""For each row and tree, mostly for nodes: about one for ten rows if failures are rare."""
_DEFAULT_TREES = 100
_LEAST_FOREST_ROWS = 1000  # in params.yaml


class PartsCandidate(NamedTuple):
    """A candidate, and its out-of-fold predictions in files."""

    candidate: FittedCandidate
    out_of_fold: OutOfFoldParts


@dataclass(frozen=True)
class FinishedFit:
    """Fit `number` of `fits` after the search has ended: one without each fold, and the final one. 0: the first one begins."""

    number: int
    fits: int


class Fit(Protocol):
    """Fits an estimator with `hyperparameters` to the training rows: all of them, or those `without` one fold."""

    def __call__(self, hyperparameters: dict[str, Scalar], without: int | None = None) -> Estimator: ...


def train_candidate_from_parts(
    algorithm: Algorithm,
    parts: RowParts,
    params: Params,
    folder: Path,
    on_trial: Callable[[FinishedTrial], None] = lambda _: None,
    machine_times: Callable[[], pd.DataFrame] | None = None,
    fit: Fit | None = None,
    on_fit: Callable[[FinishedFit], None] = lambda _: None,
) -> PartsCandidate:
    """Tune, calibrate, select the threshold and fit. Out-of-fold predictions are written to `folder`.

    `machine_times` returns the machine, the time and the next failure of all rows in a fold, in the order of the parts, which
    `threshold.at_most_false_alarms` needs. `fit` is by default in this process. Raises DataError for a fold without failures or
    without healthy rows, and ConfigError for more rows than that threshold allows. `on_trial` and `on_fit` report what has ended.
    """
    candidate, classes = params.candidates[algorithm], count_classes(parts)
    total = sum(classes.values())
    chosen = _CHOSEN[algorithm](parts, params, total)
    settings = params.training.model_copy(update=chosen)
    params = params.model_copy(update={"training": settings})
    most = int(chosen.get("forest_rows", total))
    fitted = RowSample.of(classes, most, params.split.salt)
    searched = RowSample.of(classes, min(most, settings.search_rows or total), params.split.salt)
    if searched and false_alarms_are_limited(params):
        raise ConfigError(
            f"threshold.at_most_false_alarms in params.yaml needs a search of all {total:,} rows: raise training.search_rows and "
            "training.forest_rows, lower split.max_train_rows, or write null"
        )
    rows = read_rows(parts, searched)
    notes = list(_notes(len(rows.labels), total if fitted is None else count_rows(parts, fitted), total))
    _check_folds(rows, params)
    tuned = tune(algorithm, candidate, rows.features, rows.labels, rows.fold, settings, on_trial)
    folds = np.unique(rows.fold[rows.fold >= 0]).tolist() if searched else []
    fit = _reported(fit or partial(_FITS[algorithm], parts, params, fitted), len(folds) + 1, on_fit)
    predictions = empty_out_of_fold(parts, folder)
    if searched is None:
        scored = rows.fold >= 0
        calibration, threshold, out_of_fold = select_calibration_and_threshold(
            rows.labels[scored],
            tuned.out_of_fold[scored],
            rows.fold[scored],
            params,
            machine_times and machine_times(),
        )
        write_all(predictions, out_of_fold)
    else:
        del rows  # its memory is needed
        calibration, threshold = _cross_validate(predictions, folds, tuned.hyperparameters, params, fit)
    trained = FittedCandidate(
        algorithm=algorithm,
        estimator=fit(tuned.hyperparameters),
        features=parts.features,
        hyperparameters=tuned.hyperparameters,
        calibration=calibration,
        threshold=threshold,
        trials=tuned.trials,
        notes=tuple(notes),
        chosen={f"training.{name}": value for name, value in chosen.items()},
    )
    return PartsCandidate(trained, predictions)


def forest_rows_that_fit(features: int, trees: int, memory: int) -> int:
    """The rows that a random forest can be fitted to in half of `memory` bytes."""
    return int(memory * _FOREST_MEMORY_SHARE / (features * _FOREST_BYTES_PER_VALUE + trees * _FOREST_BYTES_PER_TREE))


def _reported(fit: Fit, fits: int, on_fit: Callable[[FinishedFit], None]) -> Fit:
    """`fit`, which is called `fits` times and reports the end of each."""
    numbers = count(1)
    on_fit(FinishedFit(0, fits))

    def reported(hyperparameters: dict[str, Scalar], without: int | None = None) -> Estimator:
        estimator = fit(hyperparameters, without=without)
        on_fit(FinishedFit(next(numbers), fits))
        return estimator

    return reported


def _cross_validate(
    predictions: OutOfFoldParts, folds: list[int], hyperparameters: dict[str, Scalar], params: Params, fit: Fit
) -> tuple[Calibration, float]:
    """Write out-of-fold predictions for all rows, and select the calibration and the threshold by their summaries."""
    for number in folds:
        write_fold(predictions, number, partial(failure_probabilities, fit(hyperparameters, without=number)))
    selected = select_from_summaries(summaries_by_fold(predictions), params.training, params.threshold, params.costs)
    write_decisions(predictions, selected)
    return selected.calibration, selected.threshold


def _fit_lightgbm(
    parts: RowParts,
    params: Params,
    sample: RowSample | None,
    hyperparameters: dict[str, Scalar],
    without: int | None = None,
) -> Estimator:
    settings, groups = params.training, row_groups(parts, without=without, sample=sample)
    if settings.cluster == "always" and (address := scheduler_address()):
        from .lightgbm_cluster import fit_lightgbm_on_cluster  # imports Dask, which is optional

        return fit_lightgbm_on_cluster(
            address, shared(groups, parts), parts.features, parts.label, hyperparameters, settings
        )
    from .lightgbm_parts import fit_lightgbm  # imports LightGBM, which is slow

    return fit_lightgbm(groups, parts.features, parts.label, hyperparameters, settings.seed, settings.threads)


def _fit_forest(
    parts: RowParts,
    params: Params,
    sample: RowSample | None,
    hyperparameters: dict[str, Scalar],
    without: int | None = None,
) -> Estimator:
    rows = read_rows(parts, sample, without)
    estimator = build_estimator("random_forest", hyperparameters, params.training.seed, params.training.threads)
    return estimator.fit(rows.features, rows.labels)


def _cluster(parts: RowParts, params: Params, total: int) -> dict[str, Scalar]:
    """Whether each fit is on the cluster: `always`, or `never` for this process."""
    setting, address = params.training.cluster, scheduler_address()
    if setting == "always" and address is None:
        raise ConfigError(
            f"training.cluster: always in params.yaml needs {ENGINE_VARIABLE}={DASK} and {SCHEDULER_VARIABLE}: set them, "
            "or write auto"
        )
    if setting == "auto":
        needed = total * (len(parts.features) + _LIGHTGBM_BYTES_PER_ROW)
        setting = "always" if address and needed > available_memory() else "never"
    return {"cluster": setting}


def _forest_rows(parts: RowParts, params: Params, total: int) -> dict[str, Scalar]:
    """The most rows that the forest is fitted to."""
    trees = int(params.candidates["random_forest"].fixed.get("n_estimators", _DEFAULT_TREES))
    most = params.training.forest_rows or forest_rows_that_fit(len(parts.features), trees, available_memory())
    return {"forest_rows": min(most, max(total, _LEAST_FOREST_ROWS))}


_CHOSEN = {"lightgbm": _cluster, "random_forest": _forest_rows}
"""The settings that depend on the free memory, unless params.yaml says otherwise. They are chosen once for all fits."""
_FITS = {"lightgbm": _fit_lightgbm, "random_forest": _fit_forest}


def _check_folds(rows: Rows, params: Params) -> None:
    folds = params.split.folds
    for number in range(folds):
        labels = rows.labels[rows.fold == number]
        if labels.sum() in (0, len(labels)):
            raise DataError(
                f"fold {number + 1} of {folds} has {labels.sum()} failures in {len(labels)} rows, and cannot be evaluated: add "
                "data, or lower split.folds in params.yaml"
            )


def _notes(searched: int, fitted: int, total: int) -> Iterator[str]:
    sample = f"of {total:,} training rows, a random sample of the rows of all groups"
    if searched < total:
        yield f"the hyperparameters were searched on {searched:,} {sample} (training.search_rows in params.yaml)"
    if fitted < total:
        yield (
            f"the random forest is fitted to {fitted:,} {sample} that fits into memory (training.forest_rows in params.yaml)"
        )
