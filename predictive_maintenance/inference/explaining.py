"""Why one reading got its probability: exact Shapley values of the raw sensors against healthy readings of its type.

A sensor's value is its mean contribution over all orders in which the reading's sensors can replace those of a
reference reading (L. Shapley, "A Value for n-Person Games", 1953; the interventional form of E. Strumbelj and
I. Kononenko, "Explaining prediction models and individual predictions with feature contributions", 2014). With five
sensors all 32 coalitions are scored, so that nothing is estimated but the reference itself. numpy only.
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
"""Reference readings a product type. Each coalition scores all of them: more are slower, fewer less steady."""

Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """`readings` (n, 5) are what a product type is compared with; `mean_probability` is what the model says of them."""

    readings: Table
    mean_probability: float
    name: str


@dataclass(frozen=True)
class Explanation:
    """The reference's mean probability plus all `contributions` (by sensor) is the reading's probability."""

    reference: Reference
    contributions: dict[str, float]


class Explainer:
    """Explains readings by the reference sample of a scorer. Safe to use from several threads at once."""

    def __init__(self, scorer: Scorer, sample: Mapping[str, Sequence[Any]], rows: int = REFERENCE_ROWS) -> None:
        self._scorer = scorer
        self._references = {kind: self._reference(sample, kind, rows) for kind in PRODUCT_TYPES}

    def explain(self, reading: Mapping[str, Any]) -> Explanation:
        """The explanation of one reading, from its canonical columns as plain numbers."""
        kind = reading[PRODUCT_TYPE.name]
        reference = self._references[kind]
        own = np.array([reading[name] for name in SENSOR_NAMES], dtype=np.float64)
        mixed = np.where(_COALITIONS[1:-1, None, :], own, reference.readings).reshape(-1, len(SENSOR_NAMES))
        means = self._scorer.probabilities(_columns(kind, mixed)).reshape(len(_COALITIONS) - 2, -1).mean(axis=1)
        values = np.array([reference.mean_probability, *means, self._scorer.probability(reading)])
        return Explanation(reference, dict(zip(SENSOR_NAMES, (_WEIGHTS @ values).tolist(), strict=True)))

    def _reference(self, sample: Mapping[str, Sequence[Any]], kind: str, rows: int) -> Reference:
        """Healthy readings of a type, evenly spaced over the sample; of any type where it holds none of this one."""
        healthy = ~np.asarray(sample[LABEL.name], dtype=bool)
        of_kind = healthy & (np.asarray(sample[PRODUCT_TYPE.name], dtype=object) == kind)
        places = np.flatnonzero(of_kind if of_kind.any() else healthy)
        chosen = places[np.unique(np.linspace(0, len(places) - 1, rows).round().astype(int))]
        readings = np.column_stack([np.asarray(sample[name], dtype=np.float64)[chosen] for name in SENSOR_NAMES])
        mean = float(self._scorer.probabilities(_columns(kind, readings)).mean())
        name = f"{len(readings)} healthy readings of {f'product type {kind}' if of_kind.any() else 'any product type'}"
        return Reference(readings, mean, name)


_COALITIONS = np.array(list(product([False, True], repeat=len(SENSOR_NAMES))))
"""(32, 5) which sensors come from the reading: none in the first row, all in the last."""


def _shapley_weights() -> Table:
    """(5, 32) what each coalition's value counts in each sensor's: positive with the sensor in it, negative without."""
    count = len(SENSOR_NAMES)
    sizes = _COALITIONS.sum(axis=1)
    with_it = [factorial(size - 1) * factorial(count - size) if size else 0 for size in sizes]
    without = [factorial(size) * factorial(count - size - 1) if size < count else 0 for size in sizes]
    return np.where(_COALITIONS.T, np.array(with_it), -np.array(without)) / factorial(count)


_WEIGHTS = _shapley_weights()


def _columns(kind: str, table: Table) -> dict[str, Any]:
    return {PRODUCT_TYPE.name: np.full(len(table), kind, dtype=object)} | dict(zip(SENSOR_NAMES, table.T, strict=True))
