"""Score the files of a data set, each into a file of its own: on any engine, and again from where a former run ended.

A record beside each result says what it was made from, so that a finished file is not scored again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from ..engine.engine import Engine
from ..errors import PredictiveMaintenanceError, SourceError
from ..ingestion.part_files import OutputFolder, PartFile, local_copy, open_output
from ..machine.names import MACHINE_ID
from ..scorer.scoring import Scorer
from .files import Aliases, read_places, read_valid, score_file
from .further_tables import NO_TABLES, FurtherTables
from .part_overlaps import PartExtent, extent_of, needed_parts, reach_of, times_of

RECORDS = "_scored"
"""The folder of the records, below that of the results. Spark, Dask and pyarrow ignore names that begin with an underscore."""


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What scoring each file needs: the files of a model version, its number, the tables, and the URI of the output folder."""

    model_files: Mapping[str, bytes]
    version: str
    aliases: Aliases
    output: str
    tables: FurtherTables = NO_TABLES
    overwrite: bool = False

    @cached_property
    def scorer(self) -> Scorer:
        return Scorer.from_files(self.model_files)

    @cached_property
    def digest(self) -> str:
        """A hash of all that the results depend on besides the readings."""
        content = hashlib.sha256(json.dumps([self.version, dict(self.aliases)], default=list).encode())
        tables = {f"events {name}": pd.DataFrame(table) for name, table in self.tables.events.items()}
        tables |= {f"attributes {table.name}": table.frame for table in self.tables.attributes}
        for name, table in sorted(tables.items()):
            content.update(name.encode() + pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
        for name, file in sorted(self.model_files.items()):
            content.update(name.encode() + hashlib.sha256(file).digest())
        return content.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        """All but the scorer, whose ONNX session cannot be pickled: each process makes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "scorer"}


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """A file to score, its extent if its features depend on other files, and those files."""

    part: PartFile
    extent: PartExtent | None = None
    others: Sequence[PartFile] = ()

    def __str__(self) -> str:
        return str(self.part)


class PartResult(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a scored file: rows, alarms, rejected rows, and rejected cells by column and reason.

    `made_from` identifies all that the result depends on. `error` says why the file could not be scored. A result is not
    `finished` until its file is in its place.
    """

    made_from: str = ""
    finished: bool = True
    rows: int = 0
    alarms: int = 0
    rejected: int = 0
    reasons: Sequence[tuple[str, str, int]] = ()
    warnings: Sequence[str] = ()
    error: str | None = None
    is_former: bool = False


@dataclass
class ScoredParts:
    """The sums over the files of a data set. `former` counts the files that a former run has scored; `errors` are by file."""

    parts: int = 0
    former: int = 0
    rows: int = 0
    alarms: int = 0
    rejected: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, result: PartResult) -> None:
        if result.error is not None:
            self.errors[name] = result.error
            return
        self.parts += 1
        self.former += result.is_former
        self.rows += result.rows
        self.alarms += result.alarms
        self.rejected += result.rejected
        for column, reason, cells in result.reasons:
            self.reasons[column, reason] += cells
        self.warnings += [f"{name}: {warning}" for warning in result.warnings]


def score_parts(
    parts: Sequence[PartFile],
    job: ScoringJob,
    engine: Engine,
    on_part: Callable[[PartFile, PartResult], None] = lambda _part, _result: None,
) -> ScoredParts:
    """Score each file into one with the same name below the job's output. `on_part` is called with each that ends.

    The features of a row see the earlier rows of its machine in all files. A file that cannot be scored does not stop the others.
    One whose result was made before from the same readings, model and tables is not scored again.

    Raises SourceError if the output is the folder of the files, EngineError if the engine is lost.
    """
    _check_names(parts, job)
    scored = ScoredParts()

    def add(part: PartFile, result: PartResult) -> None:
        scored.add(part.name, result)
        on_part(part, result)

    tasks = [PartTask(part=part) for part in parts]
    if job.scorer.machine.needs_history and len(parts) > 1:
        tasks = list(_tasks_with_others(parts, job, engine, add))
    for place, result in engine.map(_score_part, job, tasks):
        add(tasks[place].part, result)
    return scored


def _check_names(parts: Sequence[PartFile], job: ScoringJob) -> None:
    """Raise SourceError if a result would replace the readings that it is made from."""
    output = open_output(job.output)
    for part in parts:
        if output.location(part.name) == part.url:
            raise SourceError(f"{output}: is the folder of the readings: choose another folder for the results")


def _tasks_with_others(
    parts: Sequence[PartFile], job: ScoringJob, engine: Engine, on_error: Callable[[PartFile, PartResult], None]
) -> Iterator[PartTask]:
    extents: dict[int, PartExtent] = {}
    for place, found in engine.map(_extent_of_part, job, parts):
        if isinstance(found, PartExtent):
            extents[place] = found
        else:
            on_error(parts[place], PartResult(error=found))
    readable = sorted(extents)
    needed = needed_parts([extents[place] for place in readable], reach_of(job.scorer.machine))
    for place, others in zip(readable, needed, strict=True):
        yield PartTask(part=parts[place], extent=extents[place], others=[parts[readable[other]] for other in others])


def _extent_of_part(job: ScoringJob, part: PartFile) -> PartExtent | str:
    """The extent of a file, or why it cannot be read."""
    machine = job.scorer.machine
    try:
        with _readable(part) as path:
            # Windows of a number of readings count valid rows only, so that the other columns are needed, too.
            counts = reach_of(machine).readings > 0
            rows = (
                read_valid(path, machine, job.aliases, job.tables)
                if counts
                else read_places(path, machine, job.aliases)
            )
            return extent_of(rows, machine)
    except PredictiveMaintenanceError as error:
        return str(error)


def _score_part(job: ScoringJob, task: PartTask) -> PartResult:
    try:
        return _score(job, task, open_output(job.output))
    except PredictiveMaintenanceError as error:
        return PartResult(error=str(error))


def _score(job: ScoringJob, task: PartTask, output: OutputFolder) -> PartResult:
    name, record_name = task.part.name, f"{RECORDS}/{task.part.name}.json"
    made_from = _made_from(job, task)
    former = _former_result(output, name, record_name)
    if former and former.finished and former.made_from == made_from:
        return msgspec.structs.replace(former, is_former=True)
    if not job.overwrite and (former.finished if former else output.exists(name)):
        origin = "was made from other readings or by another version" if former else "is not a result of scoring"
        raise SourceError(f"{output}/{name}: exists and {origin}: choose another --output, or add --overwrite")
    with output.workspace() as folder, _readable(task.part) as path:
        target = Path(folder, Path(name).name)
        scored = score_file(
            path, target, job.scorer, job.version, job.aliases, tables=job.tables, others=_rows_of_others(job, task)
        )
        result = PartResult(
            made_from=made_from,
            rows=scored.rows,
            alarms=scored.alarms,
            rejected=scored.rejected,
            reasons=[(column, reason, cells) for (column, reason), cells in scored.reasons.items()],
            warnings=[warning for warning in scored.warnings if warning not in job.tables.warnings],
        )
        # A process that ends between the two steps leaves a result that the next run recognises as its own.
        _put_record(output, record_name, msgspec.structs.replace(result, finished=False), Path(folder))
        output.put(name, target)
        _put_record(output, record_name, result, Path(folder))
    return result


def _rows_of_others(job: ScoringJob, task: PartTask) -> pd.DataFrame | None:
    """The valid rows of the machines of a file in the other files, as far back as its features reach."""
    if task.extent is None or not task.others:
        return None
    machine, reach = job.scorer.machine, reach_of(job.scorer.machine)
    since = pd.Series(task.extent.first - task.extent.first.dtype.type(reach.length), index=task.extent.machines)
    found = []
    for other in task.others:
        with _readable(other) as path:
            rows = read_valid(path, machine, job.aliases, job.tables)
        owners = rows[MACHINE_ID].astype(str)
        rows = rows[owners.isin(since.index)]
        if not reach.readings:
            rows = rows[times_of(rows, machine) >= owners.loc[rows.index].map(since).to_numpy()]
        found.append(rows)
    return pd.concat(found, ignore_index=True)


@contextmanager
def _readable(part: PartFile) -> Iterator[Path]:
    """The file on this machine. Errors in the block name the file instead of its copy."""
    path = None
    try:
        with local_copy(part) as path:
            yield path
    except SourceError as error:
        raise SourceError(str(error).replace(str(path), str(part)), transient=error.transient) from None


def _made_from(job: ScoringJob, task: PartTask) -> str:
    content = [job.digest, *(f"{part.name} {part.fingerprint}" for part in (task.part, *task.others))]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def _former_result(output: OutputFolder, name: str, record_name: str) -> PartResult | None:
    """The record of a former run whose result is in its place."""
    record = output.read(record_name)
    if record is None or not output.exists(name):
        return None
    try:
        return msgspec.json.decode(record, type=PartResult)
    except msgspec.DecodeError as error:
        raise SourceError(f"{output}/{record_name}: is damaged ({error}): delete it, and the result {name}") from None


def _put_record(output: OutputFolder, record_name: str, result: PartResult, folder: Path) -> None:
    path = folder / "record.json"
    path.write_bytes(msgspec.json.encode(result))
    output.put(record_name, path)
