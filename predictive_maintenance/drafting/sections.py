"""The sections of a drafted description, with a comment for each guess: why, and what to check."""

import json
from collections.abc import Mapping
from typing import Any

from ..machine.names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP
from ..machine.table_format import TableFormat
from .column_headers import ColumnNamer
from .column_kinds import falls, is_numbered
from .column_names import canonical_name, has_word
from .column_profile import ColumnProfile
from .examples import example_readings
from .header_units import split_unit
from .history_sections import alarm_section, events_section, failures_label, history_section, with_headers
from .input_sections import category_section, headers_of, sensor_section, sensors_note
from .ranges import Scale, scale_of
from .roles import Roles
from .yaml_lines import CHECK, Noted

_FEW_MACHINES = 10


class Sections:
    """The sections of a draft, whose columns `namer` names. `written` is the format of the files, if it was given."""

    def __init__(self, roles: Roles, namer: ColumnNamer, label_name: str, written: TableFormat | None) -> None:
        self._roles, self._namer, self._label_name, self._written = roles, namer, label_name, written
        self._scales: dict[str, Scale] = {}
        self._units: list[str] = []

    def all(self, machine_name: str) -> dict[str, Any]:
        """The whole description, in the order of the file."""
        roles = self._roles
        label, group = self._label(), self._group_column()
        machine = self._fixed(roles.machine, MACHINE_ID, f"has {_machines(roles):,} values: each is one machine")
        time = self._time()
        categories = dict(map(self._category, roles.categories))
        sensors = dict(map(self._sensor, roles.sensors))
        kind = machine_name.replace("_", " ").replace("-", " ")
        description: dict[str, Any] = {
            "name": Noted(kind, f"{CHECK}the kind of machine, for people"),
            "model_name": Noted(machine_name.replace("-", "_"), "the registered model"),
            "texts": _group_texts(roles),
            "id": self._fixed(roles.id, READING_ID, "differs in each row"),
            "machine": machine,
            "time": time,
            "format": self._written.model_dump(mode="json", exclude_defaults=True) if self._written else None,
            "units": self._units,
            "categories": categories,
            "sensors": Noted(sensors, sensors_note(roles.sensors)),
            **self._over_time(machine, time),
            "label": label,
            "group": group or self._group(),
            "alarm": alarm_section() if roles.further else None,
            "examples": example_readings(roles, self._namer.names, self._scales),
        }
        return {key: value for key, value in description.items() if value}

    def _over_time(self, machine: Any, time: Any) -> dict[str, Any]:
        """The sections events and history, if there are further tables."""
        further = self._roles.further
        if further is None:
            return {}
        known = [MACHINE_ID, *machine.value.get("headers", ())]
        known_time = [TIMESTAMP if self._roles.timestamp else COUNTER, *time.value.get("headers", ())]
        sensors = len(self._roles.sensors) - sum(len(table.sensors) for table in further.attributes)
        windows = further.times.windows(further.horizon)
        return {
            "events": events_section(further.events, known, known_time),
            "history": history_section(further.events, further.failures, further.times, windows, sensors),
        }

    def _label(self) -> dict[str, Any]:
        if (further := self._roles.further) and further.failures and further.horizon:
            return failures_label(further.failures, further.times, further.horizon, self._namer)
        label, roles = self._roles.label, self._roles
        named = self._namer.plain(label.header if label else self._label_name)
        if label is None:
            note = "the files have no such column: add it, with 1 in each row in which the machine failed or was about to fail"
        else:
            one = next(text for text, value in label.binary_values.items() if value == 1)
            note = f"{one} means failure: {roles.failures:,} of {label.rows:,} rows ({roles.failures / label.rows:.1%})"
        section = {"column": Noted(named.name, CHECK + note), "label": named.label, **headers_of(named)}
        if roles.modes:
            section["modes"] = modes = {}
            for leak in roles.modes:
                mode = self._namer.plain(leak.column.header)
                note = f"{CHECK}{leak.column.header!r}: {leak.reason}, so it is not an input"
                modes[mode.name] = Noted({"label": mode.label, **headers_of(mode)}, note)
        return section

    def _fixed(self, column: ColumnProfile | None, name: str, reason: str) -> Any:
        if column is None:
            return None
        named = self._namer.fixed(column.header, name)
        section = {"label": named.label, **headers_of(named)}
        return Noted(self._with_headers_of_tables(section, name), f"{CHECK}{column.header!r} {reason}")

    def _with_headers_of_tables(self, section: dict[str, Any], name: str) -> dict[str, Any]:
        """The section of the machine or the time with the headers that tables of attributes have for it."""
        tables = self._roles.further.attributes if self._roles.further else ()
        columns = {MACHINE_ID: [table.machine for table in tables]}.get(name, [table.time for table in tables])
        return section if name == READING_ID else with_headers(section, name, filter(None, columns))

    def _time(self) -> Any:
        if column := self._roles.timestamp:
            named = self._namer.fixed(column.header, TIMESTAMP)
            note = f"{CHECK}{column.header!r} is the time of the reading"
            section = {"kind": "timestamp", "label": named.label, **headers_of(named)}
            return Noted(self._with_headers_of_tables(section, TIMESTAMP), note)
        if column := self._roles.counter:
            named = self._namer.fixed(column.header, COUNTER)
            unit = split_unit(column.header).unit or ("cycle" if has_word(column.header, ["cycle"]) else "")
            if not unit:
                unit = "step"
                self._units.append(unit)
            section = {
                "kind": "counter",
                "label": named.label,
                "unit": Noted(unit, f"{CHECK}its unit"),
                **headers_of(named),
            }
            note = f"{CHECK}{column.header!r} counts up in each machine"
            return Noted(self._with_headers_of_tables(section, COUNTER), note)
        return None

    def _category(self, column: ColumnProfile) -> tuple[str, Any]:
        named = self._namer.category(column.header)
        notes = self._suspicion(column)
        if is_numbered(column) and self._roles.machine is None:
            header = json.dumps(column.header, ensure_ascii=False)
            notes.append(
                "do the values name machines? A model would learn each one and reject new ones: replace this category and its "
                f"lines in `examples` by a line `machine: {{headers: [{header}]}}`, and set `group: machine`"
            )
        return named.name, category_section(column, named, notes) | self._table_of(column)

    def _sensor(self, column: ColumnProfile) -> tuple[str, Any]:
        named = self._namer.sensor(column.header)
        scale = scale_of(column, named.unit)
        self._scales[column.header] = scale
        return named.name, sensor_section(column, named, scale, self._suspicion(column)) | self._table_of(column)

    def _table_of(self, column: ColumnProfile) -> dict[str, Any]:
        table = self._roles.further.from_table.get(column.header) if self._roles.further else None
        note = f"{CHECK}an attribute of a machine: it is joined to all of its readings"
        return {"from_table": Noted(table, note)} if table else {}

    def _suspicion(self, column: ColumnProfile) -> list[str]:
        reason = self._roles.suspects.get(column.header)
        return [f"{reason}. Remove the column if it is known only after the failure"] if reason else []

    def _group_column(self) -> Any:
        column = self._roles.group
        if column is None:
            return None
        named = self._namer.plain(column.header)
        note = f"{CHECK}rows of the same {column.header!r} ({len(column.counts):,} values) are on one side of the split"
        return Noted({"column": named.name, **headers_of(named)}, note)

    def _group(self) -> Any:
        roles = self._roles
        if roles.machine:
            few = "; they are few for a split" if _machines(roles) < _FEW_MACHINES else ""
            note = f"{CHECK}all readings of a machine are on one side of the split: {_machines(roles):,} machines{few}"
            return Noted("machine", note)
        if wear := roles.falls:
            note = (
                f"{CHECK}a group ends where {wear.header!r} falls from one row to the next ({falls(wear):,} times): all readings "
                "of a life are on one side of the split"
            )
            return Noted({"falls": self._namer.names[wear.header]}, note)
        note = (
            f"{CHECK}readings are independent of each other; if readings of one machine or one period are similar, name the "
            "column of the machine or the period, or the metrics will be too good"
        )
        return Noted("row", note)


def _machines(roles: Roles) -> int:
    return len(roles.machine.counts) if roles.machine else 0


def _group_texts(roles: Roles) -> Mapping[str, str] | None:
    if roles.machine:
        return {"group": "machine", "groups": "machines"}
    if roles.falls:
        return {"group": "life", "groups": "lives"}
    if roles.group:
        word = canonical_name(roles.group.header).replace("_", " ").removesuffix(" id")
        return {"group": word, "groups": word + ("es" if word.endswith(("ch", "s", "x")) else "s")}
    return None
