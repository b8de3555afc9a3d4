"""The sections of a drafted description, with a comment for each guess: why, and what to check."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..machine.names import COUNTER, MACHINE_ID, READING_ID, TIMESTAMP
from ..machine.rounding import shown
from .column_headers import ColumnNamer, NamedColumn
from .column_kinds import falls
from .column_names import canonical_name, has_word
from .column_profile import ColumnProfile
from .header_units import split_unit
from .ranges import Scale, scale_of
from .roles import Roles
from .yaml_lines import Noted

CHECK = "check: "
"""The start of a comment on what a person has to confirm."""

_ORDERS = (
    ("l", "m", "h"), ("low", "medium", "high"), ("low", "normal", "high"), ("small", "medium", "large"), ("s", "m", "l"),
    ("slow", "normal", "fast"), ("idle", "partial", "full"),
)  # fmt: skip


class Sections:
    """The sections of a draft in the order of the file. `names` maps headers of inputs to canonical names."""

    def __init__(self, roles: Roles, namer: ColumnNamer, label_name: str) -> None:
        self._roles, self._namer, self._label_name = roles, namer, label_name
        self.names: dict[str, str] = {}
        self.scales: dict[str, Scale] = {}
        self._units: list[str] = []

    def all(self, machine_name: str) -> dict[str, Any]:
        """The whole description. The label and the failure modes are named first, since their names are plain."""
        roles = self._roles
        label = self._label()
        identification = {"id": self._id(), "machine": self._machine(), "time": self._time()}
        group = self._group_column()
        categories = dict(map(self._category, roles.categories))
        sensors = dict(map(self._sensor, roles.sensors))
        kind = machine_name.replace("_", " ").replace("-", " ")
        description: dict[str, Any] = {
            "name": Noted(kind, f"{CHECK}the kind of machine, for people"),
            "model_name": Noted(machine_name.replace("-", "_"), "the registered model"),
            "texts": _group_texts(roles),
            **identification,
            "units": self._units,
            "categories": categories,
            "sensors": Noted(sensors, _sensor_note(roles.sensors)),
            "label": label,
            "group": group or self._group(),
            "examples": self._examples(),
        }
        return {key: value for key, value in description.items() if value}

    def _label(self) -> dict[str, Any]:
        label, roles = self._roles.label, self._roles
        if label is None:
            named = self._namer.plain(self._label_name)
            note = f"{CHECK}the files have no such column: add it, with 1 in each row in which the machine failed or was about to"
        else:
            named = self._namer.plain(label.header)
            note = (
                f"{CHECK}1 means failure: {roles.failures:,} of {label.rows:,} rows ({roles.failures / label.rows:.1%})"
            )
        section = {"column": Noted(named.name, note), "label": named.label, **_headers(named)}
        if roles.modes:
            modes = {}
            for leak in roles.modes:
                mode = self._namer.plain(leak.column.header)
                modes[mode.name] = Noted(
                    {"label": mode.label, **_headers(mode)},
                    f"{CHECK}{leak.column.header!r}: {leak.reason}, so it is not an input",
                )
            section["modes"] = modes
        return section

    def _id(self) -> Any:
        column = self._roles.id
        if column is None:
            return None
        named = self._namer.fixed(column.header, READING_ID)
        return Noted({"label": named.label, **_headers(named)}, f"{CHECK}{column.header!r} differs in each row")

    def _machine(self) -> Any:
        column = self._roles.machine
        if column is None:
            return None
        named = self._namer.fixed(column.header, MACHINE_ID)
        note = f"{CHECK}{column.header!r} has {len(column.counts):,} values: each is one machine"
        return Noted({"label": named.label, **_headers(named)}, note)

    def _time(self) -> Any:
        if column := self._roles.timestamp:
            named = self._namer.fixed(column.header, TIMESTAMP)
            note = f"{CHECK}{column.header!r} is the time of the reading"
            return Noted({"kind": "timestamp", "label": named.label, **_headers(named)}, note)
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
                **_headers(named),
            }
            return Noted(section, f"{CHECK}{column.header!r} counts up in each machine")
        return None

    def _category(self, column: ColumnProfile) -> tuple[str, Any]:
        named = self._namer.category(column.header)
        self.names[column.header] = named.name
        values, is_ordered = _ordered(list(column.counts))
        section: dict[str, Any] = {"label": _with_notes(named.label, self._suspicion(column))}
        section["values"] = Noted(values, f"{CHECK}these are all; a row with another value is rejected")
        if is_ordered:
            section["ordered"] = Noted(True, f"{CHECK}ascending")
        if column.missing and "other" not in values:
            section["values"] = values
            section["unseen"] = Noted(
                "other", f"{CHECK}{_share(column)} missing; these, and other values, count as other"
            )
        return named.name, section | _headers(named)

    def _sensor(self, column: ColumnProfile) -> tuple[str, Any]:
        named = self._namer.sensor(column.header)
        scale = scale_of(column, named.unit)
        self.names[column.header], self.scales[column.header] = named.name, scale
        notes = [*self._suspicion(column), *_oddities(column, named, scale)]
        section: dict[str, Any] = {"label": _with_notes(named.label, notes)}
        if named.unit:
            section["unit"] = Noted(named.unit, f"from the header {column.header!r}")
        section["range"] = Noted(scale.range, f"{CHECK}the data has {shown(scale.lowest)} to {shown(scale.highest)}")
        if scale.resolution:
            section["resolution"] = scale.resolution
        if column.missing:
            section["required"] = Noted(False, f"{CHECK}{_share(column)} missing")
        return named.name, section | _headers(named)

    def _suspicion(self, column: ColumnProfile) -> list[str]:
        reason = self._roles.suspects.get(column.header)
        return [f"{reason}. Remove the column if it is known only after the failure"] if reason else []

    def _group_column(self) -> Any:
        column = self._roles.group
        if column is None:
            return None
        named = self._namer.plain(column.header)
        note = f"{CHECK}rows of the same {column.header!r} ({len(column.counts):,} values) are on one side of the split"
        return Noted({"column": named.name, **_headers(named)}, note)

    def _group(self) -> Any:
        roles = self._roles
        if roles.machine:
            count = len(roles.machine.counts)
            few = "; they are few for a split" if count < 10 else ""
            return Noted(
                "machine", f"{CHECK}all readings of a machine are on one side of the split: {count:,} machines{few}"
            )
        if roles.falls:
            note = (
                f"{CHECK}a group ends where {roles.falls.header!r} falls from one row to the next ({falls(roles.falls):,} "
                "times): all readings of a life are on one side of the split"
            )
            return Noted({"falls": self.names[roles.falls.header]}, note)
        note = (
            f"{CHECK}each reading is on its own; if readings of one machine or one period are alike, add the column that tells "
            "them apart, or metrics will be too good"
        )
        return Noted("row", note)

    def _examples(self) -> dict[str, Any]:
        """A reading without failure and one with failure, from the data."""
        label = self._roles.label
        failed = np.zeros(self._roles.sensors[0].rows, bool) if label is None else label.binary == 1
        examples = {}
        for name, text, rows in (
            ("normal", "A normal reading", ~failed),
            ("failure", "A reading with failure", failed),
        ):
            if (row := self._complete_row(rows)) is not None:
                examples[name] = {"label": text, "reading": dict(self._values(row))}
        return examples

    def _complete_row(self, rows: Any) -> int | None:
        """The first of `rows` whose values can all be in an example."""
        for row in np.flatnonzero(rows)[:1000]:
            names = dict(self._cells(int(row)))
            required = [*self._roles.categories, *(column for column in self._roles.sensors if not column.missing)]
            if all(column.header in names for column in required):
                return int(row)
        return None

    def _values(self, row: int) -> Iterator[tuple[str, Any]]:
        for header, value in self._cells(row):
            yield self.names[header], value

    def _cells(self, row: int) -> Iterator[tuple[str, Any]]:
        for column in self._roles.categories:
            if (text := column.texts[row].as_py()) is not None:
                yield column.header, text
        for column in self._roles.sensors:
            low, high = self.scales[column.header].range
            if low <= column.numbers[row] <= high:
                yield column.header, float(column.numbers[row])


def _oddities(column: ColumnProfile, named: NamedColumn, scale: Scale) -> Iterator[str]:
    if named.doubt:
        yield named.doubt
    yield from scale.notes
    if column.not_numbers:
        count = column.present - len(column.finite)
        yield f"{count:,} cells are not numbers, such as {column.not_numbers[0][:40]!r}; their rows are rejected"
    distinct = len(np.unique(column.finite))
    if 2 < distinct <= 5:
        yield f"it has {distinct} different values only; is it a category?"


def _with_notes(label: str, notes: Sequence[str]) -> Any:
    return Noted(label, CHECK + "; ".join(notes)) if notes else label


def _headers(named: NamedColumn) -> dict[str, Any]:
    return {"headers": list(named.headers)} if named.headers else {}


def _share(column: ColumnProfile) -> str:
    return f"{column.missing:,} of {column.rows:,} cells are"


def _sensor_note(sensors: Sequence[ColumnProfile]) -> str:
    note = (
        f"{CHECK}range is what is physically possible, not what is usual: a reading outside is rejected. Here it is the range of "
        "the data, widened by its width on both sides."
    )
    if any(not split_unit(column.header).unit for column in sensors):
        note += " Add the unit where a sensor has one."
    return note


def _group_texts(roles: Roles) -> Mapping[str, str] | None:
    if roles.machine:
        return {"group": "machine", "groups": "machines"}
    if roles.falls:
        return {"group": "life", "groups": "lives"}
    if roles.group:
        word = canonical_name(roles.group.header).replace("_", " ").removesuffix(" id")
        return {"group": word, "groups": f"{word} groups"}
    return None


def _ordered(values: list[str]) -> tuple[list[str], bool]:
    """The values in a sensible order, and whether it is known to be ascending."""
    by_word = {value.lower(): value for value in values}
    for order in _ORDERS:
        if len(by_word) == len(values) and set(by_word) == set(order):
            return [by_word[word] for word in order], True
    try:
        return sorted(values, key=float), False
    except ValueError:
        return sorted(values), False
