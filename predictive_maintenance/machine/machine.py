"""A machine made from its description: columns, features, operating limits and headers, ready for use.

It needs numpy and pydantic only, because the API and a model version use it.
"""

import copy
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import header_matching
from .codes import CategoryCodes
from .column_list import Conversions, columns_of, described_column
from .dependencies import dependency_order
from .description import MachineDescription
from .events import EVENT_TYPE
from .formulas import Formula, Values
from .header_matching import Column, HeaderMatch
from .limits import ExceededLimit, Limit, LimitMargin, compiled_limits, exceeded_limit, limit_margin
from .names import COUNTER, MACHINE_ID, TIMESTAMP
from .rounding import decimals_of, shown
from .sections import Feature
from .unit_text import unit_text

Columns = Mapping[str, Any]
"""Inputs by canonical name with n values each: a data frame, or a mapping to arrays or lists."""

MAX_FLOAT32 = float(np.finfo(np.float32).max)


class Machine:
    """A kind of machine. Immutable and thread-safe.

    `columns` are the canonical columns by name, in order. `conversions` contains, by canonical unit, the keys of the
    units that headers may have, with scale and offset.
    """

    def __init__(self, description: MachineDescription, conversions: Conversions) -> None:
        self.description, self.conversions = description, conversions
        self.columns = {column.name: column for column in columns_of(description, conversions)}
        self.category_names = tuple(description.categories)
        self.sensor_names = tuple(description.sensors)
        self.required_sensor_names = tuple(name for name, sensor in description.sensors.items() if sensor.required)
        self.optional_sensor_names = tuple(name for name, sensor in description.sensors.items() if not sensor.required)
        self.input_names = (*self.category_names, *self.sensor_names)
        """The raw columns that a model reads, in order."""
        self.attribute_tables = _attribute_tables(description)
        """The inputs that are attributes of machines, by the table that has them."""
        self.required_input_names = (*self.category_names, *self.required_sensor_names)
        self.ranges = {name: sensor.range for name, sensor in description.sensors.items()}
        """The lowest and the highest possible value of each sensor."""
        self.categories = {name: CategoryCodes(name, category) for name, category in description.categories.items()}
        self.code_names = tuple(codes.code_name for codes in self.categories.values())
        self.computed_names = tuple(description.features)
        self.window_features = {feature.name: feature for feature in description.window_features()}
        """The statistics of earlier readings by name. predictive_maintenance.history computes them."""
        self.event_features = {feature.name: feature for feature in description.event_features()}
        """The counts of earlier events, and the times since the last one, by name. The same package computes them."""
        self.history_features = (*self.window_features, *self.event_features)
        """The features from a machine's past, in order."""
        history = description.history
        self.time_names = (COUNTER,) if history and history.time_since_start else ()
        """The counter, if it is a feature."""
        self.feature_names = (
            *self.code_names,
            *self.sensor_names,
            *self.time_names,
            *self.history_features,
            *self.computed_names,
        )
        """A model's features, in order: codes of categories, sensors, counter, features from the past, computed features."""
        self.time_is_counter = COUNTER in self.columns
        self.time_name = COUNTER if self.time_is_counter else TIMESTAMP
        self.needs_history = bool(history)
        """Whether features depend on earlier readings or events, so that each row of a table needs its machine and time."""
        self.is_over_time = self.needs_history or description.label.is_computed
        """Whether features or the label depend on the order of a machine's readings."""
        self.place_names = (MACHINE_ID, self.time_name) if self.is_over_time else ()
        """Machine and time, if they matter: each reading needs them in training."""
        self.history_names = self.place_names if self.needs_history else ()
        """Machine and time, if features depend on them: each row of a table that is scored needs them."""
        self.can_be_kept = description.machine is not None and description.time is not None
        """Whether a store can keep readings: they have a machine and a time."""
        self.event_tables = tuple(dict.fromkeys(feature.table for feature in self.event_features.values()))
        """The tables of events that features are made from."""
        self.window_sensors = tuple(dict.fromkeys(feature.sensor for feature in self.window_features.values()))
        self.mode_names = tuple(description.label.modes)
        failures = description.label.failures
        self.feedback_modes = self.mode_names or (description.events[failures.table].types if failures else ())
        """What feedback may name as failure mode: the failure modes or, without any, the types of its failures."""
        self.label_name = description.label.column
        self.horizon = description.horizon()
        """How far ahead the label looks; None if it is a column."""
        self.ignored_after_failure = description.ignored_after_failure()
        """How long readings are left out after a failure: microseconds, or the counter's unit."""
        self.binary_names = () if description.label.is_computed else (self.label_name, *self.mode_names)
        """The columns of a table with 0 or 1; none if the label is computed."""
        self.numeric_names = (
            *self.sensor_names,
            *(name for name in self.columns if name == COUNTER),
            *self.binary_names,
        )
        self.labels = (
            {name: column.label for name, column in self.columns.items()}
            | {codes.code_name: description.categories[name].label for name, codes in self.categories.items()}
            | {self.label_name: description.label.label}
            | {name: mode.label for name, mode in description.label.modes.items()}
            | {name: feature.label for name, feature in self.window_features.items()}
            | {name: feature.label for name, feature in self.event_features.items()}
            | {name: table.label for name, table in description.events.items()}
            | {name: feature.label for name, feature in description.features.items()}
        )
        formulas = {name: Formula(feature.formula, feature.decimals) for name, feature in description.features.items()}
        self._formulas = {name: formulas[name] for name in dependency_order(formulas)}
        self._nested = {name for name, formula in formulas.items() if any(used in formulas for used in formula.names)}
        self.limits: tuple[Limit, ...] = tuple(
            limit
            for described in description.operating_limits
            for limit in compiled_limits(
                described, self.unit(described.measure), self.decimals(described.measure), description.categories
            )
        )
        self._mask_type = np.min_scalar_type((1 << len(self.limits)) - 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Machine) and (self.description, self.conversions) == (
            other.description,
            other.conversions,
        )

    def __hash__(self) -> int:
        return hash(self.description.name)

    def __reduce__(self) -> tuple[type["Machine"], tuple[MachineDescription, Conversions]]:
        """Pickle the description: compiled formulas cannot be pickled."""
        return Machine, (self.description, self.conversions)

    def kept(self) -> "Machine":
        """The machine with readings as a store keeps them: each has its machine and its time, also without history."""
        machine = copy.copy(self)
        machine.needs_history = machine.is_over_time = True
        machine.place_names = machine.history_names = (MACHINE_ID, self.time_name)
        return machine

    def adjusted(
        self,
        *,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        headers: Mapping[str, Sequence[str]] | None = None,
        features: Mapping[str, Feature] | None = None,
    ) -> "Machine":
        """The machine with other ranges of sensors, further headers of columns, and further features, each by name.

        Examples outside the other ranges are left out. Raises pydantic.ValidationError if the parts then contradict each
        other, and KeyError for an unknown column.
        """
        plain = self.description.plain()
        for name, (low, high) in (ranges or {}).items():
            plain["sensors"][name]["range"] = [low, high]
            plain["examples"] = {
                key: example
                for key, example in plain.get("examples", {}).items()
                if low <= example["reading"].get(name, low) <= high
            }
        for name, own in (headers or {}).items():
            column = described_column(plain, name)
            column["headers"] = list(dict.fromkeys([*column.get("headers", ()), *own]))
        added = {name: feature.model_dump(mode="json") for name, feature in (features or {}).items()}
        plain["features"] = plain.get("features", {}) | added
        description = MachineDescription.model_validate_json(json.dumps(plain))
        return self if description == self.description else Machine(description, self.conversions)

    def identity_names(self, names: Iterable[str]) -> tuple[str, ...]:
        """The columns, among `names`, that identify a reading without an id.

        Machine and time where there are both, so that a further sensor changes no identity; else the columns that the
        description states, by default all inputs, with machine or time if there is one.
        """
        present = set(names)
        times = [name for name in (TIMESTAMP, COUNTER) if name in self.columns and name in present]
        if MACHINE_ID in present and times:
            return (MACHINE_ID, *times)
        stated = self.description.identity or self.input_names
        return tuple(name for name in (MACHINE_ID, *times, *stated) if name in present)

    def unit(self, name: str) -> str:
        """The unit of a sensor or a feature; '' if it has none."""
        described = (
            self.description.sensors.get(name)
            or self.description.features.get(name)
            or self.window_features.get(name)
            or self.event_features.get(name)
        )
        return described.unit if described else self.columns[name].unit if name in self.columns else ""

    def decimals(self, name: str) -> int | None:
        """The decimals of a sensor, by its resolution, or of a feature; None if it is not rounded."""
        if sensor := self.description.sensors.get(name):
            return decimals_of(sensor.smallest_difference)
        feature = self.description.features.get(name)
        return feature.decimals if feature else None

    def step(self, name: str) -> float:
        """The step of a sensor's form field."""
        sensor = self.description.sensors[name]
        return sensor.step or sensor.smallest_difference

    def feature(self, values: Values, name: str) -> Any:
        """One feature of `values`, in their type: numbers of a reading, arrays, or the Series of a data frame.

        `values` contains sensors and codes of categories by name.
        """
        formula = self._formulas.get(name)
        if formula is None:
            return values[name]
        if name in self._nested:
            values = {used: self.feature(values, used) for used in formula.names}
        return formula(values)

    def with_features(self, frame: Any) -> Any:
        """A copy of a data frame with a column for each computed feature."""
        arrays = self.arrays(frame)
        return frame.assign(**{name: arrays[name] for name in self.computed_names})

    def coded(self, reading: Mapping[str, Any]) -> dict[str, Any]:
        """One reading with the code of each category, and NaN for each optional sensor that it lacks.

        Raises DataError for an unknown value of a category that rejects it.
        """
        values = dict(reading)
        for name, codes in self.categories.items():
            values[codes.code_name] = codes.of_value(reading[name])
        for name in self.optional_sensor_names:
            if values.get(name) is None:
                values[name] = np.nan
        return values

    def values_of(self, reading: Mapping[str, Any]) -> dict[str, Any]:
        """One reading with codes and computed features."""
        values = self.coded(reading)
        for name, formula in self._formulas.items():
            values[name] = formula.number(values)
        return values

    def feature_matrix(self, columns: Columns, names: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """The features `names`, by default all, of n readings as an (n, len(names)) float32 array, the input of a model.

        A missing value, and an optional sensor that is not in `columns`, is NaN; so is a value of a category that
        the description rejects.
        """
        names = self.feature_names if names is None else names
        arrays = self.arrays(columns)
        matrix = np.empty((len(next(iter(arrays.values()))), len(names)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for position, name in enumerate(names):
                matrix[:, position] = arrays[name]
        return matrix

    def arrays(self, columns: Columns) -> dict[str, npt.NDArray[np.float64]]:
        """Sensors, codes, features from the past and computed features of n readings by name, each (n,) float64.

        Features from the past that are not in `columns`, and the features computed from them, are left out.
        """
        arrays: dict[str, npt.NDArray[np.float64]] = {
            name: np.asarray(columns[name], dtype=np.float64)
            for name in self.sensor_names
            if name in columns or name in self.required_sensor_names
        } | {
            name: np.asarray(columns[name], dtype=np.float64)
            for name in (*self.time_names, *self.history_features)
            if name in columns
        }
        for name, codes in self.categories.items():
            arrays[codes.code_name] = codes.of_column(columns[name])
        rows = len(next(iter(arrays.values()))) if arrays else 0
        for name in self.optional_sensor_names:
            arrays.setdefault(name, np.full(rows, np.nan))
        for name, formula in self._formulas.items():
            if all(used in arrays for used in formula.names):
                arrays[name] = formula.column(arrays)
        return arrays

    def formula_faults(self, columns: Columns) -> dict[str, npt.NDArray[np.bool_]]:
        """(n,) for each computed feature: rows whose inputs are finite, but whose value is not finite as float32.

        That is a division by zero, a logarithm of 0, or an overflow. Features without such rows are left out.
        """
        arrays, faults = self.arrays(columns), {}
        for name, formula in self._formulas.items():
            if name not in arrays:
                continue
            inputs = np.all([np.isfinite(arrays[used]) for used in formula.names], axis=0)
            bad = inputs & ~(np.abs(arrays[name]) <= MAX_FLOAT32)
            if bad.any():
                faults[name] = bad
        return faults

    def optional_sources(self, name: str) -> frozenset[str]:
        """The columns that a feature is computed from and that may have missing values: the feature may be NaN there.

        They are optional sensors, and features from the past: a window may have too few values, and there may be no event.
        """
        if name in self.optional_sensor_names or name in self.history_features:
            return frozenset((name,))
        formula = self._formulas.get(name)
        return frozenset[str]().union(*map(self.optional_sources, formula.names)) if formula else frozenset()

    def exceeded_limits(self, reading: Mapping[str, Any]) -> list[ExceededLimit]:
        """The limits that one reading exceeds."""
        values = self.values_of(reading)
        return [exceeded_limit(limit, values) for limit in self.limits if limit.exceeded(values)]

    def limit_margins(self, reading: Mapping[str, Any]) -> list[LimitMargin]:
        """The margin of one reading to every limit, without limits of a missing value."""
        values = self.values_of(reading)
        return [limit_margin(limit, values) for limit in self.limits if not math.isnan(values[limit.measure])]

    def exceeded_limit_codes(self, columns: Columns) -> npt.NDArray[Any]:
        """The limits that each of n readings exceeds, as (n,) bit masks: bit 0 is the first of `limits`."""
        arrays = self.arrays(columns)
        codes = np.zeros(len(next(iter(arrays.values()))), dtype=self._mask_type)
        for bit, limit in enumerate(self.limits):
            codes |= limit.exceeded_rows(arrays).astype(self._mask_type) << np.array(bit, dtype=self._mask_type)
        return codes

    def limits_of_code(self, code: int) -> tuple[Limit, ...]:
        """The limits in a bit mask of `exceeded_limit_codes`."""
        return tuple(limit for bit, limit in enumerate(self.limits) if int(code) >> bit & 1)

    def match_headers(self, headers: Iterable[str], aliases: Mapping[str, Iterable[str]] | None = None) -> HeaderMatch:
        """Match a file's headers to canonical columns and units. Raises SourceError for an ambiguous or unknown one."""
        return header_matching.match_headers(self.columns, headers, aliases)

    def event_columns(self, table: str) -> dict[str, Column]:
        """The canonical columns of a table of events by name: machine, time and, if the events have types, type.

        Raises KeyError if the description has no such table.
        """
        described = self.description.events[table]
        columns = {
            name: replace(self.columns[name], headers=(*self.columns[name].headers, *headers))
            for name, headers in (
                (MACHINE_ID, described.machine_headers),
                (self.time_name, described.time_headers),
            )
        }
        if described.type:
            label, headers = described.type.label, described.type.headers
            columns[EVENT_TYPE] = Column(name=EVENT_TYPE, label=label, headers=(label, *headers))
        return columns

    def attribute_columns(self, table: str) -> dict[str, Column]:
        """The canonical columns of a table of machine attributes by name: machine, the time from which they hold, attributes."""
        names = (MACHINE_ID, self.time_name, *self.attribute_tables[table])
        return {name: self.columns[name] for name in names if name in self.columns}

    def describe_missing(self, missing: Iterable[str], headers: Iterable[str]) -> str:
        """A line for each missing column, with a valid header and the closest header in the file."""
        return header_matching.describe_missing(self.columns, missing, headers)

    def header(self, name: str) -> str:
        """A valid header of a column, with the unit: "Torque [Nm]"."""
        column = self.columns[name]
        return f"{column.label} [{column.unit}]" if column.unit else column.label

    def range_reason(self, name: str) -> str:
        """The reason for rejecting a value of a sensor outside its range."""
        low, high = self.description.sensors[name].range
        return f"outside of the physical limits {shown(low)} to {shown(high)} {unit_text(self.unit(name))}".rstrip()


def _attribute_tables(description: MachineDescription) -> dict[str, tuple[str, ...]]:
    tables: dict[str, tuple[str, ...]] = {}
    owners = {name: category.from_table for name, category in description.categories.items()}
    owners |= {name: sensor.from_table for name, sensor in description.sensors.items()}
    for name, table in owners.items():
        if table:
            tables[table] = (*tables.get(table, ()), name)
    return tables
