"""Which files of a data set the features of another file's rows depend on, if the rows of a machine are in several files."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_

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


def needed_parts(extents: Sequence[PartExtent], reach: Reach) -> list[int]:
    """The other files that each file needs: those with rows of the same machine at the same times or within reach.

    A set of files is a number, with a bit for the place of each, so that sets of thousands are combined at once. See `are_in`.
    A file is needed if it may have such a row, because only its first and its last time are known.
    """
    needed = [0] * len(extents)
    places = np.repeat(np.arange(len(extents)), [len(extent.machines) for extent in extents])
    if not len(places):
        return needed
    table = pd.DataFrame(
        {
            "machine": np.concatenate([extent.machines for extent in extents]),
            "part": places,
            "first": np.concatenate([extent.first for extent in extents]),
            "last": np.concatenate([extent.last for extent in extents]),
            "rows": np.concatenate([extent.rows for extent in extents]),
        }
    ).sort_values(["machine", "first"], kind="stable")
    for _, own in table.groupby("machine", sort=False):
        if len(own) > 1:
            _add_needed(needed, own, reach)
    return [files & ~(1 << place) for place, files in enumerate(needed)]


def are_in(files: int, number: int) -> npt.NDArray[np.bool_]:
    """(number,) whether each file is in the set `files` of `needed_parts`."""
    packed = np.frombuffer(files.to_bytes(-(-number // 8), "little"), dtype=np.uint8)
    return np.unpackbits(packed, count=number, bitorder="little").view(bool)


def _add_needed(needed: list[int], own: pd.DataFrame, reach: Reach) -> None:
    """Add what is needed for the rows of one machine. `own` are the files that have some, in ascending order of `first`."""
    parts, first, last, rows = (own[name].to_numpy() for name in ("part", "first", "last", "rows"))
    by_last = np.lexsort([-np.arange(len(last)), last])
    in_order = last[by_last]
    # Sets of the files that begin first, and of those that end last.
    earliest = list(accumulate([1 << part for part in parts.tolist()], or_, initial=0))
    latest = list(accumulate([1 << part for part in parts[by_last[::-1]].tolist()], or_, initial=0))[::-1]
    begun = np.searchsorted(first, last, side="right").tolist()
    not_ended = np.searchsorted(in_order, first - reach.length, side="left").tolist()
    for place, part in enumerate(parts.tolist()):
        needed[part] |= earliest[begun[place]] & latest[not_ended[place]]
    if not reach.readings:
        return
    # The rows of a file that overlaps another one may repeat rows of that, so they are not counted.
    overlaps_earlier = np.concatenate([[False], first[1:] <= np.maximum.accumulate(last)[:-1]])
    overlaps_later = np.concatenate([last[:-1] >= first[1:], [False]])
    counted = np.cumsum(np.where(overlaps_earlier | overlaps_later, 0, rows)[by_last])
    ended = np.searchsorted(in_order, first, side="left")
    with_enough = np.where(ended > 0, counted[ended - 1] - reach.readings, 0)
    oldest = np.searchsorted(counted, with_enough, side="right")
    for place, part in enumerate(parts.tolist()):
        if oldest[place] < ended[place]:
            needed[part] |= latest[oldest[place]] & ~latest[ended[place]]
