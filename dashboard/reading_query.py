"""A reading as the query string of a URL, and back."""

from collections.abc import Mapping
from typing import Any

from predictive_maintenance.machine.machine import Machine

MACHINE = "machine"
"""The query parameter of the machine's name."""

Reading = Mapping[str, Any]


def query_from_reading(machine: Machine, reading: Reading, name: str = "") -> dict[str, str]:
    """The query of a reading of `machine`, and of the name of the asset. Missing values are left out."""
    present = {key: reading[key] for key in machine.input_names if _is_present(reading.get(key))}
    query = {key: str(value) if key in machine.categories else f"{value:.10g}" for key, value in present.items()}
    return query | ({MACHINE: name} if name else {})


def reading_from_query(
    machine: Machine, query: Mapping[str, str], default: Reading
) -> tuple[dict[str, Any], list[str]]:
    """Return the reading, and a message for each invalid value. Missing and invalid values are those of `default`.

    If the query has a reading, an optional sensor that it lacks has no value.
    """
    given = query.keys() & set(machine.input_names)
    reading: dict[str, Any] = {
        name: default[name]
        for name in machine.input_names
        if name in default and not (given and name in machine.optional_sensor_names)
    }
    messages: list[str] = []
    for name in given:
        value = _parse_value(machine, name, query[name])
        if value is None:
            used = f"{reading[name]} is used" if name in reading else "no value is used"
            messages.append(f"{name}: {query[name]!r} is not valid, {used} instead")
        else:
            reading[name] = value
    return reading, sorted(messages)


def _is_present(value: Any) -> bool:
    return value is not None and value == value


def _parse_value(machine: Machine, name: str, text: str) -> str | float | None:
    if category := machine.description.categories.get(name):
        return text if text in category.known_values else None
    try:
        value = float(text)
    except ValueError:
        return None
    low, high = machine.ranges[name]
    return value if low <= value <= high else None
