"""A real MLflow server and real services, each in a process of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.packaging import package_version
from predictive_maintenance.tracking.runs import FlowRun
from predictive_maintenance.training.candidate import train_untuned
from predictive_maintenance.training.export import export_model
from tests.paths import REPOSITORY

from .containers import Engine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    """What `what` returns once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if found := what():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s for {what}")


@dataclass
class Process:
    """A server: what it prints goes to a file."""

    command: list[str]
    log: Path
    environment: dict[str, str]
    running: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            self.running = subprocess.Popen(
                self.command, cwd=REPOSITORY, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        """Its exit code. Whatever is left of it afterwards is killed."""
        assert self.running is not None
        self.running.send_signal(how)
        try:
            return self.running.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)
            self.running.wait()


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PDM_", "MLFLOW", "METAFLOW"))}
    return kept | more


@dataclass
class MlflowServer(Process):
    """`artifacts` is the folder that it keeps files in."""

    url: str = ""
    artifacts: Path = Path()

    def up(self) -> None:
        self.start()
        wait_for(lambda: httpx.get(f"{self.url}/health").status_code == 200)


@pytest.fixture(scope="module")
def mlflow_server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder, port = tmp_path_factory.mktemp("mlflow-server"), free_port()
    shutil.copy(empty_database, folder / "mlflow.db")
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    server = MlflowServer(
        command, folder / "log", clean_environment(), url=f"http://127.0.0.1:{port}", artifacts=folder / "artifacts"
    )
    server.up()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def forest_files(small: Any) -> dict[str, bytes]:
    """A second model, whose answers differ from the small one's."""
    trained = train_untuned("random_forest", small.rows.train, small.rows.fold, small.params)
    return export_model(trained, small.rows.train, small.rows.test, small.params)


@pytest.fixture(scope="module")
def registered(mlflow_server: MlflowServer, small: Any, forest_files: dict[str, bytes], params: Any) -> ModelRegistry:
    """Version 1, a LightGBM, in production; version 2, a random forest, beside it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_TRACKING_URI", mlflow_server.url)
        connection = connect(params.registry)
    versions = ModelRegistry(connection)
    for name, files in (("lightgbm", small.files), ("random_forest", forest_files)):
        run = FlowRun.start(connection, f"TrainFlow/{name}", {})
        with tempfile.TemporaryDirectory() as work:
            versions.register(run, package_version(files, small.rows.test.head(5), Path(work)), {"algorithm": name})
    versions.promote("1", None)
    return versions


@pytest.fixture
def in_production(registered: ModelRegistry) -> ModelRegistry:
    """Version 1 in production, whatever a test before did."""
    current = registered.production_version()
    if current is None or current.version != "1":
        registered.promote("1", current and current.version)
    return registered


@dataclass(kw_only=True)
class Service(Process):
    """`python -m app`, and a client of it."""

    url: str = ""
    client: httpx.Client = field(default_factory=httpx.Client)

    def up(self) -> None:
        self.start()
        self.until_serving()

    def ready(self) -> None:
        """Up, and with a model: on a busy machine it may begin to answer before it has one."""
        self.up()
        wait_for(lambda: self.get("/ready").status_code == 200)

    def until_serving(self) -> None:
        def alive() -> bool:
            assert self.running is not None
            assert self.running.poll() is None, self.log.read_text()
            return self.get("/health").status_code == 200

        wait_for(alive)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(self.url + path)

    def predict(self, reading: dict[str, Any]) -> httpx.Response:
        return self.client.post(f"{self.url}/predict", json=reading)

    def wait_for_version(self, version: str) -> None:
        wait_for(lambda: self.get("/health").json()["serving_version"] == version)


@pytest.fixture
def make_service(mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Services over the MLflow server, with settings and arguments of their own; `python` runs them."""
    made: list[Service] = []

    def make(*arguments: str, python: str = sys.executable, **settings: str) -> Service:
        port = free_port()
        environment = clean_environment(
            MLFLOW_TRACKING_URI=mlflow_server.url, PDM_MODEL_CACHE=str(tmp_path / "models"), PDM_POLL_SECONDS="0.2",
            PDM_MAX_BACKOFF_SECONDS="0.5", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        ) | settings  # fmt: skip
        command = [python, "-m", "app", "--port", str(port), *arguments]
        made.append(
            Service(
                command=command,
                log=tmp_path / f"service-{len(made)}.log",
                environment=environment,
                url=f"http://127.0.0.1:{port}",
            )
        )
        return made[-1]

    yield make
    for service in made:
        service.client.close()
        service.kill()


@pytest.fixture(scope="module")
def images() -> Iterator[Engine]:
    """Both images, built; what a test starts of them is removed after its module."""
    engine = Engine.found()
    engine.build()
    yield engine
    engine.stop_all()
