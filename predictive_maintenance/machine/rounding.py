"""Rounding and the number of decimals, the same for one number and for columns."""

from decimal import Decimal
from typing import Any

import numpy as np


def rounded(values: Any, decimals: int) -> Any:
    """Round half to even, as np.round does, but never to -0.0."""
    if isinstance(values, float):
        return rounded_number(values, 10.0**decimals)
    return np.round(values, decimals) + 0.0


def rounded_number(number: float, scale: float) -> float:
    """A number rounded to 1 / `scale`: the arithmetic of np.round, which takes ten times as long for a single number."""
    try:
        return round(number * scale) / scale
    except (ValueError, OverflowError):  # NaN, infinity, or too large to scale
        return number * scale


def decimals_of(resolution: float) -> int:
    """The decimals that multiples of `resolution` have: 1 for 0.1, 2 for 0.25, 0 for 10, 6 for 2e-6."""
    exponent = Decimal(repr(resolution)).normalize().as_tuple().exponent
    assert isinstance(exponent, int), resolution
    return max(0, -exponent)


def shown(number: float) -> str:
    """The number as text, without an exponent from 0.0001 to 1e15, and without losing digits as `%g` does for 1234567."""
    return f"{number:.15g}"
