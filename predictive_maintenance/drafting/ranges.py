"""Propose the range and the resolution of a sensor from its values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from ..machine.rounding import shown
from .column_profile import ColumnProfile, Numbers

_SENTINELS = (-1.0, -99.0, -999.0, -9999.0, 999.0, 9999.0, 99999.0, 32767.0, -32768.0, 65535.0)
"""Numbers that loggers write where a value is missing."""

_LOWEST = {"°C": -273.15, "°F": -459.67}
_HIGHEST = {"%": 100.0}
_MAX_DECIMALS = 12
_EXAMPLES = 10_000
_OUTLYING = 0.01
"""The share of cells that may have more decimals than the resolution: those that an export did not round."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A proposed range, the values it is made from, and notes about them. `resolution` is None where the default fits."""

    range: tuple[float, float]
    lowest: float
    highest: float
    resolution: float | None
    notes: tuple[str, ...]


def scale_of(column: ColumnProfile, unit: str) -> Scale:
    """The scale of a column whose numbers differ: the data's range, and as much again on both sides."""
    values, sentinel = _without_sentinel(column.finite)
    lowest, highest = float(values.min()), float(values.max())
    notes = []
    if sentinel is not None:
        notes.append(
            f"{shown(sentinel)} may stand for a missing value: it is outside of the range, so its rows are rejected; "
            "leave the cell empty in the file"
        )
    resolution = _resolution(column.texts.drop_null().slice(0, _EXAMPLES).to_pylist(), highest - lowest)
    return Scale(
        range=_widened(lowest, highest, unit), lowest=lowest, highest=highest, resolution=resolution, notes=tuple(notes)
    )


def _without_sentinel(values: Numbers) -> tuple[Numbers, float | None]:
    """The values without the lowest or highest one if it is repeated, far from all others and commonly a sentinel."""
    for extreme in (float(values.min()), float(values.max())):
        others = values[values != extreme]
        if extreme in _SENTINELS and len(np.unique(others)) > 1 and len(values) - len(others) > 1:
            distance = float(np.min(np.abs(others - extreme)))
            if distance > others.max() - others.min():
                return others, extreme
    return values, None


def _widened(lowest: float, highest: float, unit: str) -> tuple[float, float]:
    """The range with the data's spread as a margin on both sides, on round numbers."""
    spread = highest - lowest
    low, high = _round(lowest - spread, spread, ROUND_FLOOR), _round(highest + spread, spread, ROUND_CEILING)
    if lowest >= 0:
        low = max(low, 0.0)
    if highest <= 0:
        high = min(high, 0.0)
    low = max(low, _LOWEST.get(unit, low)) if lowest >= _LOWEST.get(unit, lowest) else low
    high = min(high, _HIGHEST.get(unit, high)) if highest <= _HIGHEST.get(unit, highest) else high
    return low, high


def _round(value: float, spread: float, direction: str) -> float:
    """A multiple of a power of ten that is small compared with the spread, without the noise of binary fractions."""
    unit = Decimal(1).scaleb(math.floor(math.log10(spread / 2)))
    return float((Decimal(repr(value)) / unit).to_integral_value(direction) * unit)


def _resolution(texts: Iterable[str], spread: float) -> float | None:
    """The last decimal of almost all cells, or None if it is less than a millionth of the spread, as in unrounded numbers."""
    exponents = sorted(_exponents(texts), reverse=True)
    if not exponents:
        return None
    exponent = exponents[min(len(exponents) - 1, int(len(exponents) * (1 - _OUTLYING)))]
    resolution = float(f"1e{exponent}")
    return resolution if spread / 1e6 <= resolution <= spread / 2 else None


def _exponents(texts: Iterable[str]) -> Iterable[int]:
    for text in texts:
        try:
            exponent = Decimal(text.replace(",", ".")).as_tuple().exponent
        except ArithmeticError:
            continue
        if isinstance(exponent, int):
            yield max(exponent, -_MAX_DECIMALS)
