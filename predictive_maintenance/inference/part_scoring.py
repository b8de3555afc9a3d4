"""Score the files of a data set, each into a file of its own: on any engine, and again from where a former run ended.

A record beside each result says what it was made from, so that a finished file is not scored again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path

import msgspec
import pandas as pd

from ..config.uris import redact
from ..engine.engine import Engine
from ..errors import PredictiveMaintenanceError, SourceError
from ..ingestion.part_files import OutputFolder, PartFile, open_output
from ..ingestion.patterns import has_wildcard, names_file, normal_url
from ..machine.names import MACHINE_ID
from ..partitions.part_folder import PartFolder
from ..partitions.progress import OnPart, ignore, map_parts
from .files import score_file
from .part_job import ScoringJob, readable, valid_rows
from .part_overlaps import reach_of, times_of
from .part_plan import PartTask, ScoringPlan, made_from, plan_parts
from .shuffled_history import load_past, shuffled_past

RECORDS = "_scored"
"""The folder of the records, below that of the results. Spark, Dask and pyarrow ignore names that begin with an underscore."""

_PAST = f"{RECORDS}/past"


class PartResult(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a scored file: rows, alarms, rejected rows, and rejected cells by column and reason.

    `made_from` is that of the task. `error` says why the file could not be scored. A result is not `finished` until its file is
    in its place; `content` is the fingerprint of the file then.
    """

    made_from: str = ""
    finished: bool = True
    content: str = ""
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
    on_stage: OnPart = ignore,
) -> ScoredParts:
    """Score each file into one with the same name below the job's output. `on_part` is called with each that ends.

    The features of a row see the earlier rows of its machine in all files. A file that cannot be scored does not stop the others.
    One whose result was made before from the same readings, model and tables is not scored again. `on_stage` is called with
    each file or part that was read before.

    Raises SourceError if the output is the folder of the files, if a result there would be one of the files of the next run, or
    if the machines of a file that cannot be read are in most files; EngineError if the engine is lost.
    """
    _check_names(parts, job)
    scored = ScoredParts()

    def add(part: PartFile, result: PartResult) -> None:
        scored.add(part.name, result)
        on_part(part, result)

    tasks = [PartTask(part=part, made_from=made_from(job, part)) for part in parts]
    is_shuffled = False
    if job.scorer.machine.needs_history and len(parts) > 1:
        plan = plan_parts(parts, job, engine, lambda part, error: add(part, PartResult(error=error)), on_stage)
        is_shuffled = plan.is_entangled
        tasks = _tasks_with_past(plan, job, engine, add, on_stage) if is_shuffled else plan.tasks_with_others(job)
    for place, result in engine.map(_score_part, job, tasks):
        add(tasks[place].part, result)
    if is_shuffled:
        open_output(job.output).delete(_PAST)
    return scored


def _check_names(parts: Sequence[PartFile], job: ScoringJob) -> None:
    """Raise SourceError if a result would replace the readings that it is made from, or be readings of the next run."""
    output = open_output(job.output)
    readings = {normal_url(part.url) for part in parts}
    patterns = [uri for uri in dict.fromkeys(part.uri for part in parts) if has_wildcard(uri)]
    for part in parts:
        if normal_url(output.location(part.name)) in readings:
            raise SourceError(f"{output}: is the folder of the readings: choose another folder for the results")
        for name in (part.name, _record_name(part)):
            if uri := next((uri for uri in patterns if names_file(uri, output.location(name))), None):
                raise SourceError(
                    f"{output}: {redact(uri)} would name the result {name} in it as readings of the next run: choose a folder "
                    "for the results that the pattern does not reach"
                )


def _record_name(part: PartFile) -> str:
    return f"{RECORDS}/{part.name}.json"


def _tasks_with_past(
    plan: ScoringPlan,
    job: ScoringJob,
    engine: Engine,
    on_settled: Callable[[PartFile, PartResult], None],
    on_stage: OnPart,
) -> list[PartTask]:
    """The tasks that are not settled, with the features of their rows instead of the files that these depend on."""
    tasks = plan.tasks_alone(job)
    results = map_parts(engine, "reading records", _settled_part, job, tasks, ignore)
    for task, settled in zip(tasks, results, strict=True):
        if settled is not None:
            on_settled(task.part, settled)
    is_open = [settled is None for settled in results]
    # In an order that does not depend on what is settled, so that a run that goes on finds the same parts.
    files = plan.files_of(is_open)
    found = shuffled_past(files, plan.rows, job, _past_folder(job), engine, on_stage)
    past = {file.name: tables for file, tables in zip(files, found, strict=True)}
    return [replace(task, past=past[task.part.name]) for task in compress(tasks, is_open)]


def _past_folder(job: ScoringJob) -> PartFolder:
    return PartFolder(f"{job.output.rstrip('/')}/{_PAST}")


def _settled_part(job: ScoringJob, task: PartTask) -> PartResult | None:
    try:
        return _settled(job, task, open_output(job.output))
    except PredictiveMaintenanceError as error:
        return PartResult(error=str(error))


def _settled(job: ScoringJob, task: PartTask, output: OutputFolder) -> PartResult | None:
    """The result of a former run, None if the file is to be scored. Raises SourceError if that would replace another file."""
    name, record_name = task.part.name, _record_name(task.part)
    content = output.fingerprint(name)
    former = None if content is None else _former_result(output, name, record_name)
    if former and former.finished and (former.made_from, former.content) == (task.made_from, content):
        return msgspec.structs.replace(former, is_former=True)
    if job.overwrite or content is None or (former and not former.finished):
        return None
    if former is None:
        problem = "exists and is not a result of scoring: "
    elif former.content != content:
        problem = "was changed or damaged after it was scored: delete it to score it again, "
    else:
        problem = "exists and was made from other readings or by another version: "
    raise SourceError(f"{output}/{name}: {problem}choose another --output, or add --overwrite")


def _score_part(job: ScoringJob, task: PartTask) -> PartResult:
    try:
        return _score(job, task, open_output(job.output))
    except PredictiveMaintenanceError as error:
        return PartResult(error=str(error))


def _score(job: ScoringJob, task: PartTask, output: OutputFolder) -> PartResult:
    if (settled := _settled(job, task, output)) is not None:
        return settled
    name, record_name = task.part.name, _record_name(task.part)
    with output.workspace() as folder, readable(task.part) as path:
        target = Path(folder, Path(name).name)
        scored = score_file(
            path,
            target,
            job.scorer,
            job.version,
            job.aliases,
            tables=job.tables,
            others=_rows_of_others(job, task),
            past=load_past(_past_folder(job), task.past) if task.past else None,
        )
        result = PartResult(
            made_from=task.made_from,
            rows=scored.rows,
            alarms=scored.alarms,
            rejected=scored.rejected,
            reasons=[(column, reason, cells) for (column, reason), cells in scored.reasons.items()],
            warnings=[warning for warning in scored.warnings if warning not in job.tables.warnings],
        )
        # A process that ends between the two steps leaves a result that the next run recognises as its own.
        _put_record(output, record_name, msgspec.structs.replace(result, finished=False), Path(folder))
        output.put(name, target)
        result = msgspec.structs.replace(result, content=output.fingerprint(name) or "")
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
        rows = valid_rows(job, other)
        owners = rows[MACHINE_ID].astype(str)
        rows = rows[owners.isin(since.index)]
        if not reach.readings:
            rows = rows[times_of(rows, machine) >= owners.loc[rows.index].map(since).to_numpy()]
        found.append(rows)
    return pd.concat(found, ignore_index=True)


def _former_result(output: OutputFolder, name: str, record_name: str) -> PartResult | None:
    """The record of a former run."""
    record = output.read(record_name)
    if record is None:
        return None
    try:
        return msgspec.json.decode(record, type=PartResult)
    except msgspec.DecodeError as error:
        raise SourceError(f"{output}/{record_name}: is damaged ({error}): delete it, and the result {name}") from None


def _put_record(output: OutputFolder, record_name: str, result: PartResult, folder: Path) -> None:
    path = folder / "record.json"
    path.write_bytes(msgspec.json.encode(result))
    output.put(record_name, path)
