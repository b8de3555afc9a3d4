"""Schemas of the incidents that monitoring keeps in the store."""

from typing import Literal

from pydantic import Field

from .base import Schema


class Incident(Schema):
    """Lasting differences between production and the training of a version."""

    incident: int = Field(
        description="Its number; the MLflow run that was started for it has it as a tag.", examples=[3]
    )
    model_version: str = Field(examples=["12"])
    opened: str = Field(examples=["2025-06-30T12:00:00Z"])
    reasons: list[str] = Field(
        description="Each difference with its interval and limit, when it opened.",
        examples=[["distribution of Torque: mean 65 Nm, in training 40 Nm; PSI 1.92 [1.71, 2.12], limit 0.33"]],
    )
    training_started: str | None = Field(description="When a training was started for it.", examples=[None])
    training_ended: str | None = Field(description="When its result was noted.", examples=[None])
    training_result: str | None = Field(
        description="Continues 'the training': was successful, was requested (of GitHub), ended with exit code 1, was stopped, "
        "or why nothing is known. null while it runs.",
        examples=[None],
    )
    closed: str | None = Field(description="null while it is open.", examples=[None])
    closed_by: Literal["resolved", "another version", "schedule"] | None = Field(
        description="resolved: no difference in the latest windows; another version: it was replaced in production; schedule: it "
        "is a scheduled training, not a difference.",
        examples=[None],
    )


class IncidentList(Schema):
    """The incidents of the model: the open one, then the newest first."""

    model_name: str
    incidents: list[Incident]
