"""Explain a prediction: exact Shapley values of the raw sensors against healthy readings of the same product type.

The value of a sensor is its mean contribution over all orders in which the sensors of the reading can replace those of
a reference reading (L. Shapley, "A Value for n-Person Games", 1953; the interventional form of E. Strumbelj and
I. Kononenko, "Explaining prediction models and individual predictions with feature contributions", 2014). With five
sensors, all 32 coalitions are scored, so only the reference is a sample. This module uses numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..machine.sensors import LABEL, PRODUCT_TYPE, PRODUCT_TYPES, SENSOR_NAMES
from ..scorer.scoring import Scorer

REFERENCE_ROWS = 64
"""Reference readings per product type. All of them are scored for each coalition: more take longer, fewer vary more."""

Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """The healthy readings (n, 5) that a product type is compared with, and their mean failure probability."""

    readings: Table
    mean_probability: float
    name: str


@dataclass(frozen=True)
class Explanation:
    """The mean probability of the reference plus all `contributions` (by sensor) is the probability of the reading."""

    reference: Reference
    contributions: dict[str, float]


class Explainer:
    """Explains predictions with the reference sample of a scorer. Thread-safe."""

    def __init__(self, scorer: Scorer, sample: Mapping[str, Sequence[Any]], rows: int = REFERENCE_ROWS) -> None:
        self._scorer = scorer
        self._references = {name: self._reference(sample, name, rows) for name in PRODUCT_TYPES}

    def explain(self, reading: Mapping[str, Any]) -> Explanation:
        """Explain the prediction for one reading, which has canonical column names with numbers."""
        product_type = reading[PRODUCT_TYPE.name]
        reference = self._references[product_type]
        own = np.array([reading[name] for name in SENSOR_NAMES], dtype=np.float64)
        mixed = np.where(_COALITIONS[1:-1, None, :], own, reference.readings).reshape(-1, len(SENSOR_NAMES))
        means = self._scorer.probabilities(_columns(product_type, mixed)).reshape(len(_COALITIONS) - 2, -1).mean(axis=1)
        values = np.array([reference.mean_probability, *means, self._scorer.probability(reading)])
        return Explanation(reference, dict(zip(SENSOR_NAMES, (_WEIGHTS @ values).tolist(), strict=True)))

    def _reference(self, sample: Mapping[str, Sequence[Any]], product_type: str, rows: int) -> Reference:
        """Healthy readings of a product type, evenly spaced over the sample; of any type if it has none of this one."""
        healthy = ~np.asarray(sample[LABEL.name], dtype=bool)
        same_type = healthy & (np.asarray(sample[PRODUCT_TYPE.name], dtype=object) == product_type)
        positions = np.flatnonzero(same_type if same_type.any() else healthy)
        chosen = positions[np.unique(np.linspace(0, len(positions) - 1, rows).round().astype(int))]
        readings = np.column_stack([np.asarray(sample[name], dtype=np.float64)[chosen] for name in SENSOR_NAMES])
        mean = float(self._scorer.probabilities(_columns(product_type, readings)).mean())
        types = f"product type {product_type}" if same_type.any() else "any product type"
        return Reference(readings, mean, f"{len(readings)} healthy readings of {types}")


_COALITIONS = np.array(list(product([False, True], repeat=len(SENSOR_NAMES))))
"""(32, 5) booleans: which sensors are those of the reading. None in the first row, all in the last."""


def _shapley_weights() -> Table:
    """The weights (5, 32) of the coalitions for each sensor: positive for those with the sensor, negative for the others."""
    count = len(SENSOR_NAMES)
    sizes = _COALITIONS.sum(axis=1)
    included = [factorial(size - 1) * factorial(count - size) if size else 0 for size in sizes]
    excluded = [factorial(size) * factorial(count - size - 1) if size < count else 0 for size in sizes]
    return np.where(_COALITIONS.T, np.array(included), -np.array(excluded)) / factorial(count)


_WEIGHTS = _shapley_weights()


def _columns(product_type: str, table: Table) -> dict[str, Any]:
    return {PRODUCT_TYPE.name: np.full(len(table), product_type, dtype=object)} | dict(
        zip(SENSOR_NAMES, table.T, strict=True)
    )
