"""An MLflow server, APIs and containers, each in its own process."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.entities import VERSION_FILE, ModelVersion
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.packaging import package_version
from predictive_maintenance.tracking.runs import FlowRun
from tests.fixtures.servers import MlflowServer, Process, clean_environment, free_port, wait_for
from tests.paths import REPOSITORY
from tests.shared_folders import shared_folder, shared_lock

from .closed_loop import ClosedLoop
from .containers import Engine


@pytest.fixture(scope="module")
def mlflow_server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("mlflow-server")
    shutil.copy(empty_database, folder)
    server = MlflowServer.over(folder)
    server.up()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def forest_files(small_forest: Any) -> dict[str, bytes]:
    """A second model, whose probabilities differ from those of the first."""
    return dict(small_forest.files)


@pytest.fixture(scope="module")
def registered(mlflow_server: MlflowServer, small: Any, forest_files: dict[str, bytes], params: Any) -> ModelRegistry:
    """A registry with version 1, a LightGBM, in production, and version 2, a random forest."""
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
    """The registry with version 1 in production, whatever earlier tests did."""
    current = registered.production_version()
    if current is None or current.version != "1":
        registered.promote("1", current and current.version)
    return registered


@dataclass(kw_only=True)
class Service(Process):
    """The API, started with `python -m app`, and a client."""

    url: str = ""
    client: httpx.Client = field(default_factory=httpx.Client)

    def up(self) -> None:
        """Start the API and wait until it answers."""
        self.start()
        self.wait_until_alive()

    def ready(self) -> None:
        """Start the API and wait until it serves a model. It can answer before that."""
        self.up()
        wait_for(lambda: self.get("/ready").status_code == 200)

    def wait_until_alive(self) -> None:
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
    """Make an API that uses the MLflow server, with the given settings, arguments and Python interpreter."""
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


@pytest.fixture
def closed_loop(empty_database: Path, tmp_path: Path) -> Iterator[ClosedLoop]:
    """A project without a model version. Its processes end with the test."""
    shutil.copy(empty_database, tmp_path)
    loop = ClosedLoop(tmp_path)
    yield loop
    loop.close()


@dataclass
class Server(Process):
    """The API with a model in a folder, without a registry."""

    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> None:
        self.start()
        wait_for(lambda: httpx.get(f"{self.url}/ready").status_code == 200)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def peak_mib(self) -> float:
        """The largest resident memory so far."""
        assert self.running is not None
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def open_sockets(self) -> int:
        assert self.running is not None
        links = []
        for link in Path(f"/proc/{self.running.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(str(link.readlink()))
        return sum(link.startswith("socket:") for link in links)


@pytest.fixture(scope="module")
def model_dir(small: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `export` writes it, with the small model as version 1."""
    return write_version(small.files, tmp_path_factory.mktemp("model"))


def write_version(files: Mapping[str, bytes], folder: Path) -> Path:
    """Write version 1 to the folder as `export` does, and return the folder."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    version = ModelVersion(version="1", aliases=(), run_id="run", created=datetime(2026, 1, 1, tzinfo=UTC), tags={})
    (folder / VERSION_FILE).write_text(version.to_json())
    return folder


@pytest.fixture(scope="module")
def make_server(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start an API with the given settings."""
    made: list[Server] = []

    def make(*arguments: str, **settings: str) -> Server:
        folder, port = tmp_path_factory.mktemp("server"), free_port()
        environment = clean_environment(PDM_MODEL_DIR=str(model_dir), PDM_MODEL_CACHE=str(folder / "cache")) | settings
        command = [sys.executable, "-m", "app", "--port", str(port), *arguments]
        made.append(Server(command, folder / "server.log", environment, port=port))
        made[-1].ready()
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for localhost and its key, made by the command of the documentation."""
    folder = tmp_path_factory.mktemp("nginx")
    page = (REPOSITORY / "docs" / "how-to" / "run-behind-nginx.md").read_text()
    command = page.split("```\n")[1]
    assert "openssl req" in command
    subprocess.run(["sh", "-ec", command], cwd=folder, check=True, capture_output=True)
    return folder / "certificates"


def trusting(certificates: Path) -> ssl.SSLContext:
    """A TLS context that trusts the certificate in the folder alone."""
    return ssl.create_default_context(cafile=str(certificates / "certificate.pem"))


@pytest.fixture(scope="module")
def steady_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For tests with a browser and tests that create networks of containers, which exclude each other.

    Chromium aborts its requests while a network interface is added or removed.
    """
    with shared_lock(tmp_path_factory, "network"):
        yield


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The engine of this machine, with both images, built once for all workers."""
    engine = Engine.found()
    shared_folder(tmp_path_factory, "images", lambda _: engine.build_images())
    return engine


@pytest.fixture(scope="module")
def images(engine: Engine) -> Iterator[Engine]:
    """The engine with both images. Containers are removed after the module's tests."""
    images = Engine(engine.command)
    yield images
    images.stop_all()
