"""Summaries of the readings that were scored in a window of time, in memory that does not depend on their number."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..scorer.monitoring_reference import (
    CLUSTERS,
    NEIGHBOURS,
    FloatArray,
    IntArray,
    MonitoringReference,
    machine_clusters,
)

_MOST_MACHINES = 10_000


@dataclass(frozen=True, kw_only=True)
class WindowSummary:
    """Readings in a window, by cluster and watched column of a reference.

    `counts` (clusters, columns, bins), `missing` and `sums` (clusters, columns): rows in each bin, rows without a value, sums of
    the values. Clusters without rows are left out; `clusters` (clusters,) are the numbers of the others if they are
    `machine_clusters`, otherwise None. `constant` are the machines for which a sensor had one value in at least
    `min_readings` readings.
    """

    counts: IntArray
    missing: IntArray
    sums: FloatArray
    constant: Mapping[str, tuple[str, ...]]
    clusters: IntArray | None = None

    @property
    def rows(self) -> int:
        """The number of readings."""
        return int(self.counts[:, 0].sum() + self.missing[:, 0].sum())


class WindowCounter:
    """Counts the readings of a window, some at a time.

    Readings of one machine resemble each other, so that its readings are in one cluster, or in `blocks` of consecutive ones
    if there are few machines; without machines, NEIGHBOURS consecutive readings are. `min_readings` of one value make a sensor
    constant.
    """

    def __init__(self, reference: MonitoringReference, *, blocks: int = 1, min_readings: int = 20) -> None:
        self._columns, self._blocks, self._min_readings = reference.columns, blocks, min_readings
        most_bins = max(len(column.counts) for column in self._columns.values())
        self._counts = np.zeros((CLUSTERS, len(self._columns), most_bins), dtype=np.intp)
        self._missing = np.zeros((CLUSTERS, len(self._columns)), dtype=np.intp)
        self._sums = np.zeros((CLUSTERS, len(self._columns)))
        self._seen, self._are_machines = 0, True
        self._machines: dict[str, int] = {}
        self._first = np.empty((0, len(reference.columns)))
        self._readings = np.empty((0, len(reference.columns)), dtype=np.intp)
        self._is_constant = np.empty((0, len(reference.columns)), dtype=bool)

    def add(self, columns: Mapping[str, FloatArray], machines: npt.NDArray[np.object_] | None) -> None:
        """Count n readings in the order of their times: values (n,) of `watched_columns`, and their machines (n,), if any."""
        values = np.stack([columns[name] for name in self._columns])
        placed = np.stack([column.places(row) for column, row in zip(self._columns.values(), values, strict=True)])
        clusters = self._clusters(placed.shape[1], machines)
        _, names, bins = self._counts.shape
        cells = (clusters * names + np.arange(names)[:, None]) * bins + placed
        self._counts += np.bincount(cells[placed >= 0], minlength=self._counts.size).reshape(self._counts.shape)
        pairs = np.broadcast_to(clusters * names, placed.shape) + np.arange(names)[:, None]
        self._missing += np.bincount(pairs[placed < 0], minlength=self._missing.size).reshape(self._missing.shape)
        sums = np.bincount(pairs.ravel(), np.nan_to_num(values).ravel(), minlength=self._sums.size)
        self._sums += sums.reshape(self._sums.shape)
        self._seen += placed.shape[1]
        self._are_machines &= machines is not None and self._blocks == 1
        if machines is not None:
            self._compare_with_first(values, machines)

    def summary(self) -> WindowSummary:
        """What was counted."""
        used = (self._counts[:, 0].sum(axis=1) + self._missing[:, 0]) > 0
        constant = self._is_constant & (self._readings >= self._min_readings)
        names = np.array(list(self._machines), dtype=object)
        return WindowSummary(
            counts=self._counts[used],
            missing=self._missing[used],
            sums=self._sums[used],
            constant={name: tuple(names[constant[:, place]]) for place, name in enumerate(self._columns)},
            clusters=np.flatnonzero(used) if self._are_machines else None,
        )

    def _clusters(self, rows: int, machines: npt.NDArray[np.object_] | None) -> IntArray:
        """(rows,) the cluster of each reading."""
        numbers = (self._seen + np.arange(rows)) // NEIGHBOURS
        if machines is None:
            return numbers % CLUSTERS
        return (machine_clusters(machines) + numbers % self._blocks) % CLUSTERS

    def _compare_with_first(self, values: FloatArray, machines: npt.NDArray[np.object_]) -> None:
        """Note for each machine and column whether all values equal the first one."""
        for name in dict.fromkeys(machines.tolist()):
            if len(self._machines) < _MOST_MACHINES:
                self._machines.setdefault(name, len(self._machines))
        if new := len(self._machines) - len(self._first):
            shape = new, len(self._columns)
            self._first = np.concatenate([self._first, np.full(shape, np.nan)])
            self._readings = np.concatenate([self._readings, np.zeros(shape, dtype=np.intp)])
            self._is_constant = np.concatenate([self._is_constant, np.ones(shape, dtype=bool)])
        owner = np.array([self._machines.get(name, -1) for name in machines.tolist()])
        for column, row in enumerate(values):
            there = (owner >= 0) & ~np.isnan(row)
            of, found = owner[there], row[there]
            first = np.full(len(self._first), np.nan)
            first[of[::-1]] = found[::-1]
            unknown = np.isnan(self._first[:, column])
            self._first[unknown, column] = first[unknown]
            self._is_constant[of[found != self._first[of, column]], column] = False
            self._readings[:, column] += np.bincount(of, minlength=len(self._first))
