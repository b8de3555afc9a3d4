"""Check the names and values of hyperparameters before a run starts, by the rules of the libraries themselves."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..config.params import Algorithm, CandidateSettings, Params, Range, Scalar, SearchSpace
from ..errors import ConfigError
from ..strict_model import suggestion
from .estimators import build_estimator, failure_probabilities

_ROWS = 48
_TREES = 2
_REPRODUCIBLE = "set by the system, so that the same data give the same model"
_RESERVED = {
    "seed": "set by training.seed",
    "num_threads": "set by training.threads",
    "num_iterations": "an alias of n_estimators: use that name",
    "objective": "set by the system: the model is a binary classifier",
    **dict.fromkeys(("deterministic", "force_row_wise", "force_col_wise", "verbosity"), _REPRODUCIBLE),
}
"""Reason why a hyperparameter cannot be set, by LightGBM's main name of it."""


def check_hyperparameters(params: Params) -> None:
    """Raise ConfigError that names every hyperparameter in `params` with an unknown name or a value out of range."""
    features = len(params.machine.feature_names)
    problems = [
        problem
        for algorithm, candidate in params.candidates.items()
        for problem in _problems(algorithm, candidate, features)
    ]
    if problems:
        raise ConfigError("\n".join(problems))


@dataclass(frozen=True)
class _Setting:
    """One hyperparameter of a candidate. `values` are those to check: all choices, or both ends of a range."""

    key: str
    name: str
    values: tuple[Scalar, ...]


def _problems(algorithm: Algorithm, candidate: CandidateSettings, features: int) -> Iterator[str]:
    settings: list[_Setting] = []
    for setting in _settings(algorithm, candidate):
        if problem := _name_problem(algorithm, setting, settings) or _tree_count_problem(setting):
            yield f"{setting.key}: {problem}"
        else:
            settings.append(setting)
    accepted: dict[str, Scalar] = {setting.name: setting.values[0] for setting in settings}
    if _fit_problem(algorithm, accepted, features):
        # Add one after the other to find the wrong one. Not each alone: one setting may require another.
        accepted = {}
        for setting in settings:
            if problem := _fit_problem(algorithm, accepted | {setting.name: setting.values[0]}, features):
                yield f"{setting.key}: {problem}"
            else:
                accepted[setting.name] = setting.values[0]
    for setting in settings:
        for value in setting.values[1:] if setting.name in accepted else ():
            if problem := _fit_problem(algorithm, accepted | {setting.name: value}, features):
                yield f"{setting.key}: {value!r}: {problem}"


def _settings(algorithm: Algorithm, candidate: CandidateSettings) -> Iterator[_Setting]:
    for name, value in candidate.fixed.items():
        yield _Setting(f"candidates.{algorithm}.fixed.{name}", name, (value,))
    for name, space in candidate.search.items():
        yield _Setting(f"candidates.{algorithm}.search.{name}", name, _values_to_check(space))


def _values_to_check(space: SearchSpace) -> tuple[Scalar, ...]:
    if not isinstance(space, Range):
        return space
    if isinstance(space.low, int) and isinstance(space.high, int):
        return space.low, space.high
    return float(space.low), float(space.high)


def _name_problem(algorithm: Algorithm, setting: _Setting, earlier: Iterable[_Setting]) -> str:
    """The reason if the setting's name is reserved, unknown, or means the same as an `earlier` one; '' otherwise."""
    main_name = _main_name(setting.name)
    if setting.name != "n_estimators" and main_name in _RESERVED:
        return _RESERVED[main_name]
    names = build_estimator(algorithm, {}, seed=0, threads=1).get_params()
    if setting.name not in names and (algorithm != "lightgbm" or setting.name not in _lightgbm_aliases()):
        return f"is not a hyperparameter{suggestion(setting.name, names)}"
    for other in earlier:
        if _main_name(other.name) == main_name:
            return f"{other.name} and {setting.name} mean the same: keep one"
    return ""


def _tree_count_problem(setting: _Setting) -> str:
    """LightGBM accepts any number of trees, and `_fit_problem` fits fewer."""
    wrong = [value for value in setting.values if type(value) is not int or value < 1]
    return f"must be a whole number above 0, not {wrong[0]!r}" if setting.name == "n_estimators" and wrong else ""


@cache
def _lightgbm_aliases() -> dict[str, str]:
    """LightGBM's main name of each of its parameters and aliases."""
    from lightgbm.basic import _ConfigAliases  # private, but the only access to the table; LightGBM only logs bad names

    table = _ConfigAliases._get_all_param_aliases()
    return {alias: main_name for main_name, aliases in table.items() for alias in aliases}


def _main_name(name: str) -> str:
    """Random forests share LightGBM's names where both have the parameter."""
    return _lightgbm_aliases().get(name, name)


def _fit_problem(algorithm: Algorithm, hyperparameters: Mapping[str, Scalar], features: int) -> str:
    """The library's error when it fits a few random rows with `hyperparameters`; '' if it raises none."""
    from lightgbm.basic import LightGBMError

    matrix = np.random.default_rng(0).random((_ROWS, features), dtype=np.float32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about the random rows
            estimator = build_estimator(algorithm, _for_few_rows(hyperparameters), seed=0, threads=1)
            failure_probabilities(estimator.fit(matrix, np.arange(_ROWS) % 2), matrix)
    except (TypeError, ValueError, OverflowError, LightGBMError) as error:
        return str(error).partition(" at /")[0].partition("\n")[0]  # LightGBM adds a line of its source code
    return ""


def _for_few_rows(hyperparameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Limit the number of trees, for speed, and the sample size to the number of rows."""
    most = {"n_estimators": _TREES, "max_samples": _ROWS}
    return {
        name: min(value, most[name]) if name in most and isinstance(value, int) else value
        for name, value in hyperparameters.items()
    }
