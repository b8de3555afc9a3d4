"""Prevent retries of a step after a permanent error, such as wrong credentials or missing columns.

Metaflow's @retry repeats a step after every error, unless the process of the step exits with code 202. Metaflow has no
public way to set this code for an error, so it is set where the process ends.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from metaflow.exception import METAFLOW_EXIT_DISALLOW_RETRY, MetaflowInternalError
from metaflow.plugins.aws.batch.batch import Batch, BatchException
from metaflow.runtime import NativeRuntime

from metaflow_errors import RunStopped


@contextmanager
def exit_code_of_permanent_errors() -> Iterator[None]:
    """Exit with code 202 after a permanent error of a step."""
    try:
        yield
    except SystemExit as exiting:
        # Metaflow prints an error and calls sys.exit(1) in its handler, so the error is the context of the exit.
        error = exiting.__context__
        if isinstance(error, RunStopped) and error.permanent:
            sys.exit(METAFLOW_EXIT_DISALLOW_RETRY)
        raise


_wait = Batch.wait
_execute = NativeRuntime.execute


def _wait_for_job(batch: Batch, *args: Any, **kwargs: Any) -> None:
    """Wait for a job on AWS Batch and pass on its exit code 202. Metaflow exits with 1 after any failed job."""
    try:
        _wait(batch, *args, **kwargs)
    except BatchException:
        if batch.job.status_code == METAFLOW_EXIT_DISALLOW_RETRY:
            sys.exit(METAFLOW_EXIT_DISALLOW_RETRY)
        raise


def _execute_run(runtime: NativeRuntime) -> None:
    """Run the flow. After exit code 202, Metaflow itself reports an internal error instead of a failed step."""
    try:
        _execute(runtime)
    except MetaflowInternalError as error:
        if "was not successful by the end of flow" not in str(error):
            raise
        raise RunStopped("a step failed and was not retried: its error is above") from None


Batch.wait = _wait_for_job
NativeRuntime.execute = _execute_run
