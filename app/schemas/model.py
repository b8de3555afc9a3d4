"""The API's words about itself and the model: health, card, history, and the trainings that it came from."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Words(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class Health(_Words):
    """How the service is. `degraded` serves all the same, and says in `trouble` what is wrong."""

    status: Literal["ok", "degraded", "not ready"]
    trouble: str | None = Field(None, description="What a person should know.")
    serving_version: str | None = Field(None, examples=["3"])
    production_version: str | None = Field(None, description="What the alias named when the registry last answered.")
    serving_since: str | None = None
    restored_from_disk: bool = Field(False, description="Whether the model is one that was kept, not yet confirmed.")
    registry_answered_seconds_ago: float | None = None


class Estimate(_Words):
    """A value and its two-sided interval."""

    value: float = Field(examples=[0.846])
    low: float = Field(examples=[0.708])
    high: float = Field(examples=[0.933])


class Scores(_Words):
    """Metrics on one side of the split."""

    rows: int = Field(examples=[1505])
    failures: int = Field(examples=[39])
    metrics: dict[str, Estimate]


class GateCheck(_Words):
    """One condition of the gate."""

    name: str
    level: str
    measured: str
    required: str
    passed: bool
    why: str


class VersionSummary(_Words):
    """One version of the model. What a version does not say of itself is null."""

    version: str = Field(examples=["3"])
    aliases: list[str] = Field(examples=[["production"]])
    algorithm: str | None = Field(examples=["random_forest"])
    registered: str
    promoted: str | None
    rolled_back: str | None
    level: str | None = Field(description="What the gate made of it: production or candidate.")
    verdict: str | None = Field(examples=["passes every check"])
    held_out: Scores | None
    gate: list[GateCheck] = Field(description="Every check, with what was measured and what is required.")
    flow_run: str | None = Field(examples=["TrainFlow/1764000000000000"])
    run_id: str


class ModelCard(VersionSummary):
    """The champion."""

    model_name: str
    serving_since: str
    threshold: float
    currency: str
    missed_failure_cost: float
    false_alarm_cost: float
    features: list[str]
    limits: dict[str, tuple[float, float]] = Field(description="What a sensor can physically read.")
    known_ranges: dict[str, tuple[float, float]] = Field(description="What the model has seen, in a sample.")
    out_of_fold: Scores | None
    previous_version: str | None
    git_commit: str | None
    training_fingerprint: str | None
    data_sources: list[dict[str, Any]]


class TrainingSummary(_Words):
    """One run of the flow, whatever became of it."""

    model_config = ConfigDict(from_attributes=True)

    flow_run: str = Field(examples=["TrainFlow/1764000000000000"])
    run_id: str
    experiment_id: str
    status: str = Field(examples=["FINISHED"])
    started: datetime
    ended: datetime | None
    level: str | None = Field(description="What the gate made of it: production, candidate or rejected.")
    verdict: str | None


class TrainingList(_Words):
    """The latest trainings, the newest first: as the registry last told, where `trouble` says that it is away."""

    mlflow_url: str | None = Field(description="MLflow's pages, where the registry is a server.")
    trainings: list[TrainingSummary]
    trouble: str | None = None


class Thresholds(_Words):
    """What each threshold would have caught, and which false alarms it would have cost, on the held-out rows."""

    version: str = Field(examples=["3"])
    rows: int = Field(examples=[1505])
    failures: int = Field(examples=[39])
    threshold: list[float]
    true_positives: list[int]
    false_positives: list[int]


class VersionList(_Words):
    """All versions, the newest first: as the registry last told, where `trouble` says that it is away."""

    model_name: str
    serving_version: str | None
    versions: list[VersionSummary]
    trouble: str | None = None
