"""The oldest supported MLflow server works, and an older one is reported: hosted registries are older than the client."""

import sys
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import pytest

from predictive_maintenance.cli.setup_checks import check_setup
from predictive_maintenance.errors import RegistryError
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.runs import FlowRun
from tests.fixtures.environments import Environment
from tests.fixtures.servers import MlflowServer, free_port

pytestmark = [
    pytest.mark.environment,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="servers that old need Python 3.11"),
]

# The dependencies of the server alone. Newer versions lack modules that it imports.
NEEDS = [
    "setuptools<81", "sqlalchemy<2.1", "alembic<2", "Flask<3", "gunicorn<21", "click<9", "cloudpickle", "databricks-cli<1",
    "entrypoints", "gitpython<4", "importlib-metadata<7", "packaging<24", "protobuf<5", "pytz", "pyyaml<7",
    "querystring_parser", "requests<3", "sqlparse", "numpy<2", "pandas<3", "docker<7",
]  # fmt: skip


@pytest.fixture(scope="module")
def old_server(tmp_path_factory) -> Callable[[str], str]:
    """Start a server of the version given: its URL."""
    folder = tmp_path_factory.mktemp("old servers")
    environment = Environment.create(folder / "venv")
    environment.install(*NEEDS)
    with ExitStack() as running:

        def start(version: str) -> str:
            environment.install("--no-deps", f"mlflow=={version}")
            place, port = folder / version, free_port()
            place.mkdir()
            command = [
                *(str(folder / "venv" / "bin" / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--workers", "1"),
                *("--serve-artifacts", "--artifacts-destination", str(place / "artifacts")),
            ]  # fmt: skip
            path = f"{folder / 'venv' / 'bin'}:/usr/bin:/bin"
            variables = {"PATH": path, "HOME": str(folder)}
            server = MlflowServer(command, folder / f"{version}.log", variables, url=f"http://127.0.0.1:{port}")
            running.callback(server.kill)
            server.up()
            return server.url

        yield start


def test_server_2_3_supports_runs_versions_promotions_and_rollback(old_server, monkeypatch, params, small, make_train):
    url = old_server("2.3.0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    connection = connect(params.registry)
    registry = ModelRegistry(connection)
    assert registry.production_version() is None
    train = make_train(connection)
    assert train("TrainFlow/1").level == "production"
    FlowRun.start(connection, "TrainFlow/1", {}).log_data(
        {"torque_nm": "float64"}, 8, "training", "simulator://", "f" * 64
    )
    second = train("TrainFlow/2", champion=registry.baseline_model())
    assert (second.level, second.version) == ("candidate", "2")
    assert registry.promote("2", "1").promoted
    assert registry.production_version().version == "2"
    assert registry.rollback().production == "1"
    rows = small.rows.test
    np.testing.assert_array_equal(registry.load_scorer("1").probabilities(rows), small.scorer.probabilities(rows))
    results = {result.name: result for result in check_setup(params, write=True)}
    assert "MLflow 2.3.0" in results["server"].text
    assert {results[name].state for name in ("server", "registry", "model", "tracking, writing")} == {"pass"}


def test_a_server_before_2_3_is_reported_with_one_error(old_server, monkeypatch, params):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", old_server("2.2.2"))
    with pytest.raises(RegistryError, match=r"not an MLflow server, or one older than 2\.3"):
        ModelRegistry(connect(params.registry)).production_version()
    (server,) = [result for result in check_setup(params) if result.name == "server"]
    assert (server.state, server.text) == ("FAIL", "MLflow 2.2.2 has no aliases: use 2.3 or newer")
