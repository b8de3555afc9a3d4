"""Features from the past of the rows of many files whose machines are in many of them, without reading each file many times.

The columns that the windows read are divided by machine, the features of each part are computed, and each file gets those of
its rows. What is in between is in a folder of the results, and is taken over by the next run if this one ends before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ..engine.engine import Engine
from ..ingestion.part_files import PartFile
from ..machine.names import MACHINE_ID
from ..partitions.part_folder import PartFolder, PartWriter, StoredTable, digest
from ..partitions.planning import MOST_PARTS, part_numbers
from ..partitions.progress import OnPart, map_parts
from .files import Past, past_of
from .part_job import ScoringJob, valid_rows

ROWS_PER_PART = 200_000
"""About so many rows, with the columns that windows read, are in memory at a time. All cores get parts."""

_NAME_CHARACTERS = 16
_POSITION, _REPEATED = "position", "repeated"


@dataclass(frozen=True, kw_only=True)
class _Shuffle:
    """What dividing the rows of `files` into `parts` needs."""

    job: ScoringJob
    folder: PartFolder
    files: tuple[PartFile, ...]
    parts: int


@dataclass(frozen=True, kw_only=True)
class _MachinePart:
    """The rows of the machines of part `number`: a table of each file."""

    number: int
    tables: tuple[StoredTable, ...]


def shuffled_past(
    files: Sequence[PartFile], rows: int, job: ScoringJob, folder: PartFolder, engine: Engine, on_part: OnPart
) -> list[list[StoredTable]]:
    """Write the features of the rows of each file to tables in `folder`, which `load_past` reads. `rows` is about their number.

    Raises SourceError if a file cannot be read, PartError if a table is damaged, EngineError if the engine is lost.
    """
    parts = min(MOST_PARTS, max(1, math.ceil(rows / ROWS_PER_PART)))
    shuffle = _Shuffle(job=job, folder=folder, files=tuple(files), parts=parts)
    divided = map_parts(engine, "dividing rows", _divide, shuffle, range(len(files)), on_part)
    machines = [
        _MachinePart(number=number, tables=tuple(tables)) for number, tables in enumerate(zip(*divided, strict=True))
    ]
    past = map_parts(engine, "features", _features, shuffle, machines, on_part)
    return [list(tables) for tables in zip(*past, strict=True)]


def load_past(folder: PartFolder, tables: Sequence[StoredTable]) -> Past:
    """The features of the rows of one file."""
    found = [folder.read(table) for table in tables]
    rows = pd.concat([table for table in found if len(table)] or found[:1]).set_index(_POSITION).sort_index()
    repeated = rows.pop(_REPEATED).to_numpy(dtype=bool)
    return Past(rows[~repeated], rows.index[repeated].to_numpy())


def _divide(shuffle: _Shuffle, number: int) -> list[StoredTable]:
    file = shuffle.files[number]
    made_from = digest(shuffle.job.digest, file.name, file.fingerprint, shuffle.parts)
    name = digest(file.name)[:_NAME_CHARACTERS]  # not its number: the next run may need fewer files
    return shuffle.folder.once(f"rows/{name}", made_from, list[StoredTable], partial(_divided, shuffle, file))


def _divided(shuffle: _Shuffle, file: PartFile, writer: PartWriter) -> list[StoredTable]:
    machine = shuffle.job.scorer.machine
    rows = valid_rows(shuffle.job, file)
    names = [name for name in (*machine.history_names, *machine.window_sensors) if name in rows]
    rows = rows[names].assign(**{MACHINE_ID: rows[MACHINE_ID].astype(str), _POSITION: rows.index.to_numpy()})
    numbers = part_numbers(rows[MACHINE_ID], shuffle.parts)
    return [writer.write(f"{number:05d}", rows[numbers == number]) for number in range(shuffle.parts)]


def _features(shuffle: _Shuffle, part: _MachinePart) -> list[StoredTable]:
    made_from = digest(shuffle.job.digest, part.tables)
    return shuffle.folder.once(
        f"features/{part.number:05d}", made_from, list[StoredTable], partial(_with_features, shuffle, part)
    )


def _with_features(shuffle: _Shuffle, part: _MachinePart, writer: PartWriter) -> list[StoredTable]:
    tables = [shuffle.folder.read(table) for table in part.tables]
    ends = np.cumsum([len(table) for table in tables])
    rows = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    position = rows.pop(_POSITION).to_numpy()
    past = past_of(rows, shuffle.job.scorer.machine, shuffle.job.tables.events)
    found = past.statistics.reindex(rows.index)
    found[_POSITION] = position
    found[_REPEATED] = np.isin(np.arange(len(rows)), past.repeated)
    return [
        writer.write(f"{number:06d}", found[end - len(table) : end])
        for number, (table, end) in enumerate(zip(tables, ends, strict=True))
    ]
