"""Schemas of feedback: what people found out about alarms and predictions."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from .base import Schema

Time = str | float
Verdict = Literal["confirmed", "false", "partly", "unknown"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
# No control characters, line ends, or marks that change the direction of what follows: tables and logs show the name.
Person = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
    ),
]
Comment = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]

MOST_REPORTS = 1_000
_SUBJECT = "name one subject: machine_id and alarm, or reading_id, or request_id (with row for a batch)"


class Feedback(Schema):
    """A report about one subject: an alarm by `machine_id` and `alarm`, or a prediction by `reading_id` or `request_id`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    machine_id: Name | None = Field(None, description="The machine of the alarm.", examples=["P001"])
    alarm: Time | None = Field(
        None, description="When the alarm opened, as in the answer of /alarms.", examples=["2025-06-30T12:00:00Z"]
    )
    reading_id: Name | None = Field(None, description="The id that the reading was sent with.")
    request_id: Name | None = Field(None, description="The id of the request that scored the reading (X-Request-ID).")
    row: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(
        None, description="The row of the reading in the batch `request_id`, from 1. Default: 1."
    )
    verdict: Verdict = Field(
        description="confirmed: the machine failed or would have failed; false: it was healthy; partly, unknown: neither."
    )
    failure_mode: Name | None = Field(
        None, description="What failed: a failure mode of the description, or a type of its table of failures."
    )
    failed: Time | None = Field(
        None,
        description="When a machine with a table of failures failed. Default: when its alarm closed, or its latest reading.",
    )
    comment: Comment = ""
    by: Person = Field(description="Who reports it.", examples=["A. Smith"])

    @model_validator(mode="after")
    def _has_one_subject(self) -> Self:
        of_alarm = (self.machine_id is not None) + (self.alarm is not None)
        subjects = (of_alarm > 0) + (self.reading_id is not None) + (self.request_id is not None)
        if subjects != 1 or of_alarm == 1 or (self.row is not None and self.request_id is None):
            raise ValueError(_SUBJECT)
        if self.verdict != "confirmed" and (self.failure_mode is not None or self.failed is not None):
            raise ValueError("failure_mode and failed need the verdict confirmed")
        return self


class KeptFeedback(Schema):
    """What became of the reports: the first ones about their subjects, changes of earlier ones, and repetitions."""

    new: int = 0
    changed: int = 0
    repeated: int = 0


class StoredFeedback(Schema):
    """A report in the store."""

    machine_id: str | None = Field(examples=["P001"])
    alarm: Time | None = Field(examples=["2025-06-30T12:00:00Z"])
    reading_id: str | None
    request_id: str | None
    row: int | None
    verdict: Verdict
    failure_mode: str | None
    failed: Time | None
    comment: str
    by: str | None = Field(
        description="Who reported it; null for keys without the role operate.", examples=["A. Smith"]
    )
    received: str = Field(description="When the service received it.", examples=["2025-07-01T08:00:00Z"])
    is_current: bool = Field(description="Whether it is the newest one about its subject, which counts.")


class FeedbackList(Schema):
    """A page of reports, the newest first."""

    model_name: str = Field(examples=["predictive_maintenance"])
    feedback: list[StoredFeedback]
    next: int | None = Field(description="What to send as `before` for the next page; null on the last one.")
