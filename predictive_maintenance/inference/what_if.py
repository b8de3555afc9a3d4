"""What-if analysis: how the probability of one reading changes with each sensor, the other sensors being fixed.

All values are scored by the model. The sensors of a machine are not independent (a lower torque comes with a higher
speed), so a turning point is a hint and not a prediction. This module uses numpy only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..machine.features import RESOLUTION_DECIMALS
from ..machine.rounding import rounded
from ..machine.sensors import INPUT_NAMES, SENSOR_NAMES
from ..scorer.calibration import Vector
from ..scorer.scoring import Scorer

MAX_POINTS = 2000
"""The maximum number of steps per sensor. The step is the resolution of the sensors, times ten as often as necessary."""


@dataclass(frozen=True)
class Curve:
    """The probabilities (n,) at ascending `values` (n,) of one sensor.

    `turning_point` is the index of the value closest to the reading's own value with the other decision. It is None if the
    decision is the same for all values.
    """

    sensor: str
    values: Vector
    probabilities: Vector
    turning_point: int | None


def what_if(scorer: Scorer, reading: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> list[Curve]:
    """Compute a curve for each sensor over its (low, high) in `ranges`, extended to the reading's own value.

    `reading` has canonical column names with numbers within the limits of the sensors.
    """
    values = {name: _values(float(reading[name]), *ranges[name]) for name in SENSOR_NAMES}
    lengths = [len(values[name]) for name in SENSOR_NAMES]
    columns: dict[str, Any] = {name: np.repeat(np.array([reading[name]]), sum(lengths)) for name in INPUT_NAMES}
    ends = np.cumsum(lengths)
    for name, end, length in zip(SENSOR_NAMES, ends, lengths, strict=True):
        columns[name][end - length : end] = values[name]
    alarm = scorer.probability(reading) >= scorer.spec.threshold
    parts = np.split(scorer.probabilities(columns), ends[:-1])
    return [
        Curve(name, values[name], part, _nearest(scorer.decisions(part) != alarm, values[name], float(reading[name])))
        for name, part in zip(SENSOR_NAMES, parts, strict=True)
    ]


def _values(own: float, low: float, high: float) -> Vector:
    """Ascending values from `low` to `high` at the resolution of the sensors, including `own`."""
    low, high = min(low, own), max(high, own)
    step = 10.0**-RESOLUTION_DECIMALS
    while (high - low) / step > MAX_POINTS:
        step *= 10
    below, above = np.floor((own - low) / step + 1e-9), np.floor((high - own) / step + 1e-9)
    values = rounded(own + step * np.arange(-below, above + 1), RESOLUTION_DECIMALS)
    values[int(below)] = own
    return np.unique(np.concatenate([[low], values, [high]]))


def _nearest(differs: Any, values: Vector, own: float) -> int | None:
    indices = np.flatnonzero(differs)
    return int(indices[np.argmin(np.abs(values[indices] - own))]) if len(indices) else None
