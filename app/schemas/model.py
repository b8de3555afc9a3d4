"""Schemas of the served model and of all versions."""

from typing import Any

from pydantic import Field

from .base import Schema, WarningSchema


class Estimate(Schema):
    """A metric with its two-sided interval."""

    value: float = Field(examples=[0.846])
    low: float = Field(examples=[0.708])
    high: float = Field(examples=[0.933])


class Scores(Schema):
    """Metrics on the held-out or the out-of-fold rows."""

    rows: int = Field(examples=[1505])
    failures: int = Field(description="Rows with a failure.", examples=[39])
    metrics: dict[str, Estimate]


class GateCheck(Schema):
    """One check of the quality gate."""

    name: str = Field(examples=["Recall"])
    level: str = Field(description="Level that needs the check: candidate or production.", examples=["candidate"])
    measured: str = Field(examples=["0.846"])
    required: str = Field(examples=[">= 0.7"])
    passed: bool
    why: str = Field(description="Why the check exists.")


class VersionSummary(Schema):
    """One version of the model. A field that the version does not record is null."""

    version: str = Field(examples=["3"])
    aliases: list[str] = Field(examples=[["production"]])
    algorithm: str | None = Field(examples=["random_forest"])
    registered: str = Field(description="When the version was registered (ISO 8601).")
    promoted: str | None = Field(description="When the version was last promoted to production.")
    rolled_back: str | None = Field(description="When the version was rolled back.")
    level: str | None = Field(description="Level that the quality gate gave: production or candidate.")
    verdict: str | None = Field(description="Verdict of the quality gate.", examples=["passes every check"])
    held_out: Scores | None = Field(description="Metrics on the held-out rows.")
    gate: list[GateCheck] = Field(description="Every check of the quality gate.")
    flow_run: str | None = Field(
        description="The Metaflow run that trained the version.", examples=["TrainFlow/1764000000000000"]
    )
    run_id: str = Field(description="The MLflow run that trained the version.")


class ModelCard(VersionSummary):
    """The served model."""

    model_name: str = Field(examples=["predictive_maintenance"])
    serving_since: str = Field(description="When this worker loaded the model (ISO 8601).")
    threshold: float = Field(description="Decision threshold.", examples=[0.38])
    currency: str = Field(examples=["EUR"])
    missed_failure_cost: float = Field(description="Cost of a missed failure.", examples=[5000.0])
    false_alarm_cost: float = Field(description="Cost of a false alarm.", examples=[200.0])
    features: list[str] = Field(description="Inputs of the model, in order.")
    limits: dict[str, tuple[float, float]] = Field(description="Physical limits of each sensor.")
    known_ranges: dict[str, tuple[float, float]] = Field(
        description="Lowest and highest value of each sensor in a sample of the training rows."
    )
    machine: dict[str, Any] = Field(
        description="The description of the machine: its columns, features and operating limits."
    )
    out_of_fold: Scores | None = Field(description="Metrics on the training rows, out of fold.")
    previous_version: str | None = Field(description="The production version before this one.")
    git_commit: str | None
    training_fingerprint: str | None = Field(description="Hash of the training rows.")
    data_sources: list[dict[str, Any]]


class VersionList(WarningSchema):
    """All versions, the newest first."""

    model_name: str = Field(examples=["predictive_maintenance"])
    serving_version: str | None = Field(description="The version that is served.", examples=["3"])
    versions: list[VersionSummary]
    warning: str | None = Field(None, description="Why the list is outdated; null if it is current.")


class Thresholds(Schema):
    """Counts on the held-out rows at each decision threshold: three lists of equal length."""

    version: str = Field(examples=["3"])
    rows: int = Field(description="Held-out rows.", examples=[1505])
    failures: int = Field(description="Held-out rows with a failure.", examples=[39])
    threshold: list[float] = Field(description="Decision thresholds, ascending.")
    true_positives: list[int] = Field(description="Failures with an alarm at each threshold.")
    false_positives: list[int] = Field(description="Healthy rows with an alarm at each threshold.")
