"""Which files of a data set the features of another file's rows depend on, if the rows of a machine are in several files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..machine.machine import Machine
from ..machine.names import MACHINE_ID

Times = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PartExtent:
    """The machines of a file, (m,) ids in ascending order, and of each its first and last time and its number of rows, (m,) each.

    Times are int64 microseconds, or float64 counts. Rows of a machine at the same time, which scoring rejects, are not counted.
    """

    machines: npt.NDArray[np.object_]
    first: Times
    last: Times
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far back features reach: a difference of times, and a number of readings before the reading itself."""

    length: float
    readings: int


def reach_of(machine: Machine) -> Reach:
    """How far back the windows of a machine reach."""
    spans = [feature.span for feature in machine.window_features.values()]
    return Reach(
        length=max((span.length for span in spans), default=0.0),
        readings=max((span.readings - 1 for span in spans if span.readings), default=0),
    )


def extent_of(rows: pd.DataFrame, machine: Machine) -> PartExtent:
    """The extent of the rows of one file."""
    places = pd.DataFrame({"machine": rows[MACHINE_ID].astype(str), "time": times_of(rows, machine)})
    times = places.groupby("machine")["time"].agg(["min", "max"])
    unique = places[~places.duplicated(keep=False)]["machine"].value_counts()
    return PartExtent(
        machines=times.index.to_numpy(dtype=object),
        first=times["min"].to_numpy(),
        last=times["max"].to_numpy(),
        rows=unique.reindex(times.index, fill_value=0).to_numpy(dtype=np.int64),
    )


def times_of(rows: pd.DataFrame, machine: Machine) -> Times:
    """The times of rows as int64 microseconds, or float64 counts."""
    times = rows[machine.time_name]
    if times.dtype.kind == "M":
        return times.dt.as_unit("us").astype("int64").to_numpy()
    return times.to_numpy(dtype=np.float64)


def needed_parts(extents: Sequence[PartExtent], reach: Reach) -> list[list[int]]:
    """The places of the other files that each file needs: those with rows of the same machine at the same times or within reach.

    A file is needed if it may have such a row, because only its first and its last time are known.
    """
    places = np.repeat(np.arange(len(extents)), [len(extent.machines) for extent in extents])
    if not len(places):
        return [[] for _ in extents]
    table = pd.DataFrame(
        {
            "machine": np.concatenate([extent.machines for extent in extents]),
            "part": places,
            "first": np.concatenate([extent.first for extent in extents]),
            "last": np.concatenate([extent.last for extent in extents]),
            "rows": np.concatenate([extent.rows for extent in extents]),
        }
    ).sort_values(["machine", "first"], kind="stable")
    needed: list[set[int]] = [set() for _ in extents]
    for _, own in table.groupby("machine", sort=False):
        if len(own) > 1:
            _add_needed(needed, own, reach)
    return [sorted(parts) for parts in needed]


def _add_needed(needed: list[set[int]], own: pd.DataFrame, reach: Reach) -> None:
    """Add what is needed for the rows of one machine. `own` are the files that have some, in ascending order of `first`."""
    parts, first, last, rows = (own[name].to_numpy() for name in ("part", "first", "last", "rows"))
    # The rows of a file that overlaps another one may repeat rows of that, so they are not counted.
    overlaps_earlier = np.concatenate([[False], first[1:] <= np.maximum.accumulate(last)[:-1]])
    overlaps_later = np.concatenate([last[:-1] >= first[1:], [False]])
    counted = np.where(overlaps_earlier | overlaps_later, 0, rows)
    for place, part in enumerate(parts):
        within = (first <= last[place]) & (last >= first[place] - reach.length)
        if reach.readings:
            earlier = np.flatnonzero(last < first[place])
            earlier = earlier[np.argsort(-last[earlier], kind="stable")]
            before = np.cumsum(counted[earlier]) - counted[earlier]
            within[earlier[before < reach.readings]] = True
        needed[part].update(parts[within].tolist())
        needed[part].discard(part)
