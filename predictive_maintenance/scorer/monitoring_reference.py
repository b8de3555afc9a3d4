"""What a version's training saw, as monitoring compares it with production: counts in bins of each watched column."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from ..errors import ModelError
from ..machine.machine import Machine
from .version_files import MONITORING_FILE, REFERENCE_FILE, parse_content, parse_reference, read_file

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
NumberArray = FloatArray | IntArray

CLUSTERS = 256
"""Rows that resemble each other are counted in one cluster, and an interval draws whole clusters."""
NEIGHBOURS = 32
"""Consecutive readings without machine that count as related."""

PROBABILITY, ALARM = "failure_probability", "predicted_failure"
_MOST_BINS = 10
_SMOOTHING = 0.5
_Count = Annotated[int, Field(ge=0)]


class WatchedColumn(BaseModel):
    """The rows of training in bins of one column: bin i has the values from `edges[i - 1]`, inclusive, up to `edges[i]`.

    `missing` rows have no value; `mean` is that of the others, None without any. `usual` is the largest stability index
    that a window of these rows had against all of them; None if windows cannot be told. `clusters` are the counts of the rows in
    each of `machine_clusters` that has some, for an attribute of machines.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    edges: list[float]
    counts: list[_Count]
    missing: _Count
    mean: float | None
    usual: Annotated[float, Field(ge=0)] | None = None
    clusters: dict[int, list[_Count]] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(left >= right for left, right in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges are not in order")
        if len(self.counts) != len(self.edges) + 1:
            raise ValueError(f"{len(self.counts)} counts for {len(self.edges)} edges")
        for number, counts in (self.clusters or {}).items():
            if not 0 <= number < CLUSTERS or len(counts) != len(self.counts):
                raise ValueError(f"clusters: {number} is not below {CLUSTERS}, or has not {len(self.counts)} counts")
        return self

    @classmethod
    def of(cls, values: FloatArray, edges: Sequence[float], windows: IntArray | None = None) -> Self:
        """The column with `values` (n,), of which NaN are missing. `windows` (n,) are numbers, -1 for a row in none."""
        there = ~np.isnan(values)
        column = cls(
            edges=list(edges),
            counts=np.bincount(np.searchsorted(edges, values[there], side="right"), minlength=len(edges) + 1).tolist(),
            missing=int((~there).sum()),
            mean=float(values[there].mean()) if there.any() else None,
        )
        if windows is None or not there.any():
            return column
        placed, known = column.places(values), windows >= 0
        counted = known & (placed >= 0)
        counts = np.zeros((int(windows.max(initial=-1)) + 1, len(column.counts)), dtype=np.intp)
        np.add.at(counts, (windows[counted], placed[counted]), 1)
        filled = counts[counts.sum(axis=1) > 0]
        usual = float(psi(np.array(column.counts), filled).max()) if len(filled) else None
        return column.model_copy(update={"usual": usual})

    def with_clusters(self, values: FloatArray, clusters: IntArray) -> Self:
        """The column with the counts of `values` (n,) in their `clusters` (n,)."""
        placed = self.places(values)
        counts = np.zeros((CLUSTERS, len(self.counts)), dtype=np.intp)
        np.add.at(counts, (clusters[placed >= 0], placed[placed >= 0]), 1)
        filled = np.flatnonzero(counts.any(axis=1)).tolist()
        return self.model_copy(update={"clusters": {number: counts[number].tolist() for number in filled}})

    @property
    def rows(self) -> int:
        """The number of rows with and without a value."""
        return sum(self.counts) + self.missing

    def places(self, values: FloatArray) -> IntArray:
        """(n,) the bin of each value; -1 for NaN."""
        return np.where(np.isnan(values), -1, np.searchsorted(self.edges, values, side="right"))


class MonitoringReference(BaseModel):
    """Each watched column by name: sensors, codes of categories, PROBABILITY and ALARM.

    Inputs are those of the rows that the version was trained on, probabilities and decisions those of the held-out rows. `window`
    says for people what the windows of `usual` are, such as 7 days.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    columns: dict[str, WatchedColumn]
    window: str | None = None


def read_monitoring(folder: Path, machine: Machine) -> MonitoringReference:
    """The content of monitoring.json. Raises ModelError if a field is invalid, or the columns are not those of `machine`.

    A version without the file has less to compare with: the sample in reference.json, without predictions.
    """
    if not (folder / MONITORING_FILE).exists():
        return reference_of_sample(machine, parse_reference(read_file(folder, REFERENCE_FILE), machine))
    reference = parse_content(MONITORING_FILE, TypeAdapter(MonitoringReference), read_file(folder, MONITORING_FILE))
    codes = (codes.code_name for codes in machine.categories.values())
    if missing := {*machine.sensor_names, *codes} - reference.columns.keys():
        raise ModelError(f"{MONITORING_FILE} is damaged: columns: {min(missing)!r} is missing")
    return reference


def reference_of_sample(machine: Machine, sample: Mapping[str, Sequence[Any]]) -> MonitoringReference:
    """The reference that a sample of training rows gives: of the inputs, without what windows usually differ by."""
    values = watched_inputs(machine, sample)
    return MonitoringReference(
        columns={name: WatchedColumn.of(column, edges_of(name, column, machine)) for name, column in values.items()}
    )


def watched_columns(
    machine: Machine, columns: Mapping[str, Any], probabilities: npt.ArrayLike, alarms: npt.ArrayLike
) -> dict[str, FloatArray]:
    """(n,) values of each watched column of n scored readings. Missing values are NaN; categories are codes."""
    return watched_inputs(machine, columns) | {
        PROBABILITY: np.asarray(probabilities, dtype=np.float64),
        ALARM: np.asarray(alarms, dtype=np.float64),
    }


def watched_inputs(machine: Machine, columns: Mapping[str, Any]) -> dict[str, FloatArray]:
    """(n,) values of the sensors and codes of the categories of n readings."""
    arrays = machine.arrays(columns)
    codes = [codes.code_name for codes in machine.categories.values()]
    return {name: arrays[name] for name in (*machine.sensor_names, *codes)}


def attribute_columns(machine: Machine) -> set[str]:
    """The watched columns that describe machines, and not their readings."""
    names = {name for names in machine.attribute_tables.values() for name in names}
    return {machine.categories[name].code_name if name in machine.categories else name for name in names}


def machine_clusters(machines: npt.NDArray[np.object_]) -> IntArray:
    """(n,) the cluster of each reading, below CLUSTERS: readings of one machine are in the same."""
    names, owner = np.unique(machines, return_inverse=True)
    return np.array([crc32(str(name).encode()) % CLUSTERS for name in names], dtype=np.intp)[owner]


def edges_of(name: str, values: FloatArray, machine: Machine) -> list[float]:
    """The edges of the bins of a column: one for each code and decision, or about ten with equally many of `values` (n,).

    A value that is more frequent than that, such as the speed 0, has a bin of its own, so that it is not mixed with others.
    """
    if name == ALARM:
        return [0.5]
    for category, codes in machine.categories.items():
        if name == codes.code_name:
            known = len(machine.description.categories[category].known_values)
            return (np.arange(1.0, known) - 0.5).tolist()
    found = values[~np.isnan(values)]
    if not len(found):
        return []
    quantiles = np.quantile(found, np.arange(1, _MOST_BINS) / _MOST_BINS, method="higher")
    frequent = quantiles[:-1][quantiles[:-1] == quantiles[1:]]
    return np.unique([*quantiles, *np.nextafter(frequent, np.inf)]).tolist()


def psi(expected: NumberArray, observed: NumberArray) -> FloatArray:
    """(...) the population stability index of counts in bins, (..., bins): 0 if the shares of the bins are equal.

    Source: B. Yurdakul, "Statistical Properties of Population Stability Index", 2018.
    """
    before, now = (
        (counts + _SMOOTHING) / (counts + _SMOOTHING).sum(axis=-1, keepdims=True) for counts in (expected, observed)
    )
    index: FloatArray = ((now - before) * np.log(now / before)).sum(axis=-1)
    return index
