"""The runs whose parts are kept, and how much space they take."""

from dataclasses import dataclass

from ..errors import SourceError
from ..ingestion.part_files import FolderSize, OutputFolder, open_output
from .location import parts_root


@dataclass(frozen=True)
class StoredRun:
    """A run of a flow, such as TrainFlow/17, whose parts have this size."""

    flow_run: str
    size: FolderSize


def stored_runs(flow: str) -> list[StoredRun]:
    """The runs of a flow that have parts, in the order in which they were last written. Raises SourceError."""
    folder = _folder(flow)
    sizes = {f"{flow}/{run_id}": folder.size(run_id) for run_id in folder.folders()}
    runs = [StoredRun(flow_run, size) for flow_run, size in sizes.items() if size]
    return sorted(runs, key=lambda run: run.size.written)


def delete_parts(flow_run: str) -> None:
    """Delete the parts of a run. Raises SourceError if some cannot be deleted."""
    flow, _, run_id = flow_run.rpartition("/")
    folder = _folder(flow)
    folder.delete(run_id)
    if left := folder.size(run_id):
        raise SourceError(f"{folder}/{run_id}: {left.files:,} files cannot be deleted: check the permissions")


def _folder(flow: str) -> OutputFolder:
    return open_output(f"{parts_root()}/{flow}")
