"""A loaded model version: scorer, explainer and the sensors' ranges in training."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from predictive_maintenance.errors import ModelError
from predictive_maintenance.inference.explaining import Explainer
from predictive_maintenance.machine.sensors import LABELS, SENSOR_NAMES, SENSORS
from predictive_maintenance.scorer.scoring import REFERENCE_FILE, THRESHOLDS_FILE, Scorer
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
    thresholds: dict[str, Any] | None = None

    @classmethod
    def load(cls, folder: Path, version: ModelVersion) -> Self:
        """Load a version. Raises ModelError if a file is missing or damaged, or a golden row gets another answer."""
        scorer = Scorer.load(folder, threads=min(2, os.cpu_count() or 1))
        try:
            reference: dict[str, list[Any]] = json.loads((folder / REFERENCE_FILE).read_bytes())
            explainer = Explainer(scorer, reference)
            ranges = {name: (float(min(reference[name])), float(max(reference[name]))) for name in SENSOR_NAMES}
        except Exception as error:  # a damaged file can lead to any error
            raise ModelError(f"{REFERENCE_FILE} is missing or damaged: {error!r}") from error
        return cls(
            version=version,
            folder=folder,
            scorer=scorer,
            explainer=explainer,
            training_ranges=ranges,
            serving_since=datetime.now(UTC),
            thresholds=_load_thresholds(folder),
        )

    def warnings(self, reading: dict[str, Any]) -> list[str]:
        """Return a warning for each sensor of a valid reading that is outside its range in training."""
        return [
            f"{LABELS[name]} {reading[name]:g} {_UNITS[name]} is outside of what the model was trained on "
            f"({low:g} to {high:g} {_UNITS[name]} in a sample): its answer is a guess there"
            for name, (low, high) in self.training_ranges.items()
            if not low <= reading[name] <= high
        ]


def _load_thresholds(folder: Path) -> dict[str, Any] | None:
    """Return the counts at each threshold; None if the version has none. Raises ModelError if they are damaged."""
    file = folder / THRESHOLDS_FILE
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_bytes())
        return {name: content[name] for name in ("rows", "failures", "threshold", "true_positives", "false_positives")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{THRESHOLDS_FILE} is damaged: {error!r}") from error
