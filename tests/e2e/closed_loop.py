"""A project whose model is trained, served, monitored and trained again, each in its own process."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from predictive_maintenance.config.params_file import load_params
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from tests.fixtures.servers import Process, clean_environment, free_port, wait_for
from tests.paths import PARAMS_FILE, REPOSITORY

DAY_SECONDS = 86_400


@dataclass
class ClosedLoop:
    """The processes of a project in `folder`, where the database mlflow.db exists. An incident trains on this machine."""

    folder: Path
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    monitors: list[Process] = field(default_factory=list)
    _started: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.project.mkdir()
        (self.project / "flows").symlink_to(REPOSITORY / "flows")

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(
            PDM_PROJECT_DIR=str(self.project), PDM_STORE_URL=f"sqlite:///{self.folder / 'store.db'}",
            PDM_MODEL_CACHE=str(self.folder / "models"), PDM_POLL_SECONDS="0.2", PDM_PREDICTION_LOG_SECONDS="0.2",
            MLFLOW_TRACKING_URI=f"sqlite:///{self.folder / 'mlflow.db'}", METAFLOW_DATASTORE_SYSROOT_LOCAL=str(self.folder),
            METAFLOW_USER="tester", PDM_BATCH_DEADLINE_SECONDS="60",
        )  # fmt: skip

    def configure(self, sources: Sequence[Mapping[str, str]], settings: Mapping[str, Any]) -> None:
        """Write params.yaml: the default one with these `sources`, and `settings` in place of those with their names."""
        params = yaml.safe_load(PARAMS_FILE.read_text())
        params["data"]["sources"] = [dict(source) for source in sources]
        params["monitoring"]["retrain"] = "here"
        for section, values in settings.items():
            params[section] = params[section] | values if section not in ("machine", "candidates") else values
        (self.project / "params.yaml").write_text(yaml.safe_dump(params))

    def train_first_version(self) -> None:
        flow = [sys.executable, str(self.project / "flows" / "train_flow.py"), "run"]
        trained = subprocess.run(
            flow, cwd=self.project, env=self.environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert "version 1 is in production" in trained.stdout, trained.stdout + trained.stderr

    def start(self, *arguments: str) -> Process:
        """Start `python -m ARGUMENTS`, until the test ends."""
        log = self.folder / f"{arguments[0]}-{len(self._started)}.log"
        process = Process([sys.executable, "-m", *arguments], log, self.environment)
        self._started.append(process)
        process.start()
        return process

    def serve(self) -> None:
        """Start the service, and wait until it serves a version."""
        port = free_port()
        self.client.base_url = f"http://127.0.0.1:{port}"
        self.start("app", "--port", str(port))
        wait_for(lambda: self.client.get("/ready").status_code == 200)

    def start_two_monitors(self, every_seconds: float) -> None:
        arguments = "predictive_maintenance", "monitor", "--watch", "--every", str(every_seconds / 60)
        self.monitors = [self.start(*arguments) for _ in range(2)]

    def serving_version(self) -> str:
        return str(self.client.get("/health").json()["serving_version"])

    def first_incident(self) -> dict[str, Any] | None:
        """The incident that was opened first, if there is one."""
        incidents = self.client.get("/incidents").json()["incidents"]
        return next((incident for incident in incidents if incident["incident"] == 1), None)

    def wait_until_the_incident_is_closed(self) -> dict[str, Any]:
        def closed() -> dict[str, Any] | None:
            incident = self.first_incident()
            return incident if incident and incident["closed"] else None

        return wait_for(closed, seconds=60)

    def rows_of_store_in_the_only_training(self) -> int:
        """How many rows of the service the training had that the monitors started: one, for one incident."""
        logs = "".join(monitor.log.read_text() for monitor in self.monitors)
        for text in ("incident 1 opened", "incident 1: training (here)", "incident 1 closed (another version)"):
            assert logs.count(text) == 1, logs
        (kept,) = re.findall(r"([\d,]+) rows from store:// \(append\)", logs)
        return int(kept.replace(",", ""))

    def incident_of_production(self) -> tuple[str, str]:
        """The version in production, and the incident that it was trained for."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("PDM_PROJECT_DIR", "MLFLOW_TRACKING_URI"):
                patch.setenv(name, self.environment[name])
            registry = ModelRegistry(connect(load_params().registry))
            production = registry.production_version()
            assert production is not None
            run = registry.connection.client.get_run(production.run_id)
        return production.version, run.data.tags["incident"]

    def close(self) -> None:
        """End all processes."""
        self.client.close()
        for process in self._started:
            process.kill()
