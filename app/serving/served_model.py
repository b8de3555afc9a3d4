"""A loaded model version: scorer, explainer and the sensors' ranges in training."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from predictive_maintenance.history.features import is_shorter_than_windows
from predictive_maintenance.inference.explaining import Explainer
from predictive_maintenance.machine.machine import Machine
from predictive_maintenance.machine.unit_text import unit_text
from predictive_maintenance.scorer.missing_values import unusual_missing_values
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import (
    REFERENCE_FILE,
    ThresholdCounts,
    parse_reference,
    read_file,
    read_thresholds,
)
from predictive_maintenance.tracking.entities import ModelVersion

from ..schemas.reading import HISTORY, ReadingSchema

NO_HISTORY = "there is no history: the reading is scored as the first one of its machine"
SHORT_HISTORY = "the history is shorter than the longest window: its statistics are of fewer readings"

Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A loaded model version. Immutable: a request uses the same model from start to end.

    `schema` says which readings it accepts. `training_ranges` are the lowest and highest value of each sensor in a sample
    of the training rows. `missing_warnings` has the warning for each optional sensor that was almost never missing in
    training. `thresholds` are the counts on the held-out rows at each decision threshold; None for a version without them.
    """

    version: ModelVersion
    folder: Path
    scorer: Scorer
    explainer: Explainer
    schema: ReadingSchema
    training_ranges: Ranges
    missing_warnings: Mapping[str, str]
    serving_since: datetime
    thresholds: ThresholdCounts | None = None

    @classmethod
    def load(cls, folder: Path, version: ModelVersion) -> Self:
        """Load a version. Raises ModelError if a file is missing or damaged, or a golden row gets another answer."""
        scorer = Scorer.load(folder, threads=min(2, os.cpu_count() or 1))
        reference = parse_reference(read_file(folder, REFERENCE_FILE), scorer.machine)
        return cls(
            version=version,
            folder=folder,
            scorer=scorer,
            explainer=Explainer(scorer, scorer.machine, reference),
            schema=ReadingSchema(scorer.machine),
            training_ranges=_ranges(reference, scorer.machine),
            missing_warnings=unusual_missing_values(scorer),
            serving_since=datetime.now(UTC),
            thresholds=read_thresholds(folder),
        )

    def with_tags(self, version: ModelVersion) -> Self:
        """Return the same model with newer tags of its version."""
        return replace(self, version=version)

    def warnings(self, reading: Mapping[str, Any]) -> list[str]:
        """Return a warning for each sensor of a valid reading that is outside its range in training, or unusually missing.

        Not about the history of a reading: see `history_warnings`.
        """
        outside = [
            self._range_warning(name, reading[name])
            for name, (low, high) in self.training_ranges.items()
            if (value := reading.get(name)) is not None and (value < low or value > high)
        ]
        missing = [text for name, text in self.missing_warnings.items() if reading.get(name) is None]
        return outside + missing

    def history_warnings(self, reading: Mapping[str, Any]) -> list[str]:
        """Return a warning if a single reading has no history, or less than its longest window."""
        history = reading.get(HISTORY) or ()
        if not is_shorter_than_windows(self.scorer.machine, reading, history):
            return []
        return [NO_HISTORY if not history else SHORT_HISTORY]

    def _range_warning(self, name: str, value: float) -> str:
        column, (low, high) = self.scorer.machine.columns[name], self.training_ranges[name]
        unit = f" {unit_text(column.unit)}" if column.unit else ""
        return (
            f"{column.label} {value:g}{unit} is outside of what the model was trained on ({low:g} to {high:g}{unit} in a "
            "sample): its answer is a guess there"
        )


def _ranges(reference: Mapping[str, Sequence[Any]], machine: Machine) -> Ranges:
    """The ranges of the sensors with a value in the reference sample."""
    present = {name: [value for value in reference[name] if value is not None] for name in machine.sensor_names}
    return {name: (min(values), max(values)) for name, values in present.items() if values}
