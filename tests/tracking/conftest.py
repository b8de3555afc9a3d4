"""Fixtures: an empty registry, and a function that registers and promotes a model as the last step of the flow does."""

import pytest

from predictive_maintenance.evaluation.comparison import training_fingerprint
from predictive_maintenance.reporting.run_log import version_tags
from predictive_maintenance.tracking.connection import connect
from predictive_maintenance.tracking.model_registry import ModelRegistry
from predictive_maintenance.tracking.promotion import register_and_promote
from predictive_maintenance.tracking.runs import FlowRun


@pytest.fixture
def connection(registry_uri, params):
    return connect(params.registry)


@pytest.fixture
def registry(connection):
    return ModelRegistry(connection)


@pytest.fixture
def make_train(small, evaluate_small):
    """Return `train` for a connection."""

    def make(connection):
        def run(name, promote=True, champion=None):
            mlflow_run = FlowRun.start(connection, name, {})
            evaluation = evaluate_small(champion)
            tags = version_tags(
                evaluation, training_fingerprint(small.rows.train, small.params.machine), (), name, "commit"
            )
            return register_and_promote(
                mlflow_run, small.files, small.rows.test, evaluation, tags, small.params.registry, promote
            )

        return run

    return make


@pytest.fixture
def train(make_train, connection):
    """Evaluate, register and promote a model as the last step of the flow does, in a run of the given name."""
    return make_train(connection)
