"""Guess the unit of values that are outside of a sensor's range but inside it after a conversion.

It needs no unit library: the machine has the conversions of the units that a header may have.
"""

from .header_matching import Column, header_key
from .unit_text import unit_text

_MAX_UNITS = 2
_SPELLINGS = (
    "K", "°C", "°F", "1/min", "1/s", "Nm", "kNm", "Ncm", "Pa", "hPa", "kPa", "MPa", "µm", "mm/s", "m/s", "in/s", "m/s²",
    "mm/s²", "W", "kW", "A", "mA", "kA", "V", "mV", "kV", "N", "kN", "l/min", "l/s", "m³/h", "m³/s",
)  # fmt: skip
"""Spellings of units whose key is not their usual spelling."""


def likely_units(column: Column, limits: tuple[float, float], smallest: float, largest: float) -> tuple[str, ...]:
    """The units in which `smallest` and `largest` are within `limits`, which are in the canonical unit; at most two."""
    low, high = limits
    units: dict[tuple[float, float], str] = {}
    for key, conversion in column.units.items():
        scale, offset = conversion
        if low <= smallest * scale + offset and largest * scale + offset <= high:
            units.setdefault(conversion, _spelled(key))
    return tuple(units.values())[:_MAX_UNITS]


def conversion_hint(column: Column, usual: tuple[float, float] | None, value: float) -> str:
    """The end of a message about one value outside of its limits, if it is within the `usual` range in another unit."""
    units = likely_units(column, usual, value, value) if usual else ()
    return f"; it looks like {' or '.join(units)}: convert it to {unit_text(column.unit)}" if units else ""


def _spelled(key: str) -> str:
    """The unit as it is usually written. header_key has no case and no punctuation."""
    return next((unit for unit in _SPELLINGS if header_key(unit) == key), key)
