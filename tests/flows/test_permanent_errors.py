"""The exit code of a failed job on AWS Batch, which decides whether the step is retried. No job is started."""

import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

CODE = """
import metaflow_setup
from types import SimpleNamespace
from metaflow.plugins.aws.batch.batch import Batch, BatchException
import permanent_errors

def fail(batch):
    raise BatchException("Essential container in task exited")

permanent_errors._wait = fail
batch = SimpleNamespace(job=SimpleNamespace(status_code=STATUS))
try:
    Batch.wait(batch)
except BatchException:
    raise SystemExit(1)
"""


@pytest.mark.parametrize(("status", "code"), [(202, 202), (1, 1), (137, 1)], ids=["permanent", "transient", "killed"])
def test_only_a_permanent_error_of_a_job_on_aws_batch_prevents_a_retry(status, code):
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("STATUS", str(status))],
        cwd=REPOSITORY / "flows", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
