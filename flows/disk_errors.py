"""Report a full disk as text, with the folder and the command that continues the run.

Metaflow stores the results of a step after the step's code, where `plain_errors` ends, and prints a traceback.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from metaflow.runtime import NativeRuntime
from metaflow.task import MetaflowTask

from metaflow_errors import RunStopped
from predictive_maintenance.config.commands import flow_command
from predictive_maintenance.errors import is_disk_full


@contextmanager
def _full_disk_as_text(run_id: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        # Metaflow's error names no path: it writes to open files.
        results = os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"]
        places = error.filename2 or error.filename or f"the results in {results}, or {tempfile.gettempdir()}"
        raise RunStopped(
            f"{places}: {error.strerror}: free space on the disk\n"
            f"after the fix: {flow_command(f'resume --origin-run-id {run_id}')}   (finished steps are kept)",
            permanent=True,
        ) from None


_run_step = MetaflowTask.run_step
_execute = NativeRuntime.execute


def _run_step_on_full_disk(task: MetaflowTask, step_name: str, run_id: str, *args: Any, **kwargs: Any) -> None:
    with _full_disk_as_text(run_id):
        _run_step(task, step_name, run_id, *args, **kwargs)


def _execute_on_full_disk(runtime: NativeRuntime) -> None:
    with _full_disk_as_text(runtime._run_id):
        _execute(runtime)


MetaflowTask.run_step = _run_step_on_full_disk
NativeRuntime.execute = _execute_on_full_disk
