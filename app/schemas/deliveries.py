"""Schemas of the messages about alarms that another system has not accepted."""

from typing import Literal

from pydantic import Field

from .base import Schema

Time = str | float


class Message(Schema):
    """A message about an alarm that was sent in vain."""

    machine_id: str = Field(examples=["P017"])
    opened: Time = Field(description="When the alarm opened, as in the answer of /alarms.")
    event: Literal["alarm.opened", "alarm.closed"]
    state: Literal["waiting", "dead"] = Field(description="waiting: it is sent again; dead: it was given up.")
    attempts: int = Field(examples=[3])
    next_attempt: str | None = Field(description="null if it was given up.", examples=["2025-06-30T12:00:40Z"])
    reason: str = Field(description="Why the last attempt failed.", examples=["answer 503: closed for maintenance"])


class DeliveryList(Schema):
    """What `notify` has not delivered: messages that were given up first, then those that wait, the next one first."""

    model_name: str
    began: str | None = Field(
        description="When `notify` began to deliver the alarms of the model; null if it never did, or in an older release.",
        examples=["2025-06-01T08:00:00Z"],
    )
    waiting: int = Field(description="Messages that wait, also those that were not tried yet.", examples=[0])
    dead: int = Field(description="Messages that were given up.", examples=[0])
    messages: list[Message] = Field(description="Those that were tried, at most `limit`.")
