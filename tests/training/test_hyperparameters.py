"""A hyperparameter with an unknown name or a value that its library rejects is reported before a run starts."""

import time

import pytest

from predictive_maintenance.config.params import parse_params
from predictive_maintenance.errors import ConfigError
from predictive_maintenance.training.hyperparameters import check_hyperparameters


@pytest.fixture
def check(params):
    """Check one candidate with these hyperparameters."""

    def check_one(algorithm, fixed=None, search=None):
        raw = params.model_dump(mode="json")
        raw["candidates"] = {algorithm: {"trials": 1, "fixed": fixed or {}, "search": search or {}}}
        check_hyperparameters(parse_params(raw, "the test"))

    return check_one


@pytest.mark.parametrize(
    ("algorithm", "fixed", "search", "message"),
    [
        ("random_forest", {"max_dept": 3}, {}, "fixed.max_dept: is not a hyperparameter; did you mean 'max_depth'?"),
        ("lightgbm", {"num_leafs": 7}, {}, "fixed.num_leafs: is not a hyperparameter; did you mean 'num_leaves'?"),
        (
            "lightgbm",
            {},
            {"num_leafs": [7, 9]},
            "search.num_leafs: is not a hyperparameter; did you mean 'num_leaves'?",
        ),
        ("random_forest", {"max_depth": "deep"}, {}, "fixed.max_depth: The 'max_depth' parameter"),
        ("random_forest", {"max_depth": 10**30}, {}, "fixed.max_depth: Python int too large"),
        ("random_forest", {}, {"max_depth": {"low": 8, "high": 20.5}}, "search.max_depth: The 'max_depth' parameter"),
        ("random_forest", {}, {"criterion": ["gini", "ginny"]}, "search.criterion: 'ginny': The 'criterion' parameter"),
        ("lightgbm", {"learning_rate": "fast"}, {}, "fixed.learning_rate: Unknown token fast"),
        ("lightgbm", {"num_leaves": 7.5}, {}, "fixed.num_leaves: Parameter num_leaves should be of type int"),
        ("lightgbm", {}, {"subsample": {"low": 0.5, "high": 1.5}}, "search.subsample: 1.5: Check failed: "),
        ("lightgbm", {"boosting_type": "rf"}, {}, "fixed.boosting_type: Check failed: "),
        ("lightgbm", {"early_stopping_round": 5}, {}, "fixed.early_stopping_round: For early stopping"),
        ("lightgbm", {"bagging_fraction": 0.5}, {"subsample": [0.7]}, "bagging_fraction and subsample mean the same"),
        ("lightgbm", {"min_child_samples": 5}, {"min_data_in_leaf": [9]}, "min_data_in_leaf mean the same: keep one"),
        ("random_forest", {"num_leaves": 7}, {}, "fixed.num_leaves: is not a hyperparameter"),
        ("lightgbm", {"n_estimators": 0}, {}, "fixed.n_estimators: must be a whole number above 0, not 0"),
        ("random_forest", {"n_estimators": 100.0}, {}, "fixed.n_estimators: must be a whole number above 0, not 100.0"),
        ("lightgbm", {}, {"n_estimators": {"low": -5, "high": 9}}, "search.n_estimators: must be a whole number"),
        ("lightgbm", {"num_iterations": 50}, {}, "fixed.num_iterations: an alias of n_estimators: use that name"),
        ("lightgbm", {"seed": 3}, {}, "fixed.seed: set by training.seed"),
        ("random_forest", {"random_state": 3}, {}, "fixed.random_state: set by training.seed"),
        ("random_forest", {"n_jobs": 3}, {}, "fixed.n_jobs: set by training.threads"),
        ("lightgbm", {}, {"num_threads": [1, 2]}, "search.num_threads: set by training.threads"),
        ("lightgbm", {"verbose": 1}, {}, "fixed.verbose: set by the system"),
        ("lightgbm", {"objective": "regression"}, {}, "fixed.objective: set by the system"),
    ],
)
def test_a_wrong_hyperparameter_is_reported_with_its_key(check, algorithm, fixed, search, message):
    with pytest.raises(ConfigError) as error:
        check(algorithm, fixed, search)
    assert str(error.value).startswith(f"candidates.{algorithm}.")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_all_wrong_hyperparameters_are_reported_at_once(check):
    with pytest.raises(ConfigError) as error:
        check("lightgbm", {"seed": 3, "num_leafs": 7, "max_depth": "deep"}, {"reg_lambda": [0, -1]})
    keys = [line.partition(":")[0] for line in str(error.value).splitlines()]
    assert keys == [
        f"candidates.lightgbm.{key}"
        for key in ("fixed.seed", "fixed.num_leafs", "fixed.max_depth", "search.reg_lambda")
    ]


@pytest.mark.parametrize(
    ("algorithm", "fixed"),
    [
        ("random_forest", {"class_weight": "balanced", "max_samples": 5000, "max_features": "sqrt"}),
        ("lightgbm", {"boosting_type": "rf", "subsample": 0.5, "subsample_freq": 1, "class_weight": "balanced"}),
        ("lightgbm", {"min_data_in_leaf": 5000, "is_unbalance": True}),
    ],
)
def test_settings_that_are_valid_together_are_accepted(check, algorithm, fixed):
    check(algorithm, fixed)


def test_the_hyperparameters_of_params_yaml_are_accepted(params):
    check_hyperparameters(params)


def test_the_check_takes_no_longer_for_thousands_of_trees(check):
    check("lightgbm")
    start = time.perf_counter()
    check("lightgbm", {"n_estimators": 500_000})
    check("random_forest", {}, {"n_estimators": [5000, 500_000]})
    assert time.perf_counter() - start < 2
