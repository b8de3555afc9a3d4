"""The milling machine's columns, product types, failure modes and published rules, from its description.

Names end with the unit: `_k` kelvin, `_rpm` revolutions per minute, `_nm` newton metres, `_min` minutes, `_w` watts.
"""

from collections.abc import Iterable, Mapping
from math import pi

from .expression import Call, Number
from .header_matching import Column, HeaderMatch
from .limits import Limit
from .milling import MILLING

__all__ = ["Column", "HeaderMatch"]

WATTS_PER_NM_RPM = 2 * pi / 60
"""Mechanical power is torque times angular speed; 1 rpm is 2 pi / 60 radians per second."""

COLUMNS = tuple(MILLING.columns.values())
READING_ID = MILLING.columns["reading_id"]
MACHINE_ID = MILLING.columns["machine_id"]
TIMESTAMP = MILLING.columns["timestamp"]
PRODUCT_TYPE = MILLING.columns["product_type"]
PRODUCT_TYPES = MILLING.description.categories[PRODUCT_TYPE.name].values
"""Product quality in ascending order: low, medium, high."""
SENSORS = tuple(MILLING.columns[name] for name in MILLING.sensor_names)
LABEL = MILLING.columns[MILLING.description.label.column]
FAILURE_MODES = tuple(MILLING.columns[name] for name in MILLING.mode_names)

SENSOR_NAMES = MILLING.sensor_names
INPUT_NAMES = MILLING.input_names
"""The raw columns that a model reads, in order."""
MODE_NAMES = MILLING.mode_names
BINARY_NAMES = MILLING.binary_names
NUMERIC_NAMES = (*SENSOR_NAMES, *BINARY_NAMES)
LABELS = {column.name: column.label for column in COLUMNS}


def match_headers(headers: Iterable[str], aliases: Mapping[str, Iterable[str]] | None = None) -> HeaderMatch:
    """Match a file's headers to the columns, as Machine.match_headers does."""
    return MILLING.match_headers(headers, aliases)


def limit_reason(name: str) -> str:
    """The reason for rejecting a value of a sensor outside its physical limits."""
    return MILLING.range_reason(name)


def describe_missing(missing: Iterable[str], headers: Iterable[str]) -> str:
    """A line for each missing column, with a valid header and the closest header in the file."""
    return MILLING.describe_missing(missing, headers)


def _limit(name: str, side: str) -> Limit:
    return next(limit for limit in MILLING.limits if (limit.name, limit.side) == (name, side))


def _number(name: str, side: str) -> float:
    bound = _limit(name, side).bound
    assert isinstance(bound, float), name
    return bound


def _speed_below_which_heat_dissipation_is_limited() -> float:
    condition = _limit("heat_dissipation", "minimum").condition
    assert condition is not None
    assert isinstance(condition.tree, Call)
    speed = condition.tree.arguments[1]
    assert isinstance(speed, Number)
    return speed.value


# The published rules of the four failure modes that depend on the reading.
HEAT_DISSIPATION_MIN_DIFFERENCE_K = _number("heat_dissipation", "minimum")
HEAT_DISSIPATION_MIN_SPEED_RPM = _speed_below_which_heat_dissipation_is_limited()
POWER_RANGE_W = (_number("power", "minimum"), _number("power", "maximum"))
_strain_limits = _limit("strain", "maximum").bound
assert isinstance(_strain_limits, tuple)
OVERSTRAIN_LIMIT_MIN_NM = dict(zip(PRODUCT_TYPES, _strain_limits, strict=True))
TOOL_REPLACEMENT_FROM_MIN = _number("tool_wear", "maximum")
