"""The sigmoid calibration of a model's probabilities."""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Vector = npt.NDArray[np.float64]

_EDGE = 1e-6
_MAX_LOG_ODDS = float(np.log((1 - _EDGE) / _EDGE))


def logit(probabilities: Vector) -> Vector:
    """log(p / (1 - p)), with p clipped to 1e-6 from 0 and 1: a random forest can return exactly 0 or 1."""
    clipped = _clip(probabilities, _EDGE, 1 - _EDGE)
    return np.log(clipped / (1 - clipped))


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class Calibration:
    """p -> sigmoid(slope * logit(p) + intercept). The identity has slope 1 and intercept 0."""

    slope: Annotated[float, Field(gt=0)] = 1.0
    intercept: float = 0.0

    @property
    def is_identity(self) -> bool:
        return (self.slope, self.intercept) == (1.0, 0.0)

    def apply(self, probabilities: Vector) -> Vector:
        """The calibrated probabilities. An exported random forest adds up float32 numbers, which can exceed 1 by rounding."""
        return _clip(probabilities, 0.0, 1.0) if self.is_identity else self.apply_to_log_odds(logit(probabilities))

    def apply_to_log_odds(self, log_odds: Vector) -> Vector:
        """The calibrated probabilities for log-odds."""
        if not self.is_identity:
            log_odds = self.slope * _clip(log_odds, -_MAX_LOG_ODDS, _MAX_LOG_ODDS) + self.intercept
        return 1 / (1 + np.exp(-log_odds))


def _clip(values: Any, low: float, high: float) -> Any:
    """Clip as numpy does; a float stays a float."""
    if isinstance(values, float):
        return min(max(values, low), high)
    return np.minimum(np.maximum(values, low), high)
