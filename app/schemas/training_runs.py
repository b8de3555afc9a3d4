"""Schemas of the training runs."""

from datetime import datetime

from pydantic import ConfigDict, Field

from .base import Schema, WarningSchema


class TrainingRunSummary(Schema):
    """One run of the training flow."""

    model_config = ConfigDict(from_attributes=True)

    flow_run: str = Field(description="The Metaflow run.", examples=["TrainFlow/1764000000000000"])
    run_id: str = Field(description="The MLflow run.")
    experiment_id: str = Field(description="The MLflow experiment.")
    status: str = Field(description="Status of the MLflow run.", examples=["FINISHED"])
    started: datetime
    ended: datetime | None
    level: str | None = Field(description="Level that the quality gate gave: production, candidate or rejected.")
    verdict: str | None = Field(description="Verdict of the quality gate.", examples=["passes every check"])


class TrainingRunList(WarningSchema):
    """The latest training runs, the newest first."""

    mlflow_url: str | None = Field(description="Address of the MLflow user interface, if the registry is a server.")
    trainings: list[TrainingRunSummary]
    warning: str | None = Field(None, description="Why the list is outdated; null if it is current.")
