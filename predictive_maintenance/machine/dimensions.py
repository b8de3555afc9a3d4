"""Check that formulas and conditions agree in dimension, and collect the unit conversions of a description.

K is not added to rpm. A plain number takes the unit of what it is added to or compared with. A column without unit
agrees with everything. Imported while a machine.yaml is read, never in serving.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from ..strict_model import LocatedValueError, Location
from .column_list import Conversions
from .description import MachineDescription
from .expression import COMPARISONS, Call, Name, Node, Number
from .formulas import Condition, Formula
from .header_matching import header_key
from .names import CODE_SUFFIX, COUNTER
from .units import Dimension, dimension_of, header_units, ratio


def unit_conversions(description: MachineDescription) -> Conversions:
    """By canonical unit, the units that headers may have. Raises LocatedValueError if units are unknown or disagree."""
    if found := list(_contradictions(description)):
        raise LocatedValueError(found)
    used = [sensor.unit for sensor in description.sensors.values()]
    used += [description.time.unit] if description.time else []
    return {unit: header_units(unit, description.units) for unit in dict.fromkeys(used) if header_key(unit)}


@dataclass(frozen=True)
class _Known:
    """The units and dimensions of sensors and features. The dimension is None for a column without unit."""

    units: Mapping[str, str]
    dimensions: Mapping[str, Dimension | None]


def _contradictions(description: MachineDescription) -> Iterator[tuple[Location, str]]:
    places: list[tuple[Location, str]] = [
        (("sensors", name), sensor.unit) for name, sensor in description.sensors.items()
    ]
    places += [(("features", name), feature.unit) for name, feature in description.features.items()]
    places += [(("time",), description.time.unit)] if description.time else []
    dimensions: dict[str, Dimension | None] = {}
    for location, unit in places:
        name = str(location[-1])
        try:
            dimensions[name] = dimension_of(unit, description.units) if unit else None
        except ValueError as error:
            yield (*location, "unit"), f"{name}: {error}"
            dimensions[name] = None
    dimensions |= dict.fromkeys(description.past_feature_names())
    dimensions |= {name + CODE_SUFFIX: None for name in description.categories} | {COUNTER: None}
    known = _Known({str(location[-1]): unit for location, unit in places}, dimensions)
    for name, feature in description.features.items():
        try:
            result = _dimension(Formula(feature.formula).tree, known)
        except ValueError as error:
            yield ("features", name, "formula"), f"the formula of {name} {error}"
            continue
        if result is not None and dimensions[name] not in (None, result):
            text = f"the unit of {name} is {feature.unit} ({_shown(dimensions[name])}), but its formula gives {_shown(result)}"
            yield ("features", name, "unit"), text
    for place, limit in enumerate(description.operating_limits):
        try:
            _dimension(Condition(limit.when).tree if limit.when else Number(0.0), known)
        except ValueError as error:
            yield ("operating_limits", place, "when"), f"limit {limit.name}: when {error}"


def _dimension(node: Node, known: _Known) -> Dimension | None:
    """The dimension of a value; None if it agrees with every dimension. Raises ValueError for values that disagree."""
    match node:
        case Number():
            return None
        case Name(name):
            return known.dimensions[name]
        case Call(function, arguments):
            parts = [_dimension(argument, known) for argument in arguments]
        case _:
            assert_never(node)
    match function:
        case "*" | "/":
            left, right = (
                ratio() if isinstance(argument, Number) else part
                for argument, part in zip(arguments, parts, strict=True)
            )
            if left is None or right is None:
                return None
            return left * right if function == "*" else left / right
        case "**":
            exponent = arguments[1]
            return parts[0] ** exponent.value if parts[0] is not None and isinstance(exponent, Number) else None
        case "sqrt":
            return parts[0] ** 0.5 if parts[0] is not None else None
        case "log" | "exp" | "and" | "or" | "not":
            return None
    given = [(argument, part) for argument, part in zip(arguments, parts, strict=True) if part is not None]
    for other in given[1:]:
        if other[1] != given[0][1]:
            raise ValueError(f"{_verb(function)} {_described(*given[0], known)} and {_described(*other, known)}")
    return given[0][1] if given and function not in COMPARISONS else None


def _verb(function: str) -> str:
    if function in COMPARISONS or function in ("min", "max"):
        return "compares"
    return {"+": "adds", "-": "subtracts"}.get(function, "combines")


def _described(node: Node, dimension: Dimension, known: _Known) -> str:
    if isinstance(node, Name):
        return f"{node.name} in {known.units[node.name]}"
    return f"a value of {_shown(dimension)}"


def _shown(dimension: Dimension) -> str:
    """A dimension as text, such as length/time."""
    powers = {name.strip("[]"): float(power) for name, power in sorted(dimension.items())}
    above = " ".join(name if power == 1 else f"{name}^{power:g}" for name, power in powers.items() if power > 0)
    below = "".join(f"/{name}" if power == -1 else f"/{name}^{-power:g}" for name, power in powers.items() if power < 0)
    return f"{above or '1'}{below}" if powers else "a ratio"
