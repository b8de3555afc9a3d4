"""A loaded model version: scorer, explainer and the sensors' ranges in training."""

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from predictive_maintenance.inference.explaining import Explainer
from predictive_maintenance.machine.milling import MILLING
from predictive_maintenance.machine.sensors import LABELS, SENSOR_NAMES, SENSORS
from predictive_maintenance.scorer.scoring import Scorer
from predictive_maintenance.scorer.version_files import (
    REFERENCE_FILE,
    ThresholdCounts,
    parse_reference,
    read_file,
    read_thresholds,
)
from predictive_maintenance.tracking.entities import ModelVersion

Ranges = dict[str, tuple[float, float]]
_UNITS = {sensor.name: sensor.unit for sensor in SENSORS}


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A loaded model version. Immutable: a request uses the same model from start to end.

    `training_ranges` are the lowest and highest value of each sensor in a sample of the training rows. `thresholds` are the
    counts on the held-out rows at each decision threshold; None for a version without them.
    """

    version: ModelVersion
    folder: Path
    scorer: Scorer
    explainer: Explainer
    training_ranges: Ranges
    serving_since: datetime
    thresholds: ThresholdCounts | None = None

    @classmethod
    def load(cls, folder: Path, version: ModelVersion) -> Self:
        """Load a version. Raises ModelError if a file is missing or damaged, or a golden row gets another answer."""
        scorer = Scorer.load(folder, threads=min(2, os.cpu_count() or 1))
        reference = parse_reference(read_file(folder, REFERENCE_FILE), scorer.spec)
        return cls(
            version=version,
            folder=folder,
            scorer=scorer,
            explainer=Explainer(scorer, MILLING, reference),
            training_ranges={name: (min(reference[name]), max(reference[name])) for name in SENSOR_NAMES},
            serving_since=datetime.now(UTC),
            thresholds=read_thresholds(folder),
        )

    def with_tags(self, version: ModelVersion) -> Self:
        """Return the same model with newer tags of its version."""
        return replace(self, version=version)

    def warnings(self, reading: dict[str, Any]) -> list[str]:
        """Return a warning for each sensor of a valid reading that is outside its range in training."""
        return [
            f"{LABELS[name]} {reading[name]:g} {_UNITS[name]} is outside of what the model was trained on "
            f"({low:g} to {high:g} {_UNITS[name]} in a sample): its answer is a guess there"
            for name, (low, high) in self.training_ranges.items()
            if not low <= reading[name] <= high
        ]
