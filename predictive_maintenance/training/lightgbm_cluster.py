"""Fit LightGBM on a Dask cluster with lightgbm.dask, for rows that do not fit into one machine.

lightgbm.dask waits without end for a worker that ended or has no rows (LightGBM issue 4942). So each worker that takes part has
rows here, and a fit that loses a worker or exceeds its time ends with an EngineError. Workers connect to each other on ports that
they choose (issue 3753).
"""

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.delayed import delayed
from distributed import Client

from ..config.params import Scalar, TrainingSettings
from ..engine.dask_engine import open_cluster, worker_addresses
from ..errors import EngineError, PredictiveMaintenanceError
from .estimators import Estimator, Matrix
from .lightgbm_parts import fitted_to_two_rows, parameters, with_booster
from .row_parts import RowGroup

_POLL_SECONDS = 1.0
_RESTART_SECONDS = 30.0


def fit_lightgbm_on_cluster(
    address: str,
    row_groups: Sequence[RowGroup],
    features: Sequence[str],
    label: str,
    hyperparameters: Mapping[str, Scalar],
    settings: TrainingSettings,
) -> Estimator:
    """Fit an LGBMClassifier to the chosen rows of `row_groups` on the workers of the Dask scheduler at `address`.

    The workers need access to the files, and memory for the rows as float32, twice. The trees differ from those of one process,
    because each worker makes bins from its own rows. Raises EngineError if the cluster or one of its workers is lost, or if the
    fit takes longer than `settings.cluster_minutes`. Workers are then restarted by their nanny, because LightGBM cannot be
    interrupted.
    """
    used = [group for group in row_groups if group.rows]
    rows = sum(group.rows for group in used)
    estimator = fitted_to_two_rows(hyperparameters, len(features), settings.seed, settings.threads)
    given = {name: value for name, value in parameters(estimator, rows * len(features)).items() if name != "n_jobs"}
    given["n_estimators"] = estimator.get_params()["n_estimators"]
    with open_cluster(address) as engine:
        workers = _assigned(used, worker_addresses(engine.client, engine.where))
        fit = _Fit(
            engine.client, given, _Data(used, workers, tuple(features), label, estimator.get_params()["class_weight"])
        )
        try:
            fit.wait(frozenset(workers), settings.cluster_minutes, engine.where)
        except EngineError:
            _restart(engine.client, engine.where, frozenset(workers))
            raise
    return with_booster(estimator, fit.booster)


class _Data:
    """The rows as Dask arrays: a chunk for each row group, read by the worker at the same place in `workers`."""

    def __init__(
        self,
        groups: Sequence[RowGroup],
        workers: Sequence[str],
        features: tuple[str, ...],
        label: str,
        class_weight: Any,
    ) -> None:
        self._chunks = list(zip(groups, workers, strict=True))
        self._features, self._label, self._class_weight = features, label, class_weight

    def arrays(self, client: Client) -> tuple[Any, Any, Any]:
        """Features (n, F), labels (n,) and weights (n,) or None."""
        features, labels = [], []
        for group, worker in self._chunks:
            placed = {"workers": [worker], "allow_other_workers": False, "pure": False}
            matrix = client.submit(_read_features, group, self._features, **placed)
            column = client.submit(_read_labels, group, self._label, **placed)
            features.append(da.from_delayed(delayed(matrix), (group.rows, len(self._features)), np.float32))
            labels.append(da.from_delayed(delayed(column), (group.rows,), np.int64))
        label = da.concatenate(labels)
        return da.concatenate(features), label, self._weights(label)

    def _weights(self, label: Any) -> Any:
        from sklearn.utils.class_weight import compute_class_weight

        if self._class_weight is None:
            return None
        labels = np.concatenate([group.integers(self._label) for group, _ in self._chunks])
        healthy, failed = compute_class_weight(self._class_weight, classes=np.array([0, 1]), y=labels)
        return da.where(label == 1, failed, healthy)


class _Fit:
    """A fit in a thread, which can be given up. `booster` is the result."""

    def __init__(self, client: Client, settings: Mapping[str, Any], data: _Data) -> None:
        self._client, self._settings, self._data = client, settings, data
        self._error: Exception | None = None
        self.booster: Any = None

    def wait(self, workers: frozenset[str], minutes: float, where: str) -> None:
        """Fit. Raises EngineError if one of `workers` or the scheduler is lost, or after so many minutes."""
        thread, end = Thread(target=self._run, daemon=True), time.monotonic() + 60 * minutes
        thread.start()
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            if thread.is_alive():
                self._check_workers(workers, where)
            if thread.is_alive() and time.monotonic() > end:
                raise EngineError(
                    f"LightGBM was not fitted in {minutes:g} minutes by the Dask cluster {where}: use more workers, or raise "
                    "training.cluster_minutes in params.yaml; the workers must reach each other on any TCP port"
                )
        if isinstance(self._error, PredictiveMaintenanceError):
            raise self._error
        if self._error is not None:
            self._check_workers(workers, where)
            raise EngineError(
                f"LightGBM failed on the Dask cluster {where}: {type(self._error).__name__} {self._error}; the workers must have "
                "its version and this package, read the files of the rows, and reach each other on any TCP port"
            )

    def _run(self) -> None:
        # A regressor of the binary objective, because a classifier takes the labels of a worker that has one label for all zeros.
        from lightgbm.dask import DaskLGBMRegressor

        try:
            with self._client.as_current(), warnings.catch_warnings():
                # It says so of a parameter that every LightGBM estimator has.
                warnings.filterwarnings("ignore", message="Parameter n_jobs will be ignored")
                features, label, weight = self._data.arrays(self._client)
                model = DaskLGBMRegressor(**self._settings, client=self._client)
                self.booster = model.fit(features, label, sample_weight=weight).to_local().booster_
        except Exception as error:  # noqa: BLE001  raised in the thread that waits
            self._error = error

    def _check_workers(self, workers: frozenset[str], where: str) -> None:
        """Raise EngineError if one of `workers` or the scheduler is lost."""
        if lost := sorted(workers - worker_addresses(self._client, where)):
            raise EngineError(
                f"the Dask worker at {lost[0]} ended while LightGBM was fitted: most likely it needs more memory; use workers "
                "with more memory, or more of them, and run the command again",
                transient=True,
            )


def _restart(client: Client, where: str, workers: frozenset[str]) -> None:
    """Restart those of `workers` that are left, in which LightGBM waits for the others."""
    # The cluster may be lost; a worker may end meanwhile, or have no nanny.
    with suppress(EngineError, OSError, TimeoutError, KeyError, ValueError):
        left = list(workers & worker_addresses(client, where))
        client.restart_workers(left, timeout=_RESTART_SECONDS, raise_for_error=False)


def _assigned(groups: Sequence[RowGroup], workers: frozenset[str]) -> list[str]:
    """The worker of each row group: the one that has the fewest rows so far."""
    rows = dict.fromkeys(sorted(workers), 0)
    chosen = []
    for group in groups:
        worker = min(rows, key=lambda name: rows[name])
        rows[worker] += group.rows
        chosen.append(worker)
    return chosen


def _read_features(group: RowGroup, names: tuple[str, ...]) -> Matrix:
    return group.features(names)


def _read_labels(group: RowGroup, name: str) -> npt.NDArray[np.int64]:
    return group.integers(name)
