"""Models of the settings in params.yaml, one for each section."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from ..errors import ConfigError
from ..machine.alarm import Alarm
from ..machine.machine import Machine
from ..machine.milling import MILLING
from ..machine.names import ModelName
from ..machine.spans import SpanText, parse_lead
from ..strict_model import StrictModel
from .machine_settings import DescribedMachine, configured_machine
from .model_validation import validated
from .sources import DataSettings, parse_sources

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class ColumnSettings(StrictModel):
    """Additional headers, and ranges instead of those of the description, by canonical name."""

    aliases: Mapping[str, tuple[str, ...]] = {}
    limits: Mapping[str, tuple[float, float]] = {}

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        for name, (low, high) in self.limits.items():
            if not low < high:
                raise ValueError(f"limits.{name}: {low} is not below {high}")
        return self


class CleaningSettings(StrictModel):
    max_quarantined_share: Annotated[float, Field(ge=0, le=1)]


class FeatureSettings(StrictModel):
    published_limit_margins: bool = False


class SplitSettings(StrictModel):
    test_share: Share
    forward_share: Share
    folds: Annotated[int, Field(ge=2, le=20)]
    salt: str
    by: Literal["auto", "group", "time"] = "auto"
    max_train_rows: Annotated[int | None, Field(ge=1000)] = None


class TrainingSettings(StrictModel):
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    threads: Annotated[int, Field(ge=1)]
    calibration: Literal["auto", "sigmoid", "none"]
    search_rows: Annotated[int | None, Field(ge=1000)] = 1_000_000
    forest_rows: Annotated[int | None, Field(ge=1000)] = None
    cluster: Literal["auto", "always", "never"] = "auto"
    cluster_minutes: Positive = 120.0


class ThresholdSettings(StrictModel):
    optimise: Literal["f1", "f_beta", "expected_cost"]
    beta: Positive
    at_most_false_alarms: Annotated[float | None, Field(ge=0)] = None


class CostSettings(StrictModel):
    currency: str
    missed_failure: Positive
    false_alarm: Positive


class Range(StrictModel):
    """An interval to search: of integers if both ends are integers, otherwise of floats."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log: true requires low above 0, not {self.low}")
        return self


Scalar = bool | int | float | str


def _space_kind(value: Any) -> str:
    return "[choice]" if isinstance(value, list | tuple) else "[range]"


SearchSpace = Annotated[
    Annotated[Range, Tag("[range]")] | Annotated[tuple[Scalar, ...], Field(min_length=1), Tag("[choice]")],
    Discriminator(_space_kind),
]
"""An interval, or a list of values to choose from."""


class CandidateSettings(StrictModel):
    trials: Annotated[int, Field(ge=1)]
    fixed: Mapping[str, Scalar]
    search: Mapping[str, SearchSpace]

    @model_validator(mode="after")
    def _fixed_or_searched(self) -> Self:
        if both := set(self.fixed) & set(self.search):
            raise ValueError(f"{sorted(both)[0]!r} is both fixed and searched")
        return self


class EvaluationSettings(StrictModel):
    bootstrap_samples: Annotated[int, Field(ge=100)]
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    min_assessable_failures: Annotated[int, Field(ge=1)]
    min_lead: SpanText = "0"
    alarm_policies: tuple[Alarm, ...] = ()
    sample_rows: Annotated[int, Field(ge=1000)] = 1_000_000


class GateSettings(StrictModel):
    min_recall: Annotated[float, Field(ge=0, le=1)]
    min_f1: Annotated[float, Field(ge=0, le=1)]
    min_mcc: Annotated[float, Field(ge=-1, le=1)] = 0.1
    min_f1_gain: Annotated[float, Field(ge=-1, le=1)] = 0.02
    max_f1_loss: Annotated[float, Field(ge=0, le=1)]
    max_mode_recall_loss: Annotated[float, Field(ge=0, le=1)]
    max_probability_difference: Positive
    min_failures_caught: Annotated[float, Field(ge=0, le=1)] = 0.5
    max_false_alarm_rate: Annotated[float | None, Field(ge=0)] = None


class MonitoringSettings(StrictModel):
    """Windows of production, and how much of a difference counts, in `least` of the last `windows` windows.

    The label of a prediction is due `label_days` after it, or after the end of its horizon. The performance in a window is that
    of the predictions whose labels are due in it and in the windows before, `performance_windows` together.
    A machine is silent after `silent_hours` without a reading, and no longer part of the fleet after `retired_days`.
    `failures_are_reported` says that every failure is sent to the service, so that a machine without one is healthy.
    A training that monitoring has started is stopped after `retrain_max_hours`.
    """

    window_days: Positive = 7.0
    windows: Annotated[int, Field(ge=1, le=100)] = 5
    least: Annotated[int, Field(ge=1)] = 3
    min_rows: Annotated[int, Field(ge=50)] = 200
    max_psi: Positive = 0.2
    max_missing: Share = 0.05
    max_alarm_ratio: Annotated[float, Field(gt=1)] = 2.0
    max_rejected: Share = 0.05
    max_performance_loss: Share = 0.05
    performance_windows: Annotated[int, Field(ge=1, le=100)] = 4
    label_days: Annotated[float, Field(ge=0)] = 0.0
    min_labelled: Share = 0.9
    failures_are_reported: bool = False
    silent_hours: Positive = 24.0
    retired_days: Positive = 90.0
    retrain: Literal["never", "here", "batch", "repository_dispatch"] = "never"
    retrain_promote: bool = True
    retrain_max_hours: Annotated[float, Field(gt=0, le=24 * 365)] = 24.0
    cool_down_days: Annotated[float, Field(ge=0)] = 7.0
    retrain_every_days: Annotated[int | None, Field(ge=1)] = None
    retrain_at: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "00:00"

    @model_validator(mode="after")
    def _enough_windows(self) -> Self:
        if self.least > self.windows:
            raise ValueError(f"least is {self.least}, and there are only {self.windows} windows")
        return self

    @model_validator(mode="after")
    def _silent_before_retired(self) -> Self:
        if self.silent_hours >= 24 * self.retired_days:
            raise ValueError(
                f"silent_hours is {self.silent_hours:g}, and retired_days {self.retired_days:g}: no machine would be silent; "
                "write fewer hours"
            )
        return self

    @model_validator(mode="after")
    def _schedule_can_train(self) -> Self:
        if self.retrain_every_days is not None and self.retrain == "never":
            raise ValueError(
                f"retrain_every_days is {self.retrain_every_days}, and retrain is never: write here, batch or repository_dispatch"
            )
        return self


class ShadowSettings(StrictModel):
    """When a candidate is promoted automatically: after `days_of_agreement` days with production's decisions; None: never.

    Days with fewer than `min_daily_predictions` compared predictions neither count nor break the series.
    """

    days_of_agreement: Annotated[int | None, Field(ge=1, le=365)] = None
    min_agreement: Annotated[float, Field(gt=0.5, le=1)] = 0.98
    min_predictions: Annotated[int, Field(ge=100)] = 1000
    min_daily_predictions: Annotated[int, Field(ge=1)] = 100


def _not_blank(name: str) -> str:
    if not name.strip():
        raise ValueError("is blank")
    return name


def _alias(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name):
        raise ValueError(f"{name!r}: an alias may contain only letters, digits, _ and -")
    if name.lower() == "latest" or re.fullmatch(r"[vV]\d+", name):
        raise ValueError(f"{name!r} is reserved for versions: choose another alias")
    return name


class RegistrySettings(StrictModel):
    """Names in the registry. `experiment` and `model_name` are by default the `model_name` of the description."""

    experiment: Annotated[str, AfterValidator(_not_blank)] = ""
    model_name: ModelName = ""
    candidate_alias: Annotated[str, AfterValidator(_alias)]
    production_alias: Annotated[str, AfterValidator(_alias)]
    abandoned_run_hours: Annotated[float, Field(gt=0)] = 72.0

    @model_validator(mode="after")
    def _aliases_differ(self) -> Self:
        if self.candidate_alias == self.production_alias:
            raise ValueError(f"candidate_alias and production_alias are both {self.candidate_alias!r}")
        return self


Algorithm = Literal["random_forest", "lightgbm"]


class Params(StrictModel):
    """All settings in params.yaml.

    `machine` is the described machine with the settings of `columns` and `features` applied: the one that is trained.
    """

    machine: DescribedMachine = MILLING
    data: DataSettings
    columns: ColumnSettings = ColumnSettings()
    cleaning: CleaningSettings
    features: FeatureSettings = FeatureSettings()
    split: SplitSettings
    training: TrainingSettings
    threshold: ThresholdSettings
    costs: CostSettings
    candidates: Annotated[Mapping[Algorithm, CandidateSettings], Field(min_length=1)]
    evaluation: EvaluationSettings
    gate: GateSettings
    monitoring: MonitoringSettings = MonitoringSettings()
    shadow: ShadowSettings = ShadowSettings()
    registry: RegistrySettings

    def override(
        self,
        sources: str | None = None,
        trials: int | None = None,
        seed: int | None = None,
        machine: Mapping[str, Any] | None = None,
        machine_params: Mapping[str, Any] | None = None,
    ) -> "Params":
        """A copy with other sources (in the format of parse_sources), trials, seed or machine (as JSON values).

        `machine_params` are the machine's own settings, in the structure of params.yaml.
        """
        raw = self.model_dump(mode="json")
        if machine:
            raw = merged(self._with_machine(raw, machine), machine_params or {})
        if sources:
            raw["data"]["sources"] = [source.model_dump(mode="json") for source in parse_sources(sources)]
        if trials is not None:
            raw["candidates"] = {name: candidate | {"trials": trials} for name, candidate in raw["candidates"].items()}
        if seed is not None:
            raw["training"]["seed"] = seed
        return parse_params(
            raw, "command-line options, or the machine's params.yaml" if machine_params else "command-line options"
        )

    def _with_machine(self, raw: dict[str, Any], machine: Mapping[str, Any]) -> dict[str, Any]:
        """`raw` with another machine. Settings that belong to a kind of machine are kept for another description of it."""
        described = self.machine.description
        if machine["description"]["name"] != described.name:
            return for_machine(raw, machine)
        derived = (("experiment", described.model_name), ("model_name", described.model_name))
        registry = {name: value for name, value in raw["registry"].items() if (name, value) not in derived}
        return raw | {"machine": machine, "registry": registry}

    def with_copies(self, copies: Mapping[str, Any]) -> "Params":
        """A copy with remote copies for some sources, by URI."""
        raw = self.model_dump(mode="json")
        for source in raw["data"]["sources"]:
            source["copies"] = copies.get(source["uri"], [])
        return parse_params(raw, "copies of local sources")


def merged(settings: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` with those of `others` in their place, section by section. A list is replaced as a whole."""
    result = dict(settings)
    for name, value in others.items():
        own = result.get(name)
        result[name] = merged(own, value) if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return result


def for_machine(raw: Mapping[str, Any], machine: Mapping[str, Any]) -> dict[str, Any]:
    """Plain settings with another machine (as JSON values), without the settings that belong to the former one."""
    registry = raw.get("registry", {})
    if isinstance(registry, Mapping):
        registry = {name: value for name, value in registry.items() if name not in ("experiment", "model_name")}
    kept = {name: value for name, value in raw.items() if name not in ("columns", "features")}
    return kept | {"machine": machine, "registry": registry}


def parse_params(raw: Any, origin: str) -> Params:
    """Validate `raw`. Raises ConfigError that names `origin`, every invalid key and the closest valid ones."""
    given = validated(Params, raw, origin)
    machine = configured_machine(
        given.machine,
        ranges=given.columns.limits,
        headers=given.columns.aliases,
        published_limit_margins=given.features.published_limit_margins,
        origin=origin,
    )
    _check_min_lead(given.evaluation.min_lead, machine, origin)
    if given.threshold.at_most_false_alarms is not None and machine.horizon and machine.description.group != "machine":
        raise ConfigError(f"{origin}: threshold.at_most_false_alarms needs group: machine in the machine's description")
    model_name = given.registry.model_name or machine.description.model_name
    names = {"model_name": model_name, "experiment": given.registry.experiment or model_name}
    return given.model_copy(update={"machine": machine, "registry": given.registry.model_copy(update=names)})


def _check_min_lead(min_lead: str, machine: Machine, origin: str) -> None:
    """Raise ConfigError if `min_lead` is not a span of the machine's time, or not shorter than the horizon of its label."""
    time = machine.description.time
    if machine.horizon is None or time is None:
        return
    try:
        span = parse_lead(min_lead, time)
    except ValueError as error:
        raise ConfigError(f"{origin}: evaluation.min_lead: {error}, or 0") from None
    if span.length >= machine.horizon.length:
        raise ConfigError(
            f"{origin}: evaluation.min_lead: {span.text} is not shorter than the label's horizon of {machine.horizon.text}"
        )
