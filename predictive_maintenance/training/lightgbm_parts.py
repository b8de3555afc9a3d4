"""Fit LightGBM to rows in Parquet files. It holds one byte for each value, in place of the four or eight of a table.

The trees are bit-identical to those that the rows in one table give.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from lightgbm import Booster, Dataset, train
from lightgbm import Sequence as LightGBMSequence

from ..config.params import Scalar
from .estimators import Estimator, Matrix, build_estimator
from .row_parts import RowGroup

_BATCH_ROWS = 65_536
_MANY_VALUES = 100_000_000
"""From so many values on, LightGBM works by columns: by rows it makes a second copy, which takes less time for a small table."""
_NOT_PARAMETERS = ("n_estimators", "importance_type", "class_weight")
_DATA_SEED = re.compile(r"^\[data_random_seed: (\d+)]$", re.MULTILINE)


def fit_lightgbm(
    row_groups: Sequence[RowGroup],
    features: Sequence[str],
    label: str,
    hyperparameters: Mapping[str, Scalar],
    seed: int,
    threads: int,
) -> Estimator:
    """Fit an LGBMClassifier to the chosen rows of `row_groups`, in their order.

    It holds one row group as a float32 table beside LightGBM's data.
    """
    used = [group for group in row_groups if group.rows]
    labels = np.concatenate([group.integers(label).astype(np.int8) for group in used])
    estimator = fitted_to_two_rows(hyperparameters, len(features), seed, threads)
    settings = parameters(estimator, len(labels) * len(features))
    cache = _LastRowGroup(tuple(features))
    data = Dataset(
        [_Rows(group, cache) for group in used],
        label=labels,
        weight=_weights(estimator, labels),
        feature_name=[f"Column_{place}" for place in range(len(features))],
        params=settings,
        free_raw_data=True,
    )
    data.construct()
    cache.clear()
    booster = train(settings, data, estimator.get_params()["n_estimators"])
    booster.free_dataset()
    return with_booster(estimator, booster)


def with_booster(estimator: Estimator, booster: Booster) -> Estimator:
    """Give a fitted LGBMClassifier other trees for the same features."""
    estimator._Booster = booster  # LightGBM has no public way to make a classifier of a booster
    return estimator


def fitted_to_two_rows(hyperparameters: Mapping[str, Scalar], features: int, seed: int, threads: int) -> Estimator:
    """A classifier of `features` features and both labels. LGBMClassifier.fit itself takes tables only."""
    estimator = build_estimator("lightgbm", hyperparameters, seed, threads)
    trees = estimator.get_params()["n_estimators"]
    estimator.set_params(n_estimators=1).fit(np.zeros((2, features), dtype=np.float32), np.array([0, 1]))
    return estimator.set_params(n_estimators=trees)


def parameters(estimator: Estimator, values: int) -> dict[str, Any]:
    """The parameters that `estimator` gives to LightGBM.

    The data set takes the seed of the sample of rows that bins are made from, which LightGBM derives from `random_state`, only
    under its own name.
    """
    given = {name: value for name, value in estimator.get_params().items() if value is not None}
    derived = _DATA_SEED.search(estimator.booster_.model_to_string())
    assert derived is not None
    settings = {name: value for name, value in given.items() if name not in _NOT_PARAMETERS}
    settings |= {"objective": "binary", "data_random_seed": int(derived[1])}
    if values >= _MANY_VALUES:
        settings = {name: value for name, value in settings.items() if name != "force_row_wise"}
        settings["force_col_wise"] = True
    return settings


def _weights(estimator: Estimator, labels: npt.NDArray[np.int8]) -> npt.NDArray[np.float64] | None:
    from sklearn.utils.class_weight import compute_sample_weight

    weight = estimator.get_params()["class_weight"]
    return None if weight is None else compute_sample_weight(weight, labels)


class _LastRowGroup:
    """The features of the row group that was read last. LightGBM reads all rows in their order, twice."""

    def __init__(self, features: tuple[str, ...]) -> None:
        self._features = features
        self.clear()

    def clear(self) -> None:
        self._group: RowGroup | None = None
        self._matrix: Matrix = np.empty((0, 0), dtype=np.float32)

    def matrix(self, group: RowGroup) -> Matrix:
        if group is not self._group:
            self.clear()
            self._matrix, self._group = group.features(self._features), group
        return self._matrix


class _Rows(LightGBMSequence):
    """The chosen rows of a row group as LightGBM reads them: float64, one row or a slice of rows."""

    batch_size = _BATCH_ROWS

    def __init__(self, group: RowGroup, cache: _LastRowGroup) -> None:
        self._group, self._cache, self._rows = group, cache, group.rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: Any) -> npt.NDArray[np.float64]:
        return self._cache.matrix(self._group)[index].astype(np.float64)
