"""Known units, their dimensions and conversions, by pint. Imported while a machine.yaml is read, never in serving.

A unit is known if pint knows it, with the spellings below, or if the description lists it in `units`.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from tokenize import TokenError
from typing import Any

import pint

from .header_matching import header_key

_FAMILIES: tuple[Mapping[str, str], ...] = (
    {
        "k": "kelvin", "kelvin": "kelvin", "c": "degC", "degc": "degC", "celsius": "degC",
        "f": "degF", "degf": "degF", "fahrenheit": "degF",
    },
    {"rpm": "1/minute", "1min": "1/minute", "umin": "1/minute", "1s": "1/second", "hz": "1/second"},
    {"nm": "newton*meter", "knm": "kilonewton*meter", "ncm": "newton*centimeter"},
    {"min": "minute", "minutes": "minute", "s": "second", "h": "hour", "hours": "hour"},
    {
        "pa": "pascal", "hpa": "hectopascal", "kpa": "kilopascal", "mpa": "megapascal",
        "bar": "bar", "mbar": "millibar", "psi": "psi",
    },
    {"um": "micrometer", "mm": "millimeter", "cm": "centimeter", "m": "meter", "in": "inch"},
    {"mms": "millimeter/second", "ms": "meter/second", "ins": "inch/second"},
    {"ms2": "meter/second**2", "mms2": "millimeter/second**2", "g": "standard_gravity"},
    {"w": "watt", "kw": "kilowatt"},
    {"a": "ampere", "ma": "milliampere", "ka": "kiloampere"},
    {"v": "volt", "mv": "millivolt", "kv": "kilovolt"},
    {"n": "newton", "kn": "kilonewton"},
    {"g": "gram", "kg": "kilogram", "t": "metric_ton"},
    {"lmin": "liter/minute", "ls": "liter/second", "m3h": "meter**3/hour", "m3s": "meter**3/second"},
)  # fmt: skip
"""The units that headers may have, by header_key, with pint's names. A family has one kind of quantity."""

_SPELLINGS = {
    "Nm": "newton*meter", "kNm": "kilonewton*meter", "Ncm": "newton*centimeter", "rpm": "1/minute", "Hz": "1/second",
    "°C": "degC", "°F": "degF", "°": "degree", "%": "percent", "g": "gram", "t": "metric_ton", "l": "liter", "L": "liter",
}  # fmt: skip
"""Spellings that pint reads in another way or not at all. A revolution is a number here: rpm is 1/min."""

_HUGE = re.compile(r"(?<![^\W\d]|[°)])(?:\*\*|\^)|(?:\*\*|\^)[-+]?\d{2}|\d{4}|\d[eE]")
"""A power of a number, a power above 9, or a large number: pint would calculate it, however large it is."""

_POWER = re.compile(r"(?<![A-Za-z])([A-Za-z]+)([23])(?![\w.])")
"""A unit with a power that has no mark, as in m3/h; not mmH2O."""

_NOT_A_UNIT = (
    pint.errors.PintError, TokenError, AssertionError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError,
)  # fmt: skip
"""What pint raises for a text that is not a unit."""

_ICE_POINT_K = Fraction(27315, 100)

Dimension = Any
"""The powers of base dimensions, such as length and time."""


def ratio() -> Dimension:
    """The dimension of a number without unit."""
    return pint.util.UnitsContainer({})


def dimension_of(unit: str, own: tuple[str, ...]) -> Dimension:
    """The dimension of a unit, which may contain the machine's `own` units. Raises ValueError that suggests a known one."""
    registry = _registry(own)
    try:
        if _HUGE.search(re.sub(r"\s*(\*\*|\^)\s*", r"\1", _with_powers(unit))):
            raise ValueError(f"{unit!r} has a huge number")
        return registry.get_dimensionality(registry.parse_units(_expression(unit, own)))
    except _NOT_A_UNIT:
        known = [*_SPELLINGS, *own, *(key for family in _FAMILIES for key in family)]
        near = get_close_matches(unit, known, 1, 0.6)
        hint = f"did you mean {near[0]!r}? Or" if near else "correct it, or"
        raise ValueError(f"unit {unit!r} is not known: {hint} list a unit of your own in units") from None


def header_units(unit: str, own: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """The units that a header may have in place of the canonical `unit`, by header_key, with (scale, offset)."""
    key, registry = header_key(unit), _registry(own)
    for family in _FAMILIES:
        if key in family and _is_same(registry, _expression(unit, own), family[key]):
            return {other: _conversion(registry, name, family[key]) for other, name in family.items()}
    return {key: (1.0, 0.0)}


def _is_same(registry: Any, unit: str, other: str) -> bool:
    one, two = (registry.get_dimensionality(registry.parse_units(name)) for name in (unit, other))
    return one == two and _conversion(registry, unit, other) == (1.0, 0.0)


def _conversion(registry: Any, unit: str, canonical: str) -> tuple[float, float]:
    """(scale, offset): a value in the canonical unit is value * scale + offset. Exact, then rounded once."""
    zero, one = (registry.Quantity(Fraction(value), unit).to(canonical).magnitude for value in (0, 1))
    scale = float(one - zero)
    if zero == 0:
        return scale, 0.0
    # The offset is taken at the ice point, a round number in every unit of temperature: 32 °F is exactly 273.15 K.
    ice, canonical_ice = (
        float(registry.Quantity(_ICE_POINT_K, "kelvin").to(name).magnitude) for name in (unit, canonical)
    )
    return scale, canonical_ice - ice * scale


def _expression(unit: str, own: tuple[str, ...]) -> str:
    """The unit in pint's spelling: "min Nm" is minute * newton * meter."""
    spellings = _SPELLINGS | {name: _own_name(place) for place, name in enumerate(own)}
    parts = re.split(r"([\s·*/^()\d.+-]+)", _with_powers(unit))
    return "".join(f"({spellings[part]})" if part in spellings else part for part in parts).replace("·", "*")


def _with_powers(unit: str) -> str:
    """The unit with ** for powers: m³ and m3 are m**3."""
    return _POWER.sub(r"\1**\2", unit.replace("²", "2").replace("³", "3"))


def _own_name(place: int) -> str:
    return f"own_unit_{'i' * (place + 1)}"


@lru_cache(maxsize=16)
def _registry(own: tuple[str, ...]) -> Any:
    registry: Any = pint.UnitRegistry(non_int_type=Fraction)
    for place, name in enumerate(own):
        registry.define(f"{_own_name(place)} = [{name}]")
    return registry
