"""Schemas of the latest check of production by monitoring."""

from typing import Literal

from pydantic import Field

from .base import Schema


class Interval(Schema):
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


class Finding(Schema):
    """A difference from training, or from what is usual, with its interval."""

    kind: str = Field(description="What is compared.", examples=["distribution"])
    column: str = Field(description="The input, or the metric of a performance; empty for rejected readings.")
    effect: float
    low: float
    high: float
    limit: float
    before: float | None
    now: float | None
    machines: list[str] = Field(description="The first ones with constant values.")
    own: float | None = Field(
        description="Of a performance: the loss in this window alone; null if it is not known, and for other kinds."
    )
    exceeds_limit: bool = Field(
        description="Whether the lower end of the interval is above the limit, and for a performance `own`, too."
    )
    text: str = Field(
        examples=["distribution of Torque: mean 65 Nm, in training 40 Nm; PSI 1.92 [1.71, 2.12], limit 0.33"]
    )


class MetricComparison(Schema):
    """A metric of the predictions whose outcome is known, in production and at evaluation."""

    metric: Literal["precision", "recall", "f1", "pr_auc", "expected_cost"]
    count: int = Field(
        description="Predicted failures for the precision, failures for the recall, otherwise predictions."
    )
    now: Interval | None = Field(description="null if it cannot be computed from the labels.")
    at_evaluation: Interval | None = Field(description="On the held-out rows of the version's training.")
    reason: str = Field(description="Why it cannot be computed from the labels; else empty.")


class Performance(Schema):
    """The predictions whose labels are due in a window."""

    begins: str = Field(
        description="When the first of these predictions was made, earlier than the window by the horizon."
    )
    ends: str
    source: Literal["failures", "confirmed alarms", "feedback"] | None = Field(description="Where labels come from.")
    predictions: int
    labelled: int = Field(description="Predictions with a label.")
    alarms: int = Field(description="Predicted failures.")
    labelled_alarms: int
    failures: int
    metrics: list[MetricComparison]


class Window(Schema):
    """A window of production."""

    begins: str = Field(examples=["2025-06-23T00:00:00Z"])
    ends: str = Field(examples=["2025-06-30T12:00:00Z"])
    readings: int = Field(description="Readings that the version scored.")
    accepted: int = Field(description="Readings that the service scored, whatever the version.")
    rejected: int
    invalid_fields: dict[str, int] = Field(description="How often each field was invalid, the most frequent ones.")
    findings: list[Finding] | None = Field(
        description="Of the newest window all, of earlier ones those that exceed their limit; null with too few readings."
    )
    performance: Performance


class SilentMachine(Schema):
    """A machine of the fleet that has stopped sending readings."""

    machine_id: str = Field(examples=["P001"])
    received: str = Field(description="When its latest reading arrived.", examples=["2025-06-29T12:00:00Z"])


class Monitoring(Schema):
    """The latest check of production by `monitor --watch`."""

    model_name: str
    checked: str | None = Field(
        description="When production was checked; null before the first check.", examples=["2025-06-30T12:00:00Z"]
    )
    model_version: str | None = Field(examples=["12"])
    windows: list[Window] = Field(description="The oldest first.")
    lasting: list[Finding] = Field(
        description="The differences that exceed their limit in enough windows to be a reason to act."
    )
    silent_machines: list[SilentMachine] = Field(
        description="The first 100 machines without a reading for `monitoring.silent_hours`, the latest to fall silent first."
    )
    silent_count: int = Field(description="How many there are.")
