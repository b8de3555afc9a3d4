"""Out-of-fold predictions for the rows of Parquet files, a file for each, and what is selected from their summaries."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ..config.params import CostSettings, ThresholdSettings, TrainingSettings
from ..scorer.calibration import Calibration
from .calibration import fit_calibration_of, log_loss_of
from .candidate import OutOfFold
from .estimators import Matrix, Vector
from .row_parts import RowParts, column, row_groups_of
from .score_summary import ScoreSummary
from .thresholds import select_threshold_of

_RECORD = np.dtype([("raw", "<f8"), ("probability", "<f8"), ("decision", "?")])


@dataclass(frozen=True)
class OutOfFoldParts:
    """Predictions for the rows of `parts` that a fold holds out.

    `files` has 17 bytes for each row of each part, in the order of the part.
    """

    parts: RowParts
    files: tuple[Path, ...]

    def read(self, place: int) -> OutOfFold:
        """The predictions for the rows of one part that a fold holds out."""
        records = np.load(self.files[place])[column(self.parts.files[place], self.parts.fold).to_numpy() >= 0]
        return OutOfFold(records["probability"].copy(), records["decision"].copy())


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A calibration and a threshold, and for each fold those that are selected without it."""

    calibration: Calibration
    threshold: float
    of_fold: dict[int, tuple[Calibration, float]]


def empty_out_of_fold(parts: RowParts, folder: Path) -> OutOfFoldParts:
    """Files without predictions, which are NaN, in `folder`."""
    files = tuple(folder / f"{place:05}.npy" for place in range(len(parts.files)))
    for part, file in zip(parts.files, files, strict=True):
        records = np.lib.format.open_memmap(file, "w+", _RECORD, (pq.read_metadata(part).num_rows,))
        records["raw"] = np.nan
        records.flush()
    return OutOfFoldParts(parts, files)


def write_fold(predictions: OutOfFoldParts, fold: int, predict: Callable[[Matrix], Vector]) -> None:
    """Write what a model that was fitted without `fold` predicts for its rows, one row group after the other."""
    for path, file in zip(predictions.parts.files, predictions.files, strict=True):
        records, start = np.load(file, mmap_mode="r+"), 0
        for group in row_groups_of(path, predictions.parts, only=fold):
            if group.rows:
                rows = start + np.flatnonzero(group.chosen)
                records["raw"][rows] = predict(group.features(predictions.parts.features))
            start += len(group.chosen)
        records.flush()


def summaries_by_fold(predictions: OutOfFoldParts) -> dict[int, ScoreSummary]:
    """The summary of the raw predictions for the rows of each fold."""
    found: dict[int, ScoreSummary] = {}
    for labels, fold, records in _parts(predictions):
        for number in np.unique(fold[fold >= 0]).tolist():
            inside = fold == number
            own = ScoreSummary.of(labels[inside], records["raw"][inside])
            found[number] = ScoreSummary.merged([found[number], own]) if number in found else own
    return dict(sorted(found.items()))


def select_from_summaries(
    by_fold: dict[int, ScoreSummary], training: TrainingSettings, threshold: ThresholdSettings, costs: CostSettings
) -> Selected:
    """Select what `select_calibration_and_threshold` selects, from the summary of the raw predictions for each fold."""
    every = ScoreSummary.merged(by_fold.values())
    others = {number: _without(by_fold, number) for number in by_fold}
    calibrations = {number: fit_calibration_of(summary) for number, summary in others.items()}
    use = training.calibration == "sigmoid"
    if training.calibration == "auto":
        raw = sum(log_loss_of(summary, summary.typical) for summary in by_fold.values())
        use = raw > sum(
            log_loss_of(summary, calibrations[number].apply(summary.typical)) for number, summary in by_fold.items()
        )
    calibration = fit_calibration_of(every) if use else Calibration()
    # On raw probabilities: calibration keeps their order, and calibrated ones depend on the held-out fold's labels.
    of_fold = {
        number: (calibrations[number] if use else Calibration(), select_threshold_of(summary, threshold, costs))
        for number, summary in others.items()
    }
    return Selected(
        calibration=calibration, threshold=_calibrated(every, calibration, threshold, costs), of_fold=of_fold
    )


def write_decisions(predictions: OutOfFoldParts, selected: Selected) -> None:
    """Write the probabilities and decisions that follow from the raw predictions and what was selected without each fold."""
    for path, file in zip(predictions.parts.files, predictions.files, strict=True):
        fold, records = column(path, predictions.parts.fold).to_numpy(), np.load(file, mmap_mode="r+")
        for number, (calibration, threshold) in selected.of_fold.items():
            rows = np.flatnonzero(fold == number)
            raw = records["raw"][rows]
            records["probability"][rows] = calibration.apply(raw)
            records["decision"][rows] = raw >= threshold
        records.flush()


def write_all(predictions: OutOfFoldParts, out_of_fold: OutOfFold) -> None:
    """Write predictions for all rows that a fold holds out, in the order of the parts."""
    start = 0
    for path, file in zip(predictions.parts.files, predictions.files, strict=True):
        rows = np.flatnonzero(column(path, predictions.parts.fold).to_numpy() >= 0)
        records, end = np.load(file, mmap_mode="r+"), start + len(rows)
        records["probability"][rows] = out_of_fold.probabilities[start:end]
        records["decision"][rows] = out_of_fold.decisions[start:end]
        records.flush()
        start = end


def _parts(predictions: OutOfFoldParts) -> Iterator[tuple[Vector, Vector, Any]]:
    """Labels, folds and records of the rows of each part."""
    for path, file in zip(predictions.parts.files, predictions.files, strict=True):
        labels, fold = (column(path, name).to_numpy() for name in (predictions.parts.label, predictions.parts.fold))
        yield labels, fold, np.load(file)


def _without(by_fold: dict[int, ScoreSummary], number: int) -> ScoreSummary:
    return ScoreSummary.merged(summary for other, summary in by_fold.items() if other != number)


def _calibrated(
    summary: ScoreSummary, calibration: Calibration, settings: ThresholdSettings, costs: CostSettings
) -> float:
    """The threshold of the calibrated probabilities."""
    if summary.exact:
        return select_threshold_of(summary.mapped(calibration.apply(summary.lowest)), settings, costs)
    return float(calibration.apply(np.array([select_threshold_of(summary, settings, costs)]))[0])
