"""A version of the model as it is served: its scorer, its explainer, and what readings it knows."""

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
    """Immutable: a request that began with one champion ends with it. `known` are the sensors' ranges in training.

    `thresholds` is what each threshold would have caught on the held-out rows; None of a version that does not carry it.
    """

    version: ModelVersion
    scorer: Scorer
    explainer: Explainer
    known: Ranges
    serving_since: datetime
    thresholds: dict[str, Any] | None = None

    @classmethod
    def load(cls, folder: Path, version: ModelVersion) -> Self:
        """Raises ModelError where a file is missing or damaged, or a golden row differs."""
        scorer = Scorer.load(folder, threads=min(2, os.cpu_count() or 1))
        try:
            reference: dict[str, list[Any]] = json.loads((folder / REFERENCE_FILE).read_bytes())
            explainer = Explainer(scorer, reference)
            known = {name: (float(min(reference[name])), float(max(reference[name]))) for name in SENSOR_NAMES}
        except Exception as error:  # whatever a damaged file leads to
            raise ModelError(f"{REFERENCE_FILE} is missing or damaged: {error!r}") from error
        return cls(
            version=version,
            scorer=scorer,
            explainer=explainer,
            known=known,
            serving_since=datetime.now(UTC),
            thresholds=_thresholds(folder),
        )

    def warnings(self, reading: dict[str, Any]) -> list[str]:
        """What is unusual about a reading that is possible: the model has seen nothing like it."""
        return [
            f"{LABELS[name]} {reading[name]:g} {_UNITS[name]} is outside of what the model was trained on "
            f"({low:g} to {high:g} {_UNITS[name]} in a sample): its answer is a guess there"
            for name, (low, high) in self.known.items()
            if not low <= reading[name] <= high
        ]


def _thresholds(folder: Path) -> dict[str, Any] | None:
    """Raises ModelError where they are damaged."""
    file = folder / THRESHOLDS_FILE
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_bytes())
        return {name: found[name] for name in ("rows", "failures", "threshold", "true_positives", "false_positives")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{THRESHOLDS_FILE} is damaged: {error!r}") from error
