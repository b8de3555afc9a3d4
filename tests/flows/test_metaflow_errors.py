"""What a failing step does to the flow's MLflow run, in a flow that does nothing else."""

import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("faults")]

FLOW = """
import laptop
from metaflow import FlowSpec, current, retry, step

from boundary import plain_errors
from predictive_maintenance.config import load_params
from predictive_maintenance.registry import FlowRun, connect


class ProbeFlow(FlowSpec):
    @plain_errors
    @step
    def start(self):
        self.params = load_params()
        self.mlflow_run_id = FlowRun.start(connect(self.params.registry), current.run_id, {}).run_id
        self.letters = ["a"]
        self.next(self.work, foreach="letters")

    @plain_errors
    @retry(times=1)
    @step
    def work(self):
        print("work finds", self.status())
        if current.retry_count == 0:
            raise ZeroDivisionError("a fault of the code")
        self.next(self.join)

    @plain_errors
    @retry(times=1)
    @step
    def join(self, inputs):
        if current.retry_count == 0:
            raise ZeroDivisionError("a fault of the code")
        self.params, self.mlflow_run_id = inputs[0].params, inputs[0].mlflow_run_id
        print("join finds", self.status())
        self.next(self.end)

    @plain_errors
    @step
    def end(self):
        print("end finds", self.status())
        raise ZeroDivisionError("a fault of the code")

    def status(self):
        return self.flow_mlflow_run.connection.client.get_run(self.mlflow_run_id).info.status

    @property
    def flow_mlflow_run(self):
        return FlowRun(connect(self.params.registry), self.mlflow_run_id)


if __name__ == "__main__":
    ProbeFlow()
"""


def test_any_fault_of_a_step_fails_the_mlflow_run_and_a_retry_goes_on_with_it(place, tmp_path):
    (tmp_path / "probe_flow.py").write_text(FLOW)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "probe_flow.py"), "run"],
        cwd=place.root,
        env={**place.variables(), "PYTHONPATH": f"{REPOSITORY / 'flows'}:{REPOSITORY}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stdout.count("ZeroDivisionError: a fault of the code") == 3, done.stdout
    assert done.stdout.count("work finds RUNNING") == 2
    assert "join finds RUNNING" in done.stdout
    assert "end finds RUNNING" in done.stdout
    assert place.run_statuses() == ["FAILED"]
