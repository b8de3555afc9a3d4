"""Explain a prediction: Shapley values of the inputs of a reading, against healthy readings.

The inputs are the sensors, each with the statistics of its windows, and the counter if it is a feature. A machine's only
category is not an input: a reading is compared with healthy readings of the same value, as a plant does. With several
categories, few readings agree in all of them, so the categories are inputs, too, and the reference is any healthy reading. A
missing value of an optional sensor is a value like any other. Where a formula has no value for a mix of the reading and a
reference reading, the mix has the probability of the reference reading.

Up to EXACT_INPUTS inputs the values are exact for the reference; above, they are estimates with a standard error. The largest
ones are divided among the current value and the statistics of the windows, always by estimates. The
number of scored rows is limited, because it determines the time. This module uses numpy only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ..machine.machine import Machine
from .possible_readings import ProbabilityScorer, possible_probabilities
from .shapley import Mask, Rows, Score, Table, estimated_parts, estimated_values, exact_values

EXACT_INPUTS = 10
"""The most inputs whose values are exact: each further one doubles the number of scored rows."""

REFERENCE_ROWS = 64
"""The most reference readings. Each is scored for each coalition or order: more take longer, fewer vary more."""

MAX_SCORED_ROWS = 4096
"""The most rows that an explanation scores: with more inputs, it uses fewer reference readings."""

MIN_EXACT_ROWS = 16
"""The fewest reference readings of exact values, above MAX_SCORED_ROWS if necessary: with 9 and 10 inputs."""

DIVIDED_INPUTS = 5
"""The most contributions that are divided among the parts of their inputs, the largest ones."""

MAX_DIVIDING_ROWS = 2048
"""The most rows that are scored to divide contributions, for inputs of up to 100 parts."""


@dataclass(frozen=True)
class Reference:
    """The healthy readings that a reading is compared with: inputs (n,) by name, and failure probabilities (n,)."""

    columns: dict[str, npt.NDArray[Any]]
    probabilities: Table
    name: str

    @property
    def mean_probability(self) -> float:
        return float(self.probabilities.mean())


@dataclass(frozen=True)
class Part:
    """What one column adds to the contribution of its input: the current value of a sensor, or a feature from the past."""

    name: str
    contribution: float
    standard_error: float


@dataclass(frozen=True)
class Explanation:
    """The mean probability of the reference plus all `contributions` (by input) is the probability of the reading.

    `standard_errors` (by input) are those of estimated contributions. It is None if the contributions are exact. `parts` (by
    input), the largest first, add up to the contribution; only the largest contributions of inputs with features from the past
    have them.
    """

    reference: Reference
    contributions: dict[str, float]
    standard_errors: dict[str, float] | None = None
    parts: Mapping[str, Sequence[Part]] = field(default_factory=dict)


class Explainer:
    """Explains predictions for a machine with a sample of its readings. Thread-safe.

    `sample` contains the inputs and the label by canonical name; at least one reading is healthy. `rows` is the most
    reference readings.
    """

    def __init__(
        self,
        scorer: ProbabilityScorer,
        machine: Machine,
        sample: Mapping[str, Sequence[Any]],
        rows: int = REFERENCE_ROWS,
    ) -> None:
        self._scorer, self._machine = scorer, machine
        self._compared = machine.category_names if len(machine.categories) == 1 else ()
        inputs = machine.sensor_names if self._compared else machine.input_names
        self.names = (*inputs, *machine.time_names, *machine.event_tables)
        """The explained inputs, in order. A table of events is one of them."""
        parts = [_columns_of(name, machine) for name in self.names]
        self._columns = [column for columns in parts for column in columns]
        self._owners = np.repeat(np.arange(len(parts)), [len(columns) for columns in parts])
        """(n,) the explained input of each column."""
        self._rows = min(rows, _most_rows(len(self.names)))
        self._sample = machine.arrays(sample) | {
            name: np.asarray(sample[name], dtype=object) for name in machine.category_names
        }
        self._healthy = ~np.asarray(sample[machine.description.label.column], dtype=bool)
        self._references: dict[tuple[float, ...], Reference] = {}

    def explain(self, reading: Mapping[str, Any]) -> Explanation:
        """Explain the prediction for one reading, which has canonical names, and the statistics of its windows.

        The same reading gets the same answer in every process: its values are the seed of an estimate's random orders.
        """
        probability, reference, count = self._scorer.probability(reading), self._reference_of(reading), len(self.names)
        fixed = {name: str(reading[name]) for name in self._compared}
        own = {name: self._value(reading, name) for name in self._columns}
        random = np.random.default_rng(crc32(repr([*fixed.values(), *own.values()]).encode()))

        def score_columns(mask: Mask, rows: Rows) -> Table:
            columns = {
                name: np.where(mask[..., place], own[name], reference.columns[name][rows])
                for place, name in enumerate(self._columns)
            }
            shape = columns[self._columns[0]].shape
            flat = {name: values.ravel() for name, values in columns.items()}
            mixed = possible_probabilities(self._scorer, self._machine, _with_fixed(flat, fixed)).reshape(shape)
            return np.where(np.isnan(mixed), reference.probabilities[rows], mixed)

        def score(mask: Mask, rows: Rows) -> Table:
            return score_columns(mask[..., self._owners], rows)

        if count <= EXACT_INPUTS:
            values, errors = exact_values(score, reference.probabilities, probability, count), None
        else:
            pairs = max(1, _most_pairs(count) // len(reference.probabilities))
            values, errors = estimated_values(score, reference.probabilities, probability, count, pairs, random)
        return Explanation(
            reference,
            self._by_name(values),
            None if errors is None else self._by_name(errors),
            self._divided(values, score_columns, len(reference.probabilities), random),
        )

    def _divided(
        self, values: Table, score: Score, references: int, random: np.random.Generator
    ) -> dict[str, tuple[Part, ...]]:
        """The parts of the largest contributions, by input."""
        sizes = np.bincount(self._owners)
        largest = [place for place in np.argsort(-np.abs(values), kind="stable") if sizes[place] > 1][:DIVIDED_INPUTS]
        pairs = max(2, MAX_DIVIDING_ROWS // max(1, sum(2 * (sizes[place] + 1) for place in largest)))
        divided = {}
        for place in largest:
            found = estimated_parts(score, references, values[place], self._owners, place, pairs, random)
            names = [name for name, owner in zip(self._columns, self._owners, strict=True) if owner == place]
            parts = [
                Part(name, *numbers) for name, *numbers in zip(names, *(each.tolist() for each in found), strict=True)
            ]
            divided[self.names[place]] = tuple(sorted(parts, key=lambda part: -abs(part.contribution)))
        return divided

    def _value(self, reading: Mapping[str, Any], name: str) -> str | float:
        value = reading.get(name)
        if name in self._machine.categories:
            return str(value)
        return np.nan if value is None else float(value)

    def _reference_of(self, reading: Mapping[str, Any]) -> Reference:
        codes = {name: self._machine.categories[name].of_value(reading[name]) for name in self._compared}
        key = tuple(codes.values())
        if key not in self._references:
            self._references[key] = self._reference(codes)
        return self._references[key]

    def _reference(self, codes: Mapping[str, float]) -> Reference:
        """Healthy readings with the same category, evenly spaced over the sample; of any if it has none of these."""
        machine, same = self._machine, self._healthy.copy()
        for name, code in codes.items():
            same &= self._sample[machine.categories[name].code_name] == code
        positions = np.flatnonzero(same if same.any() else self._healthy)
        chosen = positions[np.unique(np.linspace(0, len(positions) - 1, self._rows).round().astype(int))]
        columns = {name: self._sample[name][chosen] for name in self._columns}
        name = f"{len(chosen)} healthy reading{'' if len(chosen) == 1 else 's'}"
        fixed = {}
        for category, code in codes.items():
            described = machine.description.categories[category]
            fixed[category] = described.known_values[int(code)]
            label = _within_sentence(described.label)
            name += f" of {label} {fixed[category]}" if same.any() else f" of any {label}"
        return Reference(columns, self._scorer.probabilities(_with_fixed(columns, fixed)), name)

    def _by_name(self, values: Table) -> dict[str, float]:
        return dict(zip(self.names, values.tolist(), strict=True))


def _columns_of(name: str, machine: Machine) -> tuple[str, ...]:
    """The columns of one explained input: a sensor and the statistics of its windows, or the features of a table of events."""
    if name in machine.event_tables:
        return tuple(feature.name for feature in machine.event_features.values() if feature.table == name)
    return (name, *(feature.name for feature in machine.window_features.values() if feature.sensor == name))


def _most_rows(inputs: int) -> int:
    """The most reference readings that MAX_SCORED_ROWS permits."""
    return max(MIN_EXACT_ROWS, MAX_SCORED_ROWS >> inputs) if inputs <= EXACT_INPUTS else _most_pairs(inputs)


def _most_pairs(inputs: int) -> int:
    """The most pairs of orders that MAX_SCORED_ROWS permits; two at least, for a standard error."""
    return max(2, MAX_SCORED_ROWS // (2 * (inputs - 1)))


def _with_fixed(columns: dict[str, npt.NDArray[Any]], fixed: Mapping[str, str]) -> dict[str, Any]:
    rows = len(next(iter(columns.values())))
    return {name: np.full(rows, value, dtype=object) for name, value in fixed.items()} | columns


def _within_sentence(label: str) -> str:
    """A label without its capital: product type, but ISO class."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label
