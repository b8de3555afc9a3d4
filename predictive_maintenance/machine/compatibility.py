"""Whether a model of one description of a machine can score the readings of another one."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from .header_matching import header_key
from .machine import Machine

SAME_UNIT = (1.0, 0.0)

_MOST_SHOWN = 8


@dataclass(frozen=True)
class Described:
    """Readings as a description has them: their machine, the columns that there are, and names for both in sentences.

    `rows` names the readings, in the plural; `model` a model of their machine.
    """

    machine: Machine
    columns: Collection[str]
    rows: str
    model: str


def obstacles(reader: Machine, given: Described) -> Iterator[str]:
    """Why a model of the machine `reader` cannot score the readings `given`, or predicts something else, as sentences about it.

    It needs the columns that are required in its description, of the same kind and in units that can be converted, and the
    events, with the same types.
    """
    writer = given.machine
    inputs = [name for name in writer.input_names if name in given.columns]
    places = [name for name in reader.history_names if name not in given.columns]
    if missing := places + [name for name in reader.required_input_names if name not in inputs]:
        yield f"it needs {columns_text(missing)}, which {given.rows} do not have"
    both = [name for name in reader.input_names if name in inputs]
    if changed := [name for name in both if (name in reader.categories) != (name in writer.categories)]:
        yield f"{columns_text(changed)}: it is a category in one description and a sensor in the other"
    for name in both:
        if (
            name in reader.sensor_names
            and name in writer.sensor_names
            and unit_conversion(reader, writer, name) is None
        ):
            own, other = (machine.unit(name) or "none" for machine in (reader, writer))
            yield f"column {name} has unit {own} for it and {other} in {given.rows}"
    if reader.needs_history and reader.time_is_counter != writer.time_is_counter:
        yield "time is a counter in one description and a timestamp in the other"
    if unknown := [name for name in reader.event_tables if name not in writer.description.events]:
        yield f"it needs the events of {_listed(unknown)}, which {given.rows} do not have"
    elif others := [name for name in reader.event_tables if _types(reader, name) != _types(writer, name)]:
        yield f"the events of {_listed(others)} have other types in its description"
    if reader.label_name != writer.label_name:
        yield f"it predicts {reader.label_name}, and {given.model} predicts {writer.label_name}"
    elif reader.horizon != writer.horizon:
        own, other = (f"within {each.horizon.text}" if each.horizon else "a column" for each in (reader, writer))
        yield f"{reader.label_name} is {own} for it and {other} in {given.rows}"


def unit_conversion(reader: Machine, writer: Machine, name: str) -> tuple[float, float] | None:
    """(scale, offset) from the unit of a sensor in the description `writer` to that in `reader`; None if it is not known."""
    unit = writer.unit(name)
    return SAME_UNIT if unit == reader.unit(name) else reader.columns[name].units.get(header_key(unit))


def columns_text(names: Sequence[str]) -> str:
    """`column a`, or `columns a, b`."""
    return f"column{'' if len(names) == 1 else 's'} {_listed(names)}"


def _types(machine: Machine, table: str) -> tuple[str, ...]:
    return machine.description.events[table].types


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more
