"""params.yaml as frozen, strict models. Unknown keys, wrong types and values that contradict each other are errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from .errors import ConfigError
from .sensors import COLUMNS, SENSOR_NAMES

PROJECT_DIR = Path(__file__).resolve().parents[1]
PARAMS_FILE = PROJECT_DIR / "params.yaml"

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Source(_Strict):
    """One place that rows come from, and how they meet the rows of the others."""

    uri: Annotated[str, Field(min_length=1)]
    merge: Literal["append", "join"] = "append"

    @classmethod
    def parse(cls, text: str) -> Source:
        """`join:URI` joins by reading id; a plain URI appends."""
        text = text.strip()
        return cls(uri=text[5:], merge="join") if text.startswith("join:") else cls(uri=text)


def _source(value: Any) -> Any:
    return Source.parse(value) if isinstance(value, str) and value else value


class Data(_Strict):
    sources: tuple[Annotated[Source, BeforeValidator(_source)], ...]

    @model_validator(mode="after")
    def _first_source_appends(self) -> Data:
        if not self.sources:
            raise ValueError("sources: at least one is needed")
        if self.sources[0].merge != "append":
            raise ValueError("the first source must be 'append': there is nothing yet to join to")
        return self


class Columns(_Strict):
    aliases: Mapping[str, tuple[str, ...]]
    limits: Mapping[str, tuple[float, float]]

    @model_validator(mode="after")
    def _names_are_known(self) -> Columns:
        known = [column.name for column in COLUMNS]
        for name in self.aliases:
            if name not in known:
                raise ValueError(f"aliases: {name!r} is not a column{_neighbours(name, known)}")
        for name in set(self.limits) ^ set(SENSOR_NAMES):
            raise ValueError(
                f"limits: {name!r} is {'unknown' if name in self.limits else 'missing'}: one entry a sensor"
            )
        for name, (low, high) in self.limits.items():
            if not low < high:
                raise ValueError(f"limits.{name}: {low} is not below {high}")
        return self


class Cleaning(_Strict):
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)]


class Features(_Strict):
    published_limit_margins: bool


class Split(_Strict):
    test_share: Share
    forward_share: Share
    folds: Annotated[int, Field(ge=2, le=20)]
    salt: str


class Training(_Strict):
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    threads: Annotated[int, Field(ge=1)]
    calibration: Literal["auto", "sigmoid", "none"]


class Threshold(_Strict):
    optimise: Literal["f1", "f_beta", "expected_cost"]
    beta: Positive


class Costs(_Strict):
    currency: str
    missed_failure: Positive
    false_alarm: Positive


class Range(_Strict):
    """An interval that a search draws from: whole numbers when both ends are."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log: true needs low above 0, not {self.low}")
        return self


Scalar = bool | int | float | str


def _space_kind(value: Any) -> str:
    return "choice" if isinstance(value, list | tuple) else "range"


SearchSpace = Annotated[
    Annotated[Range, Tag("range")] | Annotated[tuple[Scalar, ...], Tag("choice")], Discriminator(_space_kind)
]
"""An interval to draw from, or a list of values to choose among."""


class Candidate(_Strict):
    trials: Annotated[int, Field(ge=1)]
    fixed: Mapping[str, Scalar]
    search: Mapping[str, SearchSpace]

    @model_validator(mode="after")
    def _fixed_or_searched(self) -> Candidate:
        if both := set(self.fixed) & set(self.search):
            raise ValueError(f"{sorted(both)[0]!r} is both fixed and searched")
        return self


class Evaluation(_Strict):
    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    min_assessable_failures: Annotated[int, Field(ge=1)]


class Gate(_Strict):
    min_recall: Annotated[float, Field(ge=0, le=1)]
    min_f1: Annotated[float, Field(ge=0, le=1)]
    max_f1_loss: Annotated[float, Field(ge=0, le=1)]
    max_mode_recall_loss: Annotated[float, Field(ge=0, le=1)]
    max_probability_difference: Positive


class Registry(_Strict):
    experiment: Annotated[str, Field(min_length=1)]
    model_name: Annotated[str, Field(min_length=1)]
    candidate_alias: Annotated[str, Field(min_length=1)]
    production_alias: Annotated[str, Field(min_length=1)]


Algorithm = Literal["random_forest", "lightgbm"]


class Params(_Strict):
    """The whole of params.yaml."""

    data: Data
    columns: Columns
    cleaning: Cleaning
    features: Features
    split: Split
    training: Training
    threshold: Threshold
    costs: Costs
    candidates: Annotated[Mapping[Algorithm, Candidate], Field(min_length=1)]
    evaluation: Evaluation
    gate: Gate
    registry: Registry

    def override(self, sources: str | None = None, trials: int | None = None, seed: int | None = None) -> Params:
        """The same with a run's own sources (comma-separated, `join:` before one that joins), trials or seed."""
        raw = self.model_dump(mode="json")
        if sources:
            raw["data"]["sources"] = [uri for uri in (part.strip() for part in sources.split(",")) if uri]
        if trials is not None:
            raw["candidates"] = {name: candidate | {"trials": trials} for name, candidate in raw["candidates"].items()}
        if seed is not None:
            raw["training"]["seed"] = seed
        return parse_params(raw, "the run's own settings")


def parse_params(raw: Any, origin: str) -> Params:
    """`raw` as checked parameters. Raises ConfigError that names `origin`, every wrong key, and its neighbours."""
    try:
        return Params.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise ConfigError("\n".join(f"{origin}: {_explain(detail)}" for detail in error.errors())) from None


def read_yaml(text: str, origin: str = PARAMS_FILE.name) -> dict[str, Any]:
    """The text of a params.yaml as plain values, after checking all of it. Raises ConfigError."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML: {error}") from None
    parse_params(raw, origin)
    return raw


@lru_cache
def load_params(path: Path = PARAMS_FILE) -> Params:
    """The parameters in the file `path`. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_params(read_yaml(text, str(path)), str(path))


def _explain(detail: Any) -> str:
    """One pydantic error as a sentence: the dotted key, what is wrong, the keys beside it."""
    location = [str(part) for part in detail["loc"] if part not in ("range", "choice")]
    key = ".".join(location) or "the file"
    if detail["type"] == "extra_forbidden":
        return f"{key} is not a setting{_neighbours(location[-1], _keys_beside(location))}"
    if detail["type"] == "literal_error" and location[-1] == "[key]":
        return f"candidates.{location[-2]} is not an algorithm{_neighbours(location[-2], get_args(Algorithm))}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (it is {detail['input']!r})" if detail["type"] != "value_error" else f"{key}: {message}"


def _keys_beside(location: list[str]) -> list[str]:
    """The keys that the model at `location`'s parent knows."""
    match location[:-1]:
        case ["data", "sources", _]:
            model: type[BaseModel] = Source
        case ["candidates", _]:
            model = Candidate
        case ["candidates", _, "search", _]:
            model = Range
        case [section]:
            model = cast(type[BaseModel], Params.model_fields[section].annotation)
        case _:
            model = Params
    return list(model.model_fields)


def _neighbours(name: str, known: Any) -> str:
    near = get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else "; known here: " + ", ".join(known)
