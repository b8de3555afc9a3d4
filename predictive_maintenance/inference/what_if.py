"""What-if analysis: how the probability of one reading changes with each sensor, the other sensors being fixed.

All values are scored by the model. The sensors of a machine are not independent (a lower torque comes with a higher
speed), so a turning point is a hint and not a prediction. This module uses numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..history.features import complete_reading, complete_values
from ..machine.machine import Machine
from ..machine.rounding import rounded
from ..scorer.calibration import Vector
from .possible_readings import ProbabilityScorer, possible_probabilities

MAX_POINTS = 2000
"""The most steps per sensor. The step is the sensor's resolution, times ten as often as necessary."""

MAX_SCORED_ROWS = 10_000
"""The most steps of all sensors together, because the rows determine the time. Above, the step is a larger multiple."""


MAX_WINDOW_CELLS = 1_000_000
"""The most values in the windows of all steps of all sensors. With a long history, the step is a larger multiple."""


class DecisionScorer(ProbabilityScorer, Protocol):
    """A model that returns probabilities, and whether (n,) probabilities lead to an alarm."""

    def decisions(self, probabilities: Vector, /) -> npt.NDArray[np.bool_]: ...


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


def what_if(
    scorer: DecisionScorer,
    machine: Machine,
    reading: Mapping[str, Any],
    ranges: Mapping[str, tuple[float, float]],
    history: Sequence[Mapping[str, Any]] = (),
) -> list[Curve]:
    """Compute a curve for each sensor over its (low, high) in `ranges`, extended to the reading's own value.

    `reading` has canonical column names with numbers within the limits of the sensors. `history` are earlier readings of the
    machine, which stay as they are. A sensor that is missing in the reading or in `ranges` has no curve. Values for which a
    formula has no value are left out.
    """
    own = {name: np.nan if (value := reading.get(name)) is None else float(value) for name in machine.sensor_names}
    names = [name for name, value in own.items() if name in ranges and not np.isnan(value)]
    if not names:
        return []
    cells = MAX_WINDOW_CELLS // (len(names) * (len(history) + 1))
    points = min(MAX_POINTS, max(1, MAX_SCORED_ROWS // len(names)), max(1, cells))
    values = [_values(machine, name, own[name], ranges[name], points) for name in names]
    ends = np.cumsum([len(each) for each in values])
    rows = int(ends[-1])
    columns = {name: np.full(rows, reading[name], dtype=object) for name in machine.category_names}
    columns |= {name: np.full(rows, value) for name, value in own.items()}
    own_statistics = complete_reading(machine, reading, history)
    columns |= {
        name: np.full(rows, float(own_statistics[name])) for name in (*machine.time_names, *machine.history_features)
    }
    for name, end, each in zip(names, ends, values, strict=True):
        changed = {name: each, **complete_values(machine, reading, history, name, each)}
        for column, replaced in changed.items():
            columns[column][end - len(each) : end] = replaced
    alarm = bool(scorer.decisions(np.array([scorer.probability(own_statistics)]))[0])
    parts = np.split(possible_probabilities(scorer, machine, columns), ends[:-1])
    return [
        _curve(scorer, name, each, part, own[name], alarm)
        for name, each, part in zip(names, values, parts, strict=True)
    ]


def _curve(scorer: DecisionScorer, name: str, values: Vector, probabilities: Vector, own: float, alarm: bool) -> Curve:
    possible = ~np.isnan(probabilities)
    values, probabilities = values[possible], probabilities[possible]
    return Curve(name, values, probabilities, _nearest(scorer.decisions(probabilities) != alarm, values, own))


def _values(machine: Machine, name: str, own: float, limits: tuple[float, float], points: int) -> Vector:
    """Ascending values within `limits`, at multiples of the sensor's resolution from `own`, which is one of them."""
    low, high = min(limits[0], own), max(limits[1], own)
    step, decimals = machine.description.sensors[name].smallest_difference, machine.decimals(name)
    while (high - low) / step > MAX_POINTS:
        step *= 10
    step *= max(1, ceil((high - low) / step / points))
    below, above = np.floor((own - low) / step + 1e-9), np.floor((high - own) / step + 1e-9)
    values = rounded(own + step * np.arange(-below, above + 1), decimals or 0)
    values[int(below)] = own
    return np.unique(np.concatenate([[low], values, [high]]))


def _nearest(differs: Any, values: Vector, own: float) -> int | None:
    indices = np.flatnonzero(differs)
    return int(indices[np.argmin(np.abs(values[indices] - own))]) if len(indices) else None
