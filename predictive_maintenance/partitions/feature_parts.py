"""The features of each part, and the few columns of all parts that decide on the sides and the order of rows."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pandas.api.types import union_categoricals

from ..config.params import SplitSettings
from ..history.events import Events
from ..machine.machine import Machine
from ..machine.machine_json import to_json
from ..machine.names import COUNTER, MACHINE_ID, TIMESTAMP
from ..training.labelling import LabelledRows, labelled_rows
from ..training.splits import history_of, numeric_ids, of_sources, sample_positions, with_groups
from .cleaned_parts import CleanedPart, read_labels
from .part_folder import PartFolder, PartWriter, StoredTable, digest

TRAINING_ONLY_COLUMN = "_training_only"
SAMPLE_COLUMN = "_sample"
_RANK, _SIZE, _SOURCE, _NUMBER = "_rank", "_size", "_source", "_number"
_ROWS_OF_A_FILE = 2**40

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FeaturePart:
    """The labelled rows of a part with their features and groups, in the order of `order`, and its rows without a label.

    `rows` are discarded when they are divided into the sides: they would take nearly half of the space.
    """

    number: int
    rows: StoredTable
    order: StoredTable
    machines: StoredTable
    unlabelled: StoredTable
    reasons: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class FeatureJob:
    """What computing the features of each part needs."""

    folder: PartFolder
    machine: Machine
    settings: SplitSettings
    files: tuple[tuple[int, str], ...]
    numeric: Mapping[int, bool] | None
    training_only: Collection[int]

    @cached_property
    def digest(self) -> str:
        numeric, training_only = self.numeric and sorted(self.numeric.items()), sorted(self.training_only)
        return digest(to_json(self.machine), self.settings.model_dump_json(), self.files, numeric, training_only)


def feature_part(job: FeatureJob, part: CleanedPart) -> FeaturePart:
    """Compute the features of a part, or take them over. Raises PartError if a file is damaged."""
    tables = [part.readings, part.labels, part.events, part.failures]
    return job.folder.once(
        f"features/{part.number:05d}", digest(job.digest, tables), FeaturePart, partial(_with_features, job, part)
    )


def _with_features(job: FeatureJob, part: CleanedPart, writer: PartWriter) -> FeaturePart:
    labelled = labelled_part(job, part)
    unlabelled, reasons = history_of([labelled.unlabelled], job.machine), labelled.reasons
    rows = rows_of_part(labelled, job)
    del labelled  # as large as the rows
    return FeaturePart(
        number=part.number,
        rows=writer.write_temporary("rows", rows.drop(columns="position")),
        order=writer.write("order", _order_of(rows, job)),
        machines=writer.write("machines", _machines_of(rows, job)),
        unlabelled=writer.write("unlabelled", unlabelled),
        reasons=reasons,
    )


def rows_of_part(labelled: LabelledRows, job: FeatureJob) -> pd.DataFrame:
    """The labelled rows of a part in time order, with their groups."""
    return with_groups(labelled.frame, job.machine, job.numeric, job.training_only)


def labelled_part(job: FeatureJob, part: CleanedPart) -> LabelledRows:
    """The labelled rows of a part with their features."""
    events: Events = {name: job.folder.read(table) for name, table in part.events.items()}
    labels = read_labels(job.folder, part, job.machine)
    return labelled_rows(job.folder.read(part.readings), labels, job.machine, events)


def _order_of(rows: pd.DataFrame, job: FeatureJob) -> pd.DataFrame:
    """The columns that decide on the sides of rows and, without a machine, on their order."""
    machine, settings = job.machine, job.settings
    time = next((name for name in (TIMESTAMP, COUNTER) if name in rows), None)
    columns: dict[str, Any] = {
        "group": rows["group"],
        machine.label_name: rows[machine.label_name],
        TRAINING_ONLY_COLUMN: of_sources(rows, job.training_only),
    }
    if time:
        columns[time] = rows[time]
    if MACHINE_ID not in rows:
        columns[_RANK] = _ranks(rows, job.files)
        if time is None and job.numeric is not None:
            sources = rows["source_index"].to_numpy()
            known = np.array([job.numeric[int(source)] for source in sources], dtype=bool)
            columns |= {_SOURCE: sources, _NUMBER: np.where(known, numeric_ids(rows), 0.0)}
    if (positions := sample_positions(rows, settings)) is not None:
        columns[SAMPLE_COLUMN] = positions
    return pd.DataFrame(columns)


def _machines_of(rows: pd.DataFrame, job: FeatureJob) -> pd.DataFrame:
    """The number of rows of each machine and its first place among all rows as they were read, in the order of `rows`."""
    if MACHINE_ID not in rows:
        return pd.DataFrame({_SIZE: [], _RANK: []}, dtype=np.int64)
    ranks = pd.Series(_ranks(rows, job.files))
    return ranks.groupby(pd.factorize(rows[MACHINE_ID])[0]).agg(["size", "min"]).set_axis([_SIZE, _RANK], axis=1)


def _ranks(rows: pd.DataFrame, files: Sequence[tuple[int, str]]) -> Positions:
    """(n,) the place of each row among all rows as they were read."""
    return _file_numbers(rows, files) * _ROWS_OF_A_FILE + rows["row"].to_numpy()


def _file_numbers(rows: pd.DataFrame, files: Sequence[tuple[int, str]]) -> npt.NDArray[np.int64]:
    """(n,) the place in `files` of the file of each row."""
    numbers = {file: number for number, file in enumerate(files)}
    places, names = rows["source_index"].to_numpy().astype(np.int64), rows["source"].cat
    found, inverse = np.unique(places * len(names.categories) + names.codes.to_numpy(), return_inverse=True)
    pairs = [divmod(int(key), len(names.categories)) for key in found]
    return np.array([numbers[place, names.categories[name]] for place, name in pairs], dtype=np.int64)[inverse]


def positions_of(orders: Sequence[pd.DataFrame], machines: Sequence[pd.DataFrame]) -> Callable[[int], Positions]:
    """A function that gives, for the part at a place, where its rows are among all rows in the order of `with_groups`.

    `orders` and `machines` are those of the parts. With machines, nothing of the size of all rows is made.
    """
    lengths = [len(order) for order in orders]
    if len(orders) == 1:
        return lambda _: np.arange(lengths[0])
    if any(map(len, machines)):
        # A machine is in one part, in order. The first machine is the one that was read first.
        blocks = pd.concat(machines, keys=range(len(machines))).sort_values(_RANK)
        starts = (blocks[_SIZE].cumsum() - blocks[_SIZE]).sort_index()
        of_part = dict(list(starts.groupby(level=0)))
        # A part without labelled rows has no machines here.
        return lambda place: np.concatenate(
            [
                np.empty(0, dtype=np.int64),
                *(
                    np.arange(start, start + size)
                    for start, size in zip(of_part.get(place, ()), machines[place][_SIZE], strict=True)
                ),
            ]
        )
    time = next((name for name in (TIMESTAMP, COUNTER) if name in orders[0]), None)
    keys = [_RANK, time] if time else [_RANK, _NUMBER, _SOURCE]
    position = np.empty(sum(lengths), dtype=np.int64)
    position[np.lexsort([pd.concat([order[key] for order in orders]).to_numpy() for key in keys])] = np.arange(
        len(position)
    )
    ends = np.cumsum(lengths)
    return lambda place: position[ends[place] - lengths[place] : ends[place]]


def joined_orders(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The columns of all tables that decide on the sides. The tables are emptied: one column is in memory twice at a time."""
    columns = {}
    tables = [table for table in tables if len(table)] or tables[:1]  # the columns of one without rows have other types
    for name in [name for name in tables[0] if name not in (_RANK, _SOURCE, _NUMBER)]:
        parts = [table.pop(name) for table in tables]
        columns[name] = (
            union_categoricals(parts, sort_categories=True)
            if parts[0].dtype == "category"
            else pd.concat(parts, ignore_index=True)
        )
        del parts
        pa.default_memory_pool().release_unused()
    return pd.DataFrame(columns, copy=False)
