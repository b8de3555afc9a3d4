"""The canonical columns of a description, in order, with their units."""

from collections.abc import Iterator, Mapping

from .checks import headers_by_column
from .description import MachineDescription
from .header_matching import Column
from .names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP

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


def _labels(description: MachineDescription) -> dict[str, str]:
    labels = {description.label.column: description.label.label}
    if not isinstance(description.group, str) and description.group.column:
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
