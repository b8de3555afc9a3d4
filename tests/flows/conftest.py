"""The real flow in processes of its own, each test with a registry and a datastore of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from tests.paths import PARAMS_FILE, REPOSITORY

FLOW = REPOSITORY / "flows" / "train_flow.py"
SMALL = "simulator://?rows=6000&seed=3"


@dataclass
class Place:
    """A folder to run the flow in: what it wrote is found below, and its name has spaces."""

    root: Path
    uri: str
    environment: dict[str, str] = field(default_factory=dict)

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
        """The environment of the flow's processes: this one's, with the place's own settings."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("METAFLOW", "MLFLOW"))},
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self.root),
            "METAFLOW_USER": "tester",
            "MLFLOW_TRACKING_URI": self.uri,
        }

    def run(self, *arguments: str, config: Path | None = None, **environment: str) -> tuple[int, str]:
        """(exit code, everything it printed)."""
        process = self.start(*arguments, config=config, **environment)
        output, _ = process.communicate(timeout=400)
        return process.returncode, output

    def watch(
        self, process: subprocess.Popen, pattern: str, react: Callable[[re.Match], Any], timeout: float = 400
    ) -> tuple[int, str]:
        """The same, calling `react` at the first line that matches `pattern`."""
        lines, reacted = [], False
        timer = threading.Timer(timeout, lambda: os.killpg(process.pid, signal.SIGKILL))
        timer.start()
        with process.stdout:
            for line in process.stdout:
                lines.append(line)
                if not reacted and (match := re.search(pattern, line)):
                    reacted = True
                    react(match)
        timer.cancel()
        assert reacted, f"nothing matched {pattern}:\n{''.join(lines)}"
        return process.wait(), "".join(lines)

    def data(self, step: str) -> Any:
        """The artifacts of a step of the newest run."""
        import metaflow

        metaflow.namespace(None)
        metaflow.metadata(f"local@{self.root}")
        return next(iter(metaflow.Flow("TrainFlow")))[step].task.data

    def versions(self) -> ModelRegistry:
        """The registry that the flow wrote to."""
        os.environ["MLFLOW_TRACKING_URI"] = self.uri
        return ModelRegistry(connect(load_params().registry))

    def run_statuses(self) -> list[str]:
        """Of every MLflow run that the flow made, candidates' included."""
        connection = self.versions().connection
        return [run.info.status for run in connection.client.search_runs([connection.experiment_id])]


@pytest.fixture(scope="session")
def make_place(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    def make() -> Place:
        root = tmp_path_factory.mktemp("a place with spaces")
        shutil.copy(empty_database, root / "mlflow.db")
        return Place(root, f"sqlite:///{root / 'mlflow.db'}")

    return make


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, make_place: Callable[[], Place]) -> Place:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "restored after the test")
    return make_place()


@pytest.fixture(scope="session")
def quick_params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A params.yaml with one candidate and one trial: for tests whose subject is elsewhere."""
    raw = yaml.safe_load(PARAMS_FILE.read_text())
    raw["data"]["sources"] = [{"uri": SMALL}]
    raw["candidates"] = {"lightgbm": raw["candidates"]["lightgbm"] | {"trials": 1}}
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path
