"""Which files are scored together with which others, or with features that are computed before."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, reduce
from operator import or_

import numpy as np
import numpy.typing as npt

from ..engine.engine import Engine
from ..errors import PredictiveMaintenanceError
from ..ingestion.part_files import PartFile
from ..partitions.part_folder import StoredTable
from ..partitions.progress import OnPart, map_parts
from .files import read_places
from .part_job import ScoringJob, readable, valid_rows
from .part_overlaps import PartExtent, are_in, extent_of, needed_parts, reach_of

_MOST_READS = 4
_MOST_OTHER_ROWS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """A file to score. `made_from` identifies all that its result depends on.

    If its features depend on `others`, which are files, `extent` is that of the file. Or `past` has the features, see load_past.
    """

    part: PartFile
    made_from: str
    extent: PartExtent | None = None
    others: Sequence[PartFile] = ()
    past: Sequence[StoredTable] = ()

    def __str__(self) -> str:
        return str(self.part)


@dataclass(frozen=True, kw_only=True)
class ScoringPlan:
    """The files that can be read, the extent of each, and the files that its features depend on, as `needed_parts` gives them."""

    parts: Sequence[PartFile]
    extents: Sequence[PartExtent]
    needed: Sequence[int]

    @property
    def rows(self) -> int:
        """About the number of rows of all files."""
        return int(self._rows.sum())

    @cached_property
    def is_entangled(self) -> bool:
        """Whether files depend on so many others that rows are to be divided by machine, instead of read with each file."""
        others = [int(self._rows[are_in(files, len(self.parts))].sum()) for files in self.needed]
        return sum(others) > _MOST_READS * self.rows or max(others, default=0) > _MOST_OTHER_ROWS

    def tasks_with_others(self, job: ScoringJob) -> list[PartTask]:
        """A task for each file, with the files that its features depend on."""
        return [
            replace(task, extent=extent, others=self._parts_in(files))
            for task, extent, files in zip(self.tasks_alone(job), self.extents, self.needed, strict=True)
        ]

    def tasks_alone(self, job: ScoringJob) -> list[PartTask]:
        """A task for each file, without these files: they may be all files of each."""
        identities = [_identity(part) for part in self.parts]

        @cache  # scattered files have the same ones
        def fingerprint(files: int) -> str:
            places = np.flatnonzero(are_in(files, len(identities))).tolist()
            return hashlib.sha256("\n".join([identities[place] for place in places]).encode()).hexdigest()

        return [
            PartTask(part=part, made_from=made_from(job, part, fingerprint(files | 1 << place) if files else ""))
            for place, (part, files) in enumerate(zip(self.parts, self.needed, strict=True))
        ]

    def files_of(self, chosen: Sequence[bool]) -> list[PartFile]:
        """The chosen files and those that their features depend on, in the order of all files."""
        sets = (files | 1 << place for place, files in enumerate(self.needed) if chosen[place])
        return self._parts_in(reduce(or_, sets, 0))

    @cached_property
    def _rows(self) -> npt.NDArray[np.int64]:
        return np.array([extent.rows.sum() for extent in self.extents], dtype=np.int64)

    def _parts_in(self, files: int) -> list[PartFile]:
        return [self.parts[place] for place in np.flatnonzero(are_in(files, len(self.parts))).tolist()]


def plan_parts(
    parts: Sequence[PartFile],
    job: ScoringJob,
    engine: Engine,
    on_error: Callable[[PartFile, str], None],
    on_stage: OnPart,
) -> ScoringPlan:
    """The plan for the files that can be read. `on_error` is called with each other file, and the reason."""
    extents: dict[int, PartExtent] = {}
    for place, found in enumerate(map_parts(engine, "reading times", _extent_of_part, job, parts, on_stage)):
        if isinstance(found, PartExtent):
            extents[place] = found
        else:
            on_error(parts[place], found)
    known = list(extents.values())
    needed = needed_parts(known, reach_of(job.scorer.machine))
    return ScoringPlan(parts=[parts[place] for place in extents], extents=known, needed=needed)


def made_from(job: ScoringJob, part: PartFile, files: str = "") -> str:
    """A hash of all that the result for a file depends on. `files` identifies that file and others that it depends on."""
    content = [job.digest, _identity(part), *([files] if files else [])]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def _identity(part: PartFile) -> str:
    return f"{part.name} {part.fingerprint}"


def _extent_of_part(job: ScoringJob, part: PartFile) -> PartExtent | str:
    """The extent of a file, or why it cannot be read."""
    machine = job.scorer.machine
    try:
        # Windows of a number of readings count valid rows only, so that the other columns are needed, too.
        if reach_of(machine).readings:
            return extent_of(valid_rows(job, part), machine)
        with readable(part) as path:
            return extent_of(read_places(path, machine, job.aliases), machine)
    except PredictiveMaintenanceError as error:
        return str(error)
