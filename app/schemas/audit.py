"""Schemas of the audit log, and of acknowledgements of alarms."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from .base import Schema
from .feedback import Comment, Name, Time

PERSON_HEADER = "X-On-Behalf-Of"
"""The person who acts, percent-encoded in UTF-8: for clients whose keys speak for people."""

RefusalReason = Literal["not allowed", "e-mail address not verified"]
Action = Literal[
    "acknowledgement", "feedback", "events", "promotion", "blocked_promotion", "rollback", "settings", "refusal"
]


class Acknowledgement(Schema):
    """That somebody has seen an alarm."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    machine_id: Name = Field(description="The machine of the alarm.", examples=["P001"])
    alarm: Time = Field(
        description="When the alarm opened, as in the answer of /alarms.", examples=["2025-06-30T12:00:00Z"]
    )
    comment: Comment = ""


class KeptAcknowledgement(Schema):
    """Who acknowledged the alarm first."""

    acknowledged: str = Field(examples=["2025-06-30T12:04:11Z"])
    acknowledged_by: str = Field(description="A person, or the name of an API key.", examples=["Ana Ruiz"])
    repeated: bool = Field(description="Whether it was acknowledged before; nothing was changed then.")


class RefusedPerson(Schema):
    """Why a client did not let a person in."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    reason: RefusalReason


class NotedRefusal(Schema):
    """Whether the refusal will be in the audit log."""

    noted: bool = Field(description="False if the service has no audit log (PDM_AUDIT_LOG).")


class AuditEntry(Schema):
    """What somebody did."""

    entry: int = Field(description="Increases with each entry.", examples=[17])
    time: str = Field(description="In UTC, by the clock of the process that acted.", examples=["2025-06-30T12:04:11Z"])
    action: Action
    key: str = Field(
        description="The name of the API key; anonymous without keys, service for its settings, unknown for an unknown key. For "
        "a promotion or a rollback, who moved production: a user, a flow run, or shadow. For settings of a command or a "
        "training, the user who started it.",
        examples=["dashboard"],
    )
    person: str | None = Field(
        description="Whom the client of the key spoke for; null for machines.", examples=["Ana Ruiz"]
    )
    subject: str = Field(
        description="An alarm, a version, a component, a route.", examples=["alarm of P001, 2025-06-30T12:00:00Z"]
    )
    detail: dict[str, Any] = Field(examples=[{"comment": "seal ordered"}])


class AuditList(Schema):
    """A page of the audit log, the newest entry first."""

    model_name: str = Field(examples=["predictive_maintenance"])
    entries: list[AuditEntry]
    next: int | None = Field(description="What to send as `before` for the next page; null on the last one.")
