"""Contradictions between the parts of a description: unknown and repeated names, cycles, bounds, examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..strict_model import Location, suggestion
from .column_list import headers_by_column
from .columns import Category, Sensor
from .dependencies import cycle_in, dependency_order
from .expression import ExpressionError
from .formulas import Condition, Formula
from .header_matching import header_key
from .history import name_part
from .names import CODE_SUFFIX, COUNTER, FIXED_NAMES, READING_ID
from .rounding import shown
from .sections import GroupColumn, OperatingLimit
from .spans import parse_duration, parse_span

if TYPE_CHECKING:
    from .description import MachineDescription

Errors = Iterator[tuple[Location, str]]
_FIXED_PLACES = (("id",), ("machine",), ("time",))
RESERVED_TABLES = ("readings", "join")
"""Names that mean something else before the URI of a source."""
MAX_LIMITS = 64
"""The most bounds of operating limits: a bit mask has one bit for each."""


def contradictions(described: MachineDescription) -> Errors:
    """The location and the text of each contradiction."""
    if errors := [*_events(described), *_history(described), *_label(described), *_alarm(described)]:
        yield from errors
        return  # the other checks need the names of the features
    yield from _attributes(described)
    yield from _repeated_names(described)
    yield from _shared_headers(described)
    yield from _features(described)
    yield from _operating_limits(described)
    yield from _identity(described)
    yield from _group(described)
    yield from _examples(described)


def _events(described: MachineDescription) -> Errors:
    for name, table in described.events.items():
        for part in ("machine", "time"):
            if getattr(described, part) is None:
                yield ("events",), f"events needs the column of the {part}: add {part}"
        if name in RESERVED_TABLES:
            yield ("events", name), f"events: {name} is not the name of a table of events: choose another name"
        parts: dict[str, str] = {}
        for place, value in enumerate(table.types):
            location: Location = ("events", name, "type", "values", place)
            if not (part := name_part(value)):
                yield location, f"events: {name}: {value!r} has no letter a to z and no digit"
            elif (earlier := parts.setdefault(part, value)) != value:
                yield location, f"events: {name}: {value!r} and {earlier!r} would have the same features"


def _attributes(described: MachineDescription) -> Errors:
    for part in ("categories", "sensors"):
        columns: Mapping[str, Category | Sensor] = getattr(described, part)
        for name, column in columns.items():
            location: Location = (part, name, "from_table")
            if column.from_table is None:
                continue
            if described.machine is None:
                yield location, f"{name}: from_table needs the column of the machine: add machine"
            if column.from_table in (*RESERVED_TABLES, *described.events):
                yield location, f"{name}: {column.from_table} is not a table of machine attributes: choose another name"


def _event_history(described: MachineDescription) -> Errors:
    history, time = described.history, described.time
    assert history is not None
    for name, rule in history.events.items():
        location: Location = ("history", "events", name)
        if name not in described.events:
            yield location, f"history: {name!r} is not a table in events{suggestion(name, described.events)}"
            continue
        if rule.by_type and not described.events[name].types:
            yield (*location, "by_type"), f"history: the events of {name} have no type: add events.{name}.type"
        for place, text in enumerate(rule.count_over if time else ()):
            assert time is not None
            try:
                parse_duration(text, time)
            except ValueError as error:
                yield (*location, "count_over", place), f"history: {error}"
            if text in rule.count_over[:place]:
                yield (*location, "count_over", place), f"history: the span {text!r} is listed twice"


def _history(described: MachineDescription) -> Errors:
    history = described.history
    if history is None:
        return
    for part in ("machine", "time"):
        if getattr(described, part) is None:
            yield ("history",), f"history needs the column of the {part}: add {part}"
    for place, name in enumerate(history.sensors):
        if name not in described.sensors:
            yield (
                ("history", "sensors", place),
                f"history: {name!r} is not a sensor{suggestion(name, described.sensors)}",
            )
    spans: dict[str, str] = {}
    for place, text in enumerate(history.windows if described.time else ()):
        assert described.time is not None
        try:
            span = parse_span(text, described.time)
        except ValueError as error:
            yield ("history", "windows", place), f"history: {error}"
            continue
        if (earlier := spans.setdefault(span.name, text)) != text or history.windows.index(text) != place:
            yield ("history", "windows", place), f"history: the window {text!r} is listed twice: it equals {earlier!r}"
    if history.time_since_start and described.time and described.time.kind != "counter":
        yield (
            ("history", "time_since_start"),
            "history: time_since_start needs a counter: timestamps do not start at 0; give starts as events with time_since_last",
        )
    for key in ("statistics", "sensors"):
        names: tuple[str, ...] = getattr(history, key)
        for place, name in enumerate(names):
            if name in names[:place]:
                yield ("history", key, place), f"history: {name!r} is listed twice"
    yield from _event_history(described)


def _label(described: MachineDescription) -> Errors:
    rule, key = described.label.rule, described.label.rule_name
    if rule is None:
        return
    for part in ("machine", "time"):
        if getattr(described, part) is None:
            yield ("label", key), f"{key} needs the column of the {part}: add {part}"
    for part in ("horizon", "ignore_after") if described.time else ():
        if text := getattr(rule, part, None):
            assert described.time is not None
            try:
                parse_duration(text, described.time)
            except ValueError as error:
                yield ("label", key, part), f"{part}: {error}"
    yield from _failures(described)


def _failures(described: MachineDescription) -> Errors:
    failures = described.label.failures
    if failures is None:
        return
    if failures.table not in described.events:
        hint = suggestion(failures.table, described.events)
        yield ("label", "failures"), f"failures: {failures.table!r} is not a table in events{hint}"
        return
    types = described.events[failures.table].types
    for name, kind in described.label.mode_types().items():
        if kind not in types:
            known = f"{suggestion(kind, types)}" if types else ": the failures have no type"
            yield ("label", "modes", name), f"modes: {kind!r} is not a type of {failures.table}{known}"


def _alarm(described: MachineDescription) -> Errors:
    if described.alarm is None:
        return
    for part in ("machine", "time"):
        if getattr(described, part) is None:
            yield ("alarm",), f"alarm needs the column of the {part}: add {part}"
    if not (described.history or described.label.is_computed):
        yield ("alarm",), "alarm needs history or a computed label: without them, readings may have no machine and time"


def _repeated_names(described: MachineDescription) -> Errors:
    taken = dict.fromkeys(FIXED_NAMES, "the name of a column that every machine can have")
    columns = [(place, name) for place, name, _ in headers_by_column(described) if place not in _FIXED_PLACES]
    features: list[tuple[Location, str]] = [(("features", name), name) for name in described.features]
    features += [(("events", name), name) for name in described.events]
    features += [(("history",), feature.name) for feature in described.window_features()]
    features += [(("history", "events"), feature.name) for feature in described.event_features()]
    if described.label.is_computed:
        features.append((("label",), described.label.column))
        features += [(("label", "modes", name), name) for name in described.label.modes]
    codes: list[tuple[Location, str]] = [(("categories", name), name + CODE_SUFFIX) for name in described.categories]
    for location, name in columns + features + codes:
        if name in taken:
            yield location, f"the name {name} is taken: it is {taken[name]}"
        taken[name] = ".".join(map(str, location))


def _shared_headers(described: MachineDescription) -> Errors:
    owners: dict[str, str] = {}
    for location, name, headers in headers_by_column(described):
        for header in (name, *headers):
            if not (key := header_key(header)):
                yield (*location, "headers"), f"the header {header!r} has no letter a to z and no digit"
            elif owners.setdefault(key, name) != name:
                yield (*location, "headers"), f"the header {header!r} already belongs to {owners[key]}"


def _features(described: MachineDescription) -> Errors:
    formulas: dict[str, Formula] = {}
    for name, feature in described.features.items():
        location = ("features", name, "formula")
        try:
            formulas[name] = Formula(feature.formula)
        except ExpressionError as error:
            yield location, f"the formula of {name}: {error}"
            continue
        yield from _unknown_names(described, location, f"the formula of {name}", formulas[name].names)
    ordered = dependency_order(formulas)
    if rest := [name for name in formulas if name not in ordered]:
        cycle = cycle_in(formulas, rest)
        yield ("features", cycle[0], "formula"), f"the formula of {cycle[0]} uses itself: {' -> '.join(cycle)}"


def _unknown_names(described: MachineDescription, location: Location, what: str, names: Iterable[str]) -> Errors:
    ordered = [name + CODE_SUFFIX for name, category in described.categories.items() if category.ordered]
    past = described.past_feature_names()
    counter = (COUNTER,) if described.history and described.history.time_since_start else ()
    known = (*described.sensors, *counter, *described.features, *past, *ordered)
    for name in names:
        if name.removesuffix(CODE_SUFFIX) in described.categories and name not in ordered:
            yield location, f"{what}: {name} is a category; a formula has numbers and codes of ordered categories only"
        elif name not in known:
            yield location, f"{what}: {name!r} is not a sensor or feature{suggestion(name, known)}"


def _operating_limits(described: MachineDescription) -> Errors:
    sides = [(limit.name, side) for limit in described.operating_limits for side, _ in limit.bounds()]
    if len(sides) > MAX_LIMITS:
        yield ("operating_limits",), f"{len(sides)} bounds are more than {MAX_LIMITS}"
    repeated = [pair for pair, count in Counter(sides).items() if count > 1]
    for place, limit in enumerate(described.operating_limits):
        location: Location = ("operating_limits", place)
        for side, _ in limit.bounds():
            if (limit.name, side) in repeated:
                yield (*location, "name"), f"limit {limit.name} has more than one {side}"
        yield from _unknown_names(described, (*location, "measure"), f"limit {limit.name}: measure", [limit.measure])
        if limit.when is not None:
            where, what = (*location, "when"), f"limit {limit.name}: when"
            try:
                yield from _unknown_names(described, where, what, Condition(limit.when).names)
            except ExpressionError as error:
                yield where, f"{what}: {error}"
        yield from _bounds(described, location, limit)


def _bounds(described: MachineDescription, location: Location, limit: OperatingLimit) -> Errors:
    what = f"limit {limit.name}"
    bounds = dict(limit.bounds())
    if not bounds:
        yield location, f"{what}: minimum or maximum is missing"
    category = described.categories.get(limit.by or "")
    if limit.by is not None and category is None:
        yield (*location, "by"), f"{what}: {limit.by!r} is not a category{suggestion(limit.by, described.categories)}"
    for side, bound in bounds.items():
        if isinstance(bound, Mapping) and limit.by is None:
            yield (
                (*location, side),
                f"{what}: {side} has a number for each value of a category: name the category in by",
            )
        elif isinstance(bound, Mapping) and category:
            for value in bound:
                if value not in category.known_values:
                    hint = suggestion(value, category.known_values)
                    yield (*location, side, value), f"{what}: {side}: {value!r} is not a value of {limit.by}{hint}"
            for value in category.known_values:
                if value not in bound:
                    yield (*location, side), f"{what}: {side}: the number for {value} is missing"
    low, high = limit.minimum, limit.maximum
    if isinstance(low, float) and isinstance(high, float) and not low < high:
        yield (*location, "minimum"), f"{what}: minimum {shown(low)} is not below maximum {shown(high)}"
    if category and not any(isinstance(bound, Mapping) for bound in bounds.values()):
        yield (*location, "by"), f"{what}: by has no effect: no bound has a number for each value of {limit.by}"


def _identity(described: MachineDescription) -> Errors:
    known = (*described.categories, *described.sensors)
    for place, name in enumerate(described.identity):
        if name not in known:
            yield ("identity", place), f"identity: {name!r} is not a category or sensor{suggestion(name, known)}"


def _group(described: MachineDescription) -> Errors:
    group = described.group
    if group == "machine" and described.machine is None:
        yield ("group",), "group: machine needs the column of the machine: add machine"
    if group == "row" and (described.history or described.label.is_computed):
        yield ("group",), "group: the readings of one machine share their windows and failures: write group: machine"
    if isinstance(group, GroupColumn):
        if group.falls and group.falls not in described.sensors:
            hint = suggestion(group.falls, described.sensors)
            yield ("group", "falls"), f"group: {group.falls!r} is not a sensor{hint}"
        if group.column in described.categories and group.headers:
            yield ("group", "headers"), f"group: {group.column} is a category, which has headers: remove these"


def _examples(described: MachineDescription) -> Errors:
    inputs = (*described.categories, *described.sensors)
    for name, example in described.examples.items():
        location: Location = ("examples", name, "reading")
        what = f"example {name}"
        for column, value in example.reading.items():
            where = (*location, column)
            if column in described.categories:
                known = described.categories[column].known_values
                if value not in known:
                    yield where, f"{what}: {column}: {value!r} is not one of {', '.join(known)}"
            elif column in described.sensors:
                low, high = described.sensors[column].range
                if isinstance(value, str):
                    yield where, f"{what}: {column}: {value!r} is not a number"
                elif not low <= value <= high:
                    yield (
                        where,
                        f"{what}: {column}: {shown(value)} is outside of its range {shown(low)} to {shown(high)}",
                    )
            elif column == READING_ID and described.id:
                if not isinstance(value, str):
                    yield where, f"{what}: {column}: write the id {shown(value)} in quotes"
            else:
                yield where, f"{what}: {column!r} is not an input{suggestion(column, inputs)}"
        for column in inputs:
            optional = column in described.sensors and not described.sensors[column].required
            if column not in example.reading and not optional:
                yield location, f"{what}: {column} is missing"
