"""The canonical columns of a description, in order, with their units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..strict_model import Location
from .header_matching import Column
from .names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP
from .sections import GroupColumn

if TYPE_CHECKING:
    from .description import MachineDescription

Conversions = Mapping[str, Mapping[str, tuple[float, float]]]
"""By canonical unit: the key of each unit that a header may have, with (scale, offset)."""


def columns_of(description: MachineDescription, conversions: Conversions) -> Iterator[Column]:
    """The columns: id, machine, time, group, categories, sensors, label, failure modes, as far as there are any."""
    labels, units = _labels(description), _units(description)
    for _, name, headers in headers_by_column(description):
        unit = units.get(name, "")
        yield Column(
            name=name, label=labels[name], headers=headers, unit=unit, units=conversions.get(unit, {}) if unit else {}
        )


def headers_by_column(described: MachineDescription) -> Iterator[tuple[Location, str, tuple[str, ...]]]:
    """The location, the canonical name and the headers of each column, in canonical order."""
    if described.id:
        yield ("id",), READING_ID, described.id.headers
    if described.machine:
        yield ("machine",), MACHINE_ID, described.machine.headers
    if described.time:
        yield ("time",), TIMESTAMP if described.time.kind == "timestamp" else COUNTER, described.time.headers
    group = described.group
    if isinstance(group, GroupColumn) and group.column and group.column not in described.categories:
        yield ("group",), group.column, group.headers
    for name, category in described.categories.items():
        yield ("categories", name), name, category.headers
    for name, sensor in described.sensors.items():
        yield ("sensors", name), name, sensor.headers
    if described.label.is_computed:
        return
    yield ("label",), described.label.column, described.label.headers
    for name, mode in described.label.modes.items():
        yield ("label", "modes", name), name, mode.headers


def described_column(plain: dict[str, Any], name: str) -> dict[str, Any]:
    """The part of a plain description that describes the column `name`. Raises KeyError if there is none."""
    fixed = {READING_ID: "id", MACHINE_ID: "machine", TIMESTAMP: "time", COUNTER: "time"}
    parts = {canonical: plain[key] for canonical, key in fixed.items() if key in plain}
    group = plain.get("group")
    if isinstance(group, dict) and "column" in group:
        parts[group["column"]] = group
    parts |= {plain["label"]["column"]: plain["label"]} | plain["label"].get("modes", {})
    parts |= plain["sensors"] | plain.get("categories", {})
    found: dict[str, Any] = parts[name]
    return found


def _labels(description: MachineDescription) -> dict[str, str]:
    labels = {description.label.column: description.label.label}
    if isinstance(description.group, GroupColumn) and description.group.column:
        labels[description.group.column] = description.texts.group.capitalize()
    for name, fixed in ((READING_ID, description.id), (MACHINE_ID, description.machine)):
        if fixed:
            labels[name] = fixed.label
    if description.time:
        labels |= {TIMESTAMP: description.time.label, COUNTER: description.time.label}
    for columns in (description.categories, description.sensors, description.label.modes):
        labels |= {name: column.label for name, column in columns.items()}
    return labels


def _units(description: MachineDescription) -> dict[str, str]:
    units = {name: sensor.unit for name, sensor in description.sensors.items()}
    if description.time:
        units[COUNTER] = description.time.unit
    return units
