"""A finished run of the training flow, read from Metaflow's datastore."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from ..config.commands import flow_command
from ..config.metaflow_defaults import set_metaflow_defaults
from ..config.params import Params
from ..errors import DataError
from ..evaluation.evaluate import Evaluation
from ..evaluation.metrics import Scores
from ..ingestion.merging import SourceRecord
from ..partitions.cleaned_parts import CleanedParts
from ..partitions.ingested_parts import IngestedParts
from ..partitions.split_parts import SplitParts
from ..tracking.entities import FLOW_RUN_TAG, ModelVersion
from ..tracking.promotion import Outcome
from ..training.candidate import FittedCandidate

FLOW_NAME = "TrainFlow"


class FinishedRun(Protocol):
    """The artifacts of the last step of a run."""

    flow_run: str
    commit: str
    mlflow_run_id: str
    finished_at: datetime
    params: Params
    records: Sequence[SourceRecord]
    ingested: IngestedParts
    cleaned: CleanedParts
    rows: SplitParts
    candidate_scores: Mapping[str, Scores]
    trained: FittedCandidate
    evaluation: Evaluation
    files: Mapping[str, bytes]  # of the version, without the hashes of its training rows
    tags: Mapping[str, str]
    outcome: Outcome


def load_run(run: str | None = None) -> FinishedRun:
    """Read `run`, given as ID or TrainFlow/ID; without it, the newest successful run.

    Raises DataError if there is no such run, it did not succeed, or it is of an earlier release.
    """
    _use_runs_of_every_user()
    run_id = run and run.strip().removeprefix(f"{FLOW_NAME}/")
    found = _find(run_id)
    if found is None:
        wanted = f"run {run_id!r}" if run_id else "successful run"
        raise DataError(f"no {wanted} of {FLOW_NAME} in {_datastore()}: start one with {flow_command('run')}")
    if not found.successful:
        resume = flow_command(f"resume --origin-run-id {run_id}")
        raise DataError(f"{FLOW_NAME}/{run_id} did not succeed: continue it with {resume}")
    return _results(found)


def load_run_of_version(version: ModelVersion) -> FinishedRun:
    """Read the run that registered `version`. Raises DataError if there is no such run, or it is of an earlier release."""
    _use_runs_of_every_user()
    for found in _possible_runs(version):
        if found is None or not found.successful:
            continue
        end = found["end"].task.data
        # The id first: another outcome can be of an earlier release and then cannot be read.
        if getattr(end, "mlflow_run_id", None) == version.run_id and end.outcome.version == version.version:
            return _results(found)
    raise DataError(
        f"the run of version {version.version}, {version.tags.get(FLOW_RUN_TAG, version.run_id)}, is not in "
        f"{_datastore()}: run this command where the results of that run are"
    )


def _results(found: Any) -> FinishedRun:
    task = found["end"].task
    if "ingested" not in task:
        raise DataError(
            f"{found.pathspec} is a run of an earlier release, which this release cannot read: start a new one with "
            f"{flow_command('run')}, or use the earlier release"
        )
    end: FinishedRun = task.data
    return end


def _possible_runs(version: ModelVersion) -> Iterator[Any]:
    """The run that the version's tag names, then every other: a resumed run has the tag of the run that it continues."""
    from metaflow import Flow
    from metaflow.exception import MetaflowNotFound

    if tag := version.tags.get(FLOW_RUN_TAG):
        yield _find(tag.removeprefix(f"{FLOW_NAME}/"))
    try:
        yield from Flow(FLOW_NAME)
    except MetaflowNotFound:
        return


def _use_runs_of_every_user() -> None:
    set_metaflow_defaults()
    from metaflow import namespace

    namespace(None)


def _datastore() -> str:
    return os.environ.get("METAFLOW_DATASTORE_SYSROOT_S3") or os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"]


def _find(run_id: str | None) -> Any:
    from metaflow import Flow, Run
    from metaflow.exception import MetaflowInvalidPathspec, MetaflowNotFound

    try:
        return Run(f"{FLOW_NAME}/{run_id}") if run_id else Flow(FLOW_NAME).latest_successful_run
    except (MetaflowNotFound, MetaflowInvalidPathspec):
        return None
