"""Columns with their units and headers, product types, failure modes and the published rules.

Names end with the unit: `_k` kelvin, `_rpm` revolutions per minute, `_nm` newton metres, `_min` minutes, `_w` watts.
The rules are published in S. Matzka, "Explainable Artificial Intelligence for Predictive Maintenance Applications",
AI4I 2020. This module imports only the standard library, because the API imports it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import pi

from ..errors import SourceError

WATTS_PER_NM_RPM = 2 * pi / 60
"""Mechanical power is torque times angular speed; 1 rpm is 2 pi / 60 radians per second."""

PRODUCT_TYPES = ("L", "M", "H")
"""Product quality in ascending order: low, medium, high."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A canonical column.

    `headers` are its names in published files, compared without case, spaces, punctuation and unit.
    `units` maps a unit's name to (scale, offset): canonical value = value * scale + offset.
    """

    name: str
    label: str
    headers: tuple[str, ...] = ()
    unit: str = ""
    units: Mapping[str, tuple[float, float]] = field(default_factory=dict)


_TEMPERATURE = {
    "k": (1.0, 0.0), "kelvin": (1.0, 0.0), "c": (1.0, 273.15), "degc": (1.0, 273.15), "celsius": (1.0, 273.15),
    "f": (5 / 9, 273.15 - 32 * 5 / 9), "degf": (5 / 9, 273.15 - 32 * 5 / 9), "fahrenheit": (5 / 9, 273.15 - 32 * 5 / 9),
}  # fmt: skip
_SPEED = {"rpm": (1.0, 0.0), "1min": (1.0, 0.0), "umin": (1.0, 0.0), "1s": (60.0, 0.0), "hz": (60.0, 0.0)}
_TORQUE = {"nm": (1.0, 0.0), "knm": (1000.0, 0.0), "ncm": (0.01, 0.0)}
_DURATION = {"min": (1.0, 0.0), "minutes": (1.0, 0.0), "s": (1 / 60, 0.0), "h": (60.0, 0.0), "hours": (60.0, 0.0)}

SENSORS = (
    Column(
        name="air_temperature_k",
        label="Air temperature",
        headers=("airtemperature", "airtemp"),
        unit="K",
        units=_TEMPERATURE,
    ),
    Column(
        name="process_temperature_k",
        label="Process temperature",
        headers=("processtemperature", "processtemp"),
        unit="K",
        units=_TEMPERATURE,
    ),
    Column(
        name="rotational_speed_rpm",
        label="Rotational speed",
        headers=("rotationalspeed", "speed", "rotationspeed"),
        unit="rpm",
        units=_SPEED,
    ),
    Column(name="torque_nm", label="Torque", headers=("torque",), unit="Nm", units=_TORQUE),
    Column(name="tool_wear_min", label="Tool wear", headers=("toolwear", "wear"), unit="min", units=_DURATION),
)
PRODUCT_TYPE = Column(name="product_type", label="Product type", headers=("type", "quality", "productquality"))
READING_ID = Column(name="reading_id", label="Reading", headers=("udi", "uid", "id", "readingid"))
MACHINE_ID = Column(name="machine_id", label="Machine", headers=("machineid", "machine", "machinename"))
TIMESTAMP = Column(name="timestamp", label="Time", headers=("timestamp", "time", "datetime", "date"))
LABEL = Column(
    name="machine_failure", label="Machine failure", headers=("machinefailure", "failure", "target", "label")
)

FAILURE_MODES = (
    Column(name="tool_wear_failure", label="Tool wear failure (TWF)", headers=("twf",)),
    Column(name="heat_dissipation_failure", label="Heat dissipation failure (HDF)", headers=("hdf",)),
    Column(name="power_failure", label="Power failure (PWF)", headers=("pwf",)),
    Column(name="overstrain_failure", label="Overstrain failure (OSF)", headers=("osf",)),
    Column(name="random_failure", label="Random failure (RNF)", headers=("rnf",)),
)

COLUMNS = (READING_ID, MACHINE_ID, TIMESTAMP, PRODUCT_TYPE, *SENSORS, LABEL, *FAILURE_MODES)
SENSOR_NAMES = tuple(sensor.name for sensor in SENSORS)
INPUT_NAMES = (PRODUCT_TYPE.name, *SENSOR_NAMES)
"""The raw columns that a model reads, in order."""
MODE_NAMES = tuple(mode.name for mode in FAILURE_MODES)
BINARY_NAMES = (LABEL.name, *MODE_NAMES)
NUMERIC_NAMES = (*SENSOR_NAMES, *BINARY_NAMES)
_COLUMNS_BY_NAME = {column.name: column for column in COLUMNS}
LABELS = {column.name: column.label for column in COLUMNS}

_UNITS = {column.name: column.unit for column in COLUMNS}

# The published rules of the four failure modes that depend on the reading.
HEAT_DISSIPATION_MIN_DIFFERENCE_K = 8.6
HEAT_DISSIPATION_MIN_SPEED_RPM = 1380.0
POWER_RANGE_W = (3500.0, 9000.0)
OVERSTRAIN_LIMIT_MIN_NM = {"L": 11_000.0, "M": 12_000.0, "H": 13_000.0}
TOOL_REPLACEMENT_FROM_MIN = 200.0


@dataclass(frozen=True)
class HeaderMatch:
    """The headers of one file by canonical name, as (header, scale, offset), and the headers that are ignored."""

    columns: Mapping[str, tuple[str, float, float]]
    ignored: tuple[str, ...]

    def missing(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self.columns]


def match_headers(headers: Iterable[str], aliases: Mapping[str, Iterable[str]] | None = None) -> HeaderMatch:
    """Match a file's headers to canonical columns and units.

    `aliases` adds headers for canonical names. Raises SourceError if two headers match the same column, or if the
    header of a sensor contains an unknown unit.
    """
    known = {_key(header): column for column in COLUMNS for header in (column.name, *column.headers)}
    for name, own in (aliases or {}).items():
        known |= {_key(header): _COLUMNS_BY_NAME[name] for header in own}
    columns: dict[str, tuple[str, float, float]] = {}
    ignored: list[str] = []
    for header in headers:
        column, unit = _match(header, known)
        if column is None:
            ignored.append(header)
            continue
        if column.name in columns:
            raise SourceError(
                f"columns {columns[column.name][0]!r} and {header!r} both match {column.name}: remove or rename one"
            )
        columns[column.name] = (header, *_conversion(header, column, unit))
    return HeaderMatch(columns, tuple(ignored))


def limit_reason(name: str, low: float, high: float) -> str:
    """The reason for rejecting a value of a sensor outside its physical limits."""
    return f"outside of the physical limits {low:g} to {high:g} {_UNITS[name]}"


def describe_missing(missing: Iterable[str], headers: Iterable[str]) -> str:
    """A line for each missing column, with a valid header and the closest header in the file."""
    headers = [header for header in headers if header]
    lines = []
    for name in missing:
        column = _COLUMNS_BY_NAME[name]
        unit = f" [{column.unit}]" if column.unit else ""
        near = get_close_matches(column.label.lower(), [header.lower() for header in headers], 1, 0.6)
        hint = f"; the closest header is {near[0]!r}" if near else ""
        lines.append(f"no column for {name} (a header such as {column.label + unit!r}{hint})")
    return "\n".join(lines)


def _key(header: str) -> str:
    return re.sub(r"[^a-z0-9]", "", header.lower())


def _match(header: str, known: Mapping[str, Column]) -> tuple[Column | None, str]:
    """The column that a header matches and the unit in the header ('' if none)."""
    if column := known.get(_key(header)):
        return column, ""
    # Takes linear time for any header: the text before the first bracket can end in one place only.
    bracket = re.fullmatch(r"([^\[(]*)[\[(](.*)[\])]\s*", header, re.DOTALL)
    if bracket and (column := known.get(_key(bracket[1]))):
        return column, _unit_key(bracket[2])
    suffix = re.fullmatch(r"(.+)[_ ]([^_ ]+)", header.strip())
    if suffix and (column := known.get(_key(suffix[1]))) and _unit_key(suffix[2]) in column.units:
        return column, _unit_key(suffix[2])
    return None, ""


def _unit_key(unit: str) -> str:
    return re.sub(r"[^a-z0-9]", "", unit.lower())


def _conversion(header: str, column: Column, unit: str) -> tuple[float, float]:
    if not unit or not column.units:
        return 1.0, 0.0
    if unit not in column.units:
        raise SourceError(
            f"column {header!r}: unknown unit {unit!r} for {column.name}; known units: {', '.join(column.units)}"
        )
    return column.units[unit]
