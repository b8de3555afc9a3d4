"""Fixtures: run a command, and a registry with two versions."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from predictive_maintenance.cli.main import main
from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.reporting.run_log import version_tags
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.promotion import register_and_promote
from predictive_maintenance.tracking.runs import FlowRun
from tests.fixtures.registries import copy_registry
from tests.shared_folders import shared_folder


@pytest.fixture
def run() -> Callable[..., tuple[int, str]]:
    """Run a command with arguments: (exit code, output)."""

    def invoke(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return invoke


@pytest.fixture
def promoted(registry_uri: str, promoted_registry: Path) -> None:
    """A registry with version 1 in production and version 2, which did not pass the gate, as candidate."""
    folder = Path(registry_uri.removeprefix("sqlite:///")).parent
    assert copy_registry(promoted_registry, folder) == registry_uri


@pytest.fixture(scope="session")
def promoted_registry(
    empty_database: Path, small: Any, evaluate_small: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of the registry that `promoted` copies."""

    def create(folder: Path) -> None:
        shutil.copy(empty_database, folder)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
            connection = connect(small.params.registry)
        for number in (1, 2):
            champion = ModelRegistry(connection).baseline_model()
            evaluation = evaluate_small(champion)
            name = f"TrainFlow/{number}"
            tags = version_tags(
                evaluation, training_fingerprint(small.rows.train, small.params.machine), (), name, "0123abc"
            )
            mlflow_run = FlowRun.start(connection, name, {})
            register_and_promote(
                mlflow_run, small.files, small.rows.test, evaluation, tags, small.params.registry, promote=True
            )
            mlflow_run.finish()

    return shared_folder(tmp_path_factory, "promoted registry", create)
