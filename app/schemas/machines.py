"""Schemas of the machines in the store."""

from typing import Literal

from pydantic import Field

from .base import Schema

Time = str | float


class ReadingScore(Schema):
    """What the model version that was served said about a reading at its arrival; null if it had no prediction."""

    time: Time = Field(
        description="Time of the reading: ISO 8601 in UTC, or a counter.", examples=["2024-01-31T12:00:00Z"]
    )
    received: str = Field(description="When the service received it.", examples=["2024-01-31T12:00:02Z"])
    failure_probability: float | None = Field(examples=[0.93])
    predicted_failure: bool | None = Field(description="Whether it was an alarm.", examples=[True])
    model_version: str | None = Field(examples=["3"])


class OpenAlarm(Schema):
    """The alarm of a machine that is open."""

    opened: Time = Field(description="Time of the reading that opened it.", examples=["2024-01-31T09:00:00Z"])
    failure_probability: float = Field(description="Failure probability when it opened.", examples=[0.71])


class Alarm(OpenAlarm):
    """An alarm of a machine, open or closed."""

    closed: Time | None = Field(description="When it closed; null while it is open.", examples=["2024-01-31T18:00:00Z"])
    closed_by: Literal["decisions", "failure"] | None = Field(
        description="Whether the decisions about later readings closed it, or a failure; null while it is open."
    )
    model_version: str = Field(description="The version that opened it.", examples=["3"])


class MachineEvent(Schema):
    """An event of a machine in the store."""

    table: str = Field(examples=["errors"])
    time: Time = Field(examples=["2024-01-31T08:30:00Z"])
    type: str = Field(description="Type of the event; empty if its table has no types.", examples=["over-heat"])


class MachineSummary(ReadingScore):
    """The latest reading of a machine."""

    machine_id: str = Field(examples=["press 7"])
    readings: int = Field(description="Readings of the machine in the store.", examples=[720])
    alarm: OpenAlarm | None = Field(None, description="The open alarm; null if there is none.")


class MachineList(Schema):
    """A page of the machines in the store, in the order of their ids."""

    model_name: str = Field(examples=["predictive_maintenance"])
    machines: list[MachineSummary]
    next: str | None = Field(
        description="The machine to send as `after` for the next page; null on the last one.", examples=["press 7"]
    )


class StoredReading(ReadingScore):
    """A reading in the store."""

    values: dict[str, float | str] = Field(
        description="Sensors and categories that have a value.", examples=[{"torque_nm": 61.3}]
    )


class MachineHistory(MachineSummary):
    """A machine with its latest readings: its sensors and its risk over time."""

    model_name: str = Field(examples=["predictive_maintenance"])
    latest: list[StoredReading] = Field(description="The latest readings, the newest first.")
    alarms: list[Alarm] = Field([], description="Alarms, the newest first.")
    events: list[MachineEvent] = Field([], description="Events of the machine.")
