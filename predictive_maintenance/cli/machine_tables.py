"""A machine's description as tables of text."""

from collections.abc import Iterator, Sequence

from ..machine.columns import Category, Sensor
from ..machine.machine import Machine
from ..machine.rounding import shown
from ..machine.sections import Group, GroupColumn

Row = Sequence[str]


def machine_tables(machine: Machine) -> str:
    """The columns, features, history, operating limits, label, alarm policy and group of a machine."""
    described = machine.description
    title = f"{described.name} (registered model {described.model_name})"
    parts = [title if not described.texts.summary else f"{title}\n{described.texts.summary}"]
    parts.append(
        _table("Columns", ("column", "kind", "unit", "range or values", "required", "headers"), list(_columns(machine)))
    )
    if described.features:
        rows = [(name, feature.unit, feature.formula) for name, feature in described.features.items()]
        parts.append(_table("Features", ("feature", "unit", "formula"), rows))
    if described.events:
        header = (
            "table",
            "types",
            "features of each type",
            "counts over",
            "time since the last one",
            "headers of the type",
        )
        parts.append(_table("Tables of events", header, list(_event_tables(machine))))
    if (history := described.history) and history.windows:
        rows = [(", ".join(history.windows), ", ".join(history.statistics), ", ".join(machine.window_sensors))]
        parts.append(_table("History", ("windows", "statistics", "sensors"), rows))
    if machine.limits:
        limits = [(limit.name, limit.measure, limit.allowed, limit.action) for limit in machine.limits]
        parts.append(_table("Operating limits", ("limit", "measure", "allowed", "action"), limits))
    if rule := label_rule(machine):
        parts.append(f"Label: {described.label.label} ({machine.label_name}), computed: {rule}")
    if machine.is_over_time:
        parts.append(f"Alarm: {described.alarm_policy().text()}")
    parts.append(f"Group: {group_text(described.group)}")
    return "\n\n".join(parts)


def group_text(group: Group) -> str:
    """What is on one side of a split together."""
    if isinstance(group, GroupColumn):
        return f"ends where {group.falls} falls" if group.falls else f"rows with the same {group.column}"
    return {"row": "each row", "machine": "rows of the same machine"}[group]


def label_rule(machine: Machine) -> str | None:
    """How the label is computed; None for a column."""
    if machine.horizon is None:
        return None
    horizon = machine.horizon.text
    failures = machine.description.label.failures
    if failures is None:
        return f"every machine fails at its last reading, and readings within {horizon} before it are failures"
    ignored = f"; readings less than {failures.ignore_after} after it are left out" if failures.ignore_after else ""
    return f"readings within {horizon} before a failure in the table {failures.table} are failures{ignored}"


def _event_tables(machine: Machine) -> Iterator[Row]:
    history = machine.description.history
    for name, table in machine.description.events.items():
        rule = history.events.get(name) if history else None
        headers = ", ".join(table.type.headers) if table.type else ""
        used = (
            ("yes" if rule.by_type else "no", ", ".join(rule.count_over), "yes" if rule.time_since_last else "no")
            if rule
            else ("no features", "", "")
        )
        yield name, ", ".join(table.types), *used, headers


def _columns(machine: Machine) -> Iterator[Row]:
    described = machine.description
    tables = {name: table for table, names in machine.attribute_tables.items() for name in names}
    for name, column in machine.columns.items():
        headers = ", ".join([*column.headers, *([f"from the table {tables[name]}"] if name in tables else [])])
        if sensor := described.sensors.get(name):
            yield name, "sensor", sensor.unit, _range(sensor), "yes" if sensor.required else "no", headers
        elif category := described.categories.get(name):
            yield name, "category", "", _values(category), "yes", headers
        else:
            yield name, _kind(machine, name), column.unit, "", "", headers


def _kind(machine: Machine, name: str) -> str:
    if name == machine.description.label.column:
        return "label"
    if name in machine.mode_names:
        return "failure mode"
    kinds = {"reading_id": "id", "machine_id": "machine", "timestamp": "time", "counter": "time"}
    return kinds.get(name, "group")


def _range(sensor: Sensor) -> str:
    low, high = sensor.range
    return f"{shown(low)} to {shown(high)}"


def _values(category: Category) -> str:
    values = (" < " if category.ordered else ", ").join(category.values)
    return f"{values}; any other" if category.unseen == "other" else values


def _table(title: str, header: Row, rows: Sequence[Row]) -> str:
    widths = [max(len(row[position]) for row in (header, *rows)) for position in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    aligned = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    return "\n".join([title, *aligned])
