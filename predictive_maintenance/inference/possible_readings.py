"""Probabilities of readings that were not measured: mixes of two readings, and readings with one value changed.

For some of them, a formula of the machine's description may have no value, such as the root of a negative difference.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..machine.machine import Machine
from ..scorer.calibration import Vector


class ProbabilityScorer(Protocol):
    """A model that returns the failure probabilities of n readings by column, and of one reading.

    It raises DataError for readings that it cannot score.
    """

    def probabilities(self, columns: Mapping[str, Any], /) -> Vector: ...
    def probability(self, reading: Mapping[str, Any], /) -> float: ...


def possible_probabilities(
    scorer: ProbabilityScorer, machine: Machine, columns: Mapping[str, npt.NDArray[Any]]
) -> Vector:
    """The failure probabilities (n,) of n readings. NaN for each for which a formula has no finite value."""
    try:
        return scorer.probabilities(columns)
    except DataError:  # rare, so the formulas are checked only then
        faults = machine.formula_faults(columns)
        if not faults:
            raise
    possible = ~np.logical_or.reduce(list(faults.values()))
    probabilities = np.full(len(possible), np.nan)
    if possible.any():
        probabilities[possible] = scorer.probabilities({name: values[possible] for name, values in columns.items()})
    return probabilities
