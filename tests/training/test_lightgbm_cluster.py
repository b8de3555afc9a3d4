"""LightGBM on a Dask cluster agrees with LightGBM in process, and ends with one error where lightgbm.dask waits without end."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from distributed import Client
from sklearn.metrics import average_precision_score

from predictive_maintenance.errors import ConfigError, DataError, EngineError
from predictive_maintenance.training.estimators import failure_probabilities
from predictive_maintenance.training.export import to_onnx
from predictive_maintenance.training.lightgbm_cluster import fit_lightgbm_on_cluster
from predictive_maintenance.training.lightgbm_parts import fit_lightgbm
from predictive_maintenance.training.parts_candidate import train_candidate_from_parts
from predictive_maintenance.training.row_parts import row_groups
from tests.fixtures.dask_clusters import dask_cluster
from tests.fixtures.row_parts import pump_table, write_parts

FEATURES = ("pressure", "flow", "heat")
HYPERPARAMETERS = {"n_estimators": 60, "learning_rate": 0.05, "num_leaves": 15}
pytestmark = [
    pytest.mark.long,
    # Of the event loops of clients in threads that were given up.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module")
def rows():
    return pump_table(40_000)


@pytest.fixture(scope="module")
def parts(rows, tmp_path_factory):
    return write_parts(tmp_path_factory.mktemp("pumps"), rows, FEATURES, "broken", parts=4, row_group_size=6000)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers with a nanny each, and their scheduler."""
    with dask_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as cluster:
        yield cluster


def _settings(params, **changes):
    return params.training.model_copy(update=changes)


def _fit(cluster, parts, params, hyperparameters=HYPERPARAMETERS, groups=None, **changes):
    groups = row_groups(parts) if groups is None else groups
    return fit_lightgbm_on_cluster(
        cluster.address, groups, FEATURES, "broken", hyperparameters, _settings(params, **changes)
    )


def _once_fitting(cluster, act):
    """Call `act` when the workers fit LightGBM, in a thread."""

    def wait():
        with Client(cluster.address, set_as_default=False) as client:
            while not any("_train_part" in str(key) for keys in client.processing().values() for key in keys):
                time.sleep(0.1)
        time.sleep(1)
        act()

    threading.Thread(target=wait, daemon=True).start()


def test_two_workers_and_one_process_give_models_that_agree(cluster, parts, rows, params):
    """The held-out rows are those that are not trained on: a sixth."""
    one = fit_lightgbm(row_groups(parts), FEATURES, "broken", HYPERPARAMETERS, params.training.seed, 1)
    two = _fit(cluster, parts, params)
    test = rows[rows["fold"] == -1]
    features = test[list(FEATURES)].to_numpy(np.float32)
    scores = [failure_probabilities(model, features) for model in (one, two)]
    found = [average_precision_score(test["broken"], score) for score in scores]
    assert found[0] > 0.5
    assert found[1] == pytest.approx(found[0], abs=0.002)
    assert two.booster_.num_trees() == 60
    assert to_onnx(two, 3, missing_values=True)


def test_workers_that_have_rows_of_one_label_only_take_part(cluster, params, rows, tmp_path):
    ordered = rows[rows["fold"] != -1].sort_values("broken", ignore_index=True)
    half = write_parts(tmp_path, ordered, FEATURES, "broken", parts=8, row_group_size=10_000)
    two = _fit(cluster, half, params, HYPERPARAMETERS | {"class_weight": "balanced"})
    one = fit_lightgbm(
        row_groups(half), FEATURES, "broken", HYPERPARAMETERS | {"class_weight": "balanced"}, params.training.seed, 1
    )
    features = ordered[list(FEATURES)].to_numpy(np.float32)
    means = [failure_probabilities(model, features).mean() for model in (one, two)]
    assert means[1] == pytest.approx(means[0], abs=0.01)


def test_fewer_row_groups_than_workers_and_row_groups_without_rows_do_not_hang(cluster, params, rows, tmp_path):
    some = write_parts(tmp_path, rows.assign(fold=np.where(np.arange(len(rows)) < 9000, 0, -1)), FEATURES, "broken")
    model = _fit(cluster, some, params, cluster_minutes=1)
    assert model.booster_.num_trees() == 60


def test_a_candidate_is_trained_on_the_cluster_if_the_setting_says_so(cluster, parts, params, tmp_path, monkeypatch):
    quick = params.override(trials=1)
    always = quick.model_copy(update={"training": _settings(quick, search_rows=20_000, cluster="always")})
    with pytest.raises(ConfigError, match=r"cluster: always in params\.yaml needs PDM_ENGINE=dask and DASK_SCHEDULER"):
        train_candidate_from_parts("lightgbm", parts, always, tmp_path)
    monkeypatch.setenv("PDM_ENGINE", "dask")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.address)
    on_cluster, _ = train_candidate_from_parts("lightgbm", parts, always, tmp_path)
    here, _ = train_candidate_from_parts(
        "lightgbm", parts, quick.model_copy(update={"training": _settings(quick, search_rows=20_000)}), tmp_path
    )
    assert on_cluster.hyperparameters == here.hyperparameters
    assert on_cluster.estimator.booster_.model_to_string() != here.estimator.booster_.model_to_string()
    assert on_cluster.threshold == pytest.approx(here.threshold, rel=0.2)


def test_an_error_of_the_rows_is_raised_as_it_is(cluster, parts, params, tmp_path):
    groups = row_groups(parts)
    pd.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises((DataError, EngineError), match="LightGBM failed on the Dask cluster at tcp://"):
        fit_lightgbm_on_cluster(cluster.address, groups, ("absent",), "broken", HYPERPARAMETERS, params.training)


def test_a_worker_that_dies_is_one_clear_error(parts, params, tmp_path):
    with dask_cluster(tmp_path, workers=2) as cluster:
        _once_fitting(cluster, lambda: os.kill(cluster.worker_process(0), signal.SIGKILL))
        with pytest.raises(EngineError, match=r"the Dask worker at tcp://.* ended while LightGBM was fitted"):
            _fit(cluster, parts, params, HYPERPARAMETERS | {"n_estimators": 20_000}, cluster_minutes=5)
        assert _fit(cluster, parts, params).booster_.num_trees() == 60  # the nannies restarted the workers


def test_a_scheduler_that_ends_is_not_taken_for_a_worker_without_memory(parts, params, tmp_path):
    with dask_cluster(tmp_path, workers=2) as cluster:
        _once_fitting(cluster, cluster.scheduler.kill)
        with pytest.raises(EngineError, match=r"the Dask cluster .* is lost .*: run the command again"):
            _fit(cluster, parts, params, HYPERPARAMETERS | {"n_estimators": 20_000})


def test_a_worker_that_hangs_ends_the_fit_at_its_deadline(parts, params, tmp_path):
    with dask_cluster(tmp_path, workers=2) as cluster:
        _once_fitting(cluster, lambda: os.kill(cluster.worker_process(0), signal.SIGSTOP))
        with pytest.raises(EngineError, match=r"not fitted in 0\.2 minutes by the Dask cluster .*cluster_minutes"):
            _fit(cluster, parts, params, HYPERPARAMETERS | {"n_estimators": 20_000}, cluster_minutes=0.2)
