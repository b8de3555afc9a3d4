"""The flow as users run it, in its own processes. Each `Place` has its own registry and its own results."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from tests.paths import REPOSITORY

FLOW = REPOSITORY / "flows" / "train_flow.py"
Reaction = Callable[[re.Match[str]], Any]


@dataclass
class Place:
    """A folder to run the flow in: the working directory, the flow's results and an SQLite registry at `uri`."""

    root: Path
    uri: str

    def start(self, *arguments: str, config: Path | None = None, **environment: str) -> subprocess.Popen:
        options = ["--config", "settings", str(config)] if config else []
        return subprocess.Popen(
            [sys.executable, str(FLOW), *options, *arguments],
            cwd=self.root,
            env={**self.variables(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def variables(self) -> dict[str, str]:
        """The environment of the flow's processes. A failed step is retried at once."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW", "MLFLOW"))},
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self.root),
            "METAFLOW_USER": "tester",
            "MLFLOW_TRACKING_URI": self.uri,
            "PDM_RETRY_MINUTES": "0",
        }

    def run(self, *arguments: str, config: Path | None = None, **environment: str) -> tuple[int, str]:
        """Run a command of the flow. Returns (exit code, output)."""
        process = self.start(*arguments, config=config, **environment)
        output, _ = process.communicate(timeout=400)
        return process.returncode, output

    def watch(
        self, process: subprocess.Popen, reactions: Mapping[str, Reaction], timeout: float = 400
    ) -> tuple[int, str]:
        """Wait for a process, and call each reaction at the first line that matches its pattern. Returns (exit code, output)."""
        lines, left = [], dict(reactions)
        timer = threading.Timer(timeout, lambda: os.killpg(process.pid, signal.SIGKILL))
        timer.start()
        with process.stdout:
            for line in process.stdout:
                lines.append(line)
                for pattern in list(left):
                    if match := re.search(pattern, line):
                        left.pop(pattern)(match)
        timer.cancel()
        output = "".join(lines)
        assert not left, f"no line matches {list(left)}:\n{output}"
        return process.wait(), output

    def task(self, step: str) -> Any:
        """The Metaflow task of a step of the newest successful run."""
        import metaflow

        metaflow.namespace(None)
        metaflow.metadata(f"local@{self.root}")
        return metaflow.Flow("TrainFlow").latest_successful_run[step].task

    def data(self, step: str) -> Any:
        """The artifacts of a step of the newest successful run."""
        return self.task(step).data

    def registry(self, machine: str | None = None) -> ModelRegistry:
        """The registry that the flow writes to, of the machine in params.yaml or of another one."""
        os.environ["MLFLOW_TRACKING_URI"] = self.uri
        return ModelRegistry(connect(load_params(machine=machine).registry))

    def run_statuses(self) -> list[str]:
        """The statuses of all MLflow runs, nested runs included."""
        connection = self.registry().connection
        return [run.info.status for run in connection.client.search_runs([connection.experiment_id])]


@pytest.fixture(scope="session")
def make_place(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Make a place whose name contains spaces."""

    def make() -> Place:
        root = tmp_path_factory.mktemp("a place with spaces")
        shutil.copy(empty_database, root / "mlflow.db")
        return Place(root, f"sqlite:///{root / 'mlflow.db'}")

    return make


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, make_place: Callable[[], Place]) -> Place:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "restored after the test")
    return make_place()
