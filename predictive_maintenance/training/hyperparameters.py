"""Names and values of hyperparameters, judged before a run by the libraries themselves, on a few made-up rows."""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..config.params import Algorithm, CandidateSettings, Params, Range, Scalar, SearchSpace
from ..config.setting_errors import neighbours
from ..errors import ConfigError
from ..machine.features import feature_names
from .estimators import build, failure_probabilities

_ROWS = 48
_TREES = 2
_SET_BY_THE_SYSTEM = {
    "set by training.seed": ("random_state", "seed", "random_seed"),
    "set by training.threads": ("n_jobs", "num_threads", "num_thread", "nthread", "nthreads"),
    "set by the system, so that the same data give the same model": (
        *("deterministic", "force_row_wise", "force_col_wise", "verbose", "verbosity"),
    ),
    "set by the system: a reading fails or does not": ("objective", "objective_type", "application", "app", "loss"),
    "another name of n_estimators: write that": (
        *("num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds", "nrounds"),
        *("num_boost_round", "max_iter"),
    ),
}


def check_hyperparameters(params: Params) -> None:
    """Raises ConfigError that names every hyperparameter in `params` that is unknown or has a value that is refused."""
    import lightgbm

    features = len(feature_names(params.features.published_limit_margins))
    problems = [
        problem
        for algorithm, candidate in params.candidates.items()
        for problem in _problems(algorithm, candidate, features)
    ]
    lightgbm.register_logger(logging.getLogger("lightgbm"))  # to its own there is no way back
    if problems:
        raise ConfigError("\n".join(problems))


@dataclass(frozen=True)
class _Setting:
    """One hyperparameter of a candidate, with the values that show whether all that may be drawn is accepted."""

    key: str
    name: str
    values: tuple[Scalar, ...]


def _problems(algorithm: Algorithm, candidate: CandidateSettings, features: int) -> Iterator[str]:
    settings = []
    for setting in _settings(algorithm, candidate):
        if refusal := _own_refusal(setting):
            yield f"{setting.key}: {refusal}"
        else:
            settings.append(setting)
    accepted: dict[str, Scalar] = {setting.name: setting.values[0] for setting in settings}
    if _refusal(algorithm, accepted, features):
        # Only now one after the other, to find which: settings may need each other.
        accepted = {}
        for setting in settings:
            if refusal := _refusal(algorithm, accepted | {setting.name: setting.values[0]}, features):
                yield f"{setting.key}: {refusal}"
            else:
                accepted[setting.name] = setting.values[0]
    for setting in settings:
        for value in setting.values[1:] if setting.name in accepted else ():
            if refusal := _refusal(algorithm, accepted | {setting.name: value}, features):
                yield f"{setting.key}: {value!r}: {refusal}"


def _settings(algorithm: Algorithm, candidate: CandidateSettings) -> Iterator[_Setting]:
    for name, value in candidate.fixed.items():
        yield _Setting(f"candidates.{algorithm}.fixed.{name}", name, (value,))
    for name, space in candidate.search.items():
        yield _Setting(f"candidates.{algorithm}.search.{name}", name, _ends(space))


def _ends(space: SearchSpace) -> tuple[Scalar, ...]:
    if not isinstance(space, Range):
        return space
    if isinstance(space.low, int) and isinstance(space.high, int):
        return space.low, space.high
    return float(space.low), float(space.high)


def _own_refusal(setting: _Setting) -> str:
    for reason, names in _SET_BY_THE_SYSTEM.items():
        if setting.name in names:
            return reason
    if setting.name == "n_estimators":  # LightGBM takes any number, and the made-up rows get fewer trees
        for value in setting.values:
            if type(value) is not int or value < 1:
                return f"must be a whole number above 0, not {value!r}"
    return ""


@dataclass
class _Log:
    """LightGBM drops an unknown name or one of two that mean the same, and tells only its log."""

    lines: list[str] = field(default_factory=list)

    def info(self, line: str) -> None:
        self.lines.append(line)

    warning = info


def _refusal(algorithm: Algorithm, hyperparameters: Mapping[str, Scalar], features: int) -> str:
    """What the library says against `hyperparameters`; '' when it takes them."""
    import lightgbm

    log = _Log()
    lightgbm.register_logger(log)
    matrix = np.random.default_rng(0).random((_ROWS, features), dtype=np.float32)
    known = build(algorithm, {}, seed=0, threads=1).get_params()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about rows that are made up
            estimator = build(algorithm, _for_a_few_rows(hyperparameters), seed=0, threads=1)
            if algorithm == "lightgbm":
                estimator.set_params(verbose=0)
            failure_probabilities(estimator.fit(matrix, np.arange(_ROWS) % 2), matrix)
    except (TypeError, ValueError, OverflowError, lightgbm.basic.LightGBMError) as error:
        log.info(str(error).partition(" at /")[0])
        return _told(log, hyperparameters, list(known)) or log.lines[-1].splitlines()[0]
    return _told(log, hyperparameters, list(known))


def _for_a_few_rows(hyperparameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The same with fewer trees, and no more rows to draw than there are."""
    most = {"n_estimators": _TREES, "max_samples": _ROWS}
    return {
        name: min(value, most[name]) if name in most and isinstance(value, int) else value
        for name, value in hyperparameters.items()
    }


def _told(log: _Log, hyperparameters: Mapping[str, Scalar], known: list[str]) -> str:
    text = "\n".join(log.lines)
    if unknown := re.search(r"(?:Unknown parameter: |unexpected keyword argument ')(\w+)", text):
        return f"is not a hyperparameter{neighbours(unknown[1], known)}"
    for kept, dropped in re.findall(r"(\w+) is set=.*, (\w+)=.* will be ignored", text):
        if dropped in hyperparameters:
            return f"{kept} and {dropped} mean the same: keep one"
    return ""
