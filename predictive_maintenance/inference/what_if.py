"""How the answer to one reading changes with each of its sensors, the others held: what would clear an alarm, or raise one.

Every curve is scored, none is fitted or guessed. Sensors of one machine do not move alone (a lower torque comes with a
higher speed), so a turning point says where to look and is no promise. numpy only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..machine.features import RESOLUTION_DECIMALS, rounded
from ..machine.sensors import INPUT_NAMES, SENSOR_NAMES
from ..scorer.scoring import Scorer, Vector

MAX_POINTS = 2000
"""Values tried a sensor: steps are ten times the sensors' resolution, and again, where its range has more."""


@dataclass(frozen=True)
class Curve:
    """The probabilities (n,) at `values` (n,) of one sensor, rising; `turning_point` is the index of the nearest value to the
    reading's own at which the decision is another, None where it stays the same all over the range."""

    sensor: str
    values: Vector
    probabilities: Vector
    turning_point: int | None


def what_if(scorer: Scorer, reading: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> list[Curve]:
    """A curve for each sensor over its (low, high) of `ranges`, stretched to the reading's own value.

    `reading` has canonical columns as plain numbers, within the sensors' limits.
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
    """Rising values on the sensor's resolution from `low` to `high`, `own` among them."""
    low, high = min(low, own), max(high, own)
    step = 10.0**-RESOLUTION_DECIMALS
    while (high - low) / step > MAX_POINTS:
        step *= 10
    below, above = np.floor((own - low) / step + 1e-9), np.floor((high - own) / step + 1e-9)
    values = rounded(own + step * np.arange(-below, above + 1))
    values[int(below)] = own
    return np.unique(np.concatenate([[low], values, [high]]))


def _nearest(differs: Any, values: Vector, own: float) -> int | None:
    places = np.flatnonzero(differs)
    return int(places[np.argmin(np.abs(values[places] - own))]) if len(places) else None
