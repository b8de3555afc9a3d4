"""A reading as the query string of a URL, and back."""

from collections.abc import Mapping
from typing import Any

from predictive_maintenance.machine.sensors import INPUT_NAMES, PRODUCT_TYPE, PRODUCT_TYPES, SENSOR_NAMES

MACHINE = "machine"
"""The query parameter of the machine's name."""

Reading = Mapping[str, Any]
Limits = Mapping[str, tuple[float, float]]


def query_from_reading(reading: Reading, machine: str = "") -> dict[str, str]:
    query = {name: f"{reading[name]:.10g}" for name in SENSOR_NAMES} | {PRODUCT_TYPE.name: reading[PRODUCT_TYPE.name]}
    return query | ({MACHINE: machine} if machine else {})


def reading_from_query(query: Mapping[str, str], default: Reading, limits: Limits) -> tuple[dict[str, Any], list[str]]:
    """Return the reading, and a message for each invalid value. Missing and invalid values are those of `default`."""
    reading: dict[str, Any] = {name: default[name] for name in INPUT_NAMES}
    messages: list[str] = []
    for name in query.keys() & set(INPUT_NAMES):
        value = _parse_value(name, query[name], limits)
        if value is None:
            messages.append(f"{name}: {query[name]!r} is not valid, {reading[name]} is used instead")
        else:
            reading[name] = value
    return reading, sorted(messages)


def _parse_value(name: str, text: str, limits: Limits) -> str | float | None:
    if name == PRODUCT_TYPE.name:
        return text if text in PRODUCT_TYPES else None
    try:
        value = float(text)
    except ValueError:
        return None
    low, high = limits[name]
    return value if low <= value <= high else None
