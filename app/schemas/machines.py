"""Schemas of the machines in the store."""

from typing import Literal

from pydantic import Field

from .base import Schema
from .feedback import Verdict

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
    """An alarm that is open, and the failure probability and the likeliest failure mode when it opened."""

    opened: Time = Field(description="Time of the reading that opened it.", examples=["2024-01-31T12:00:00Z"])
    failure_probability: float = Field(examples=[0.93])
    failure_mode: str | None = Field(
        default=None,
        description="Name of the likeliest failure mode in the description; null if the version has no model of the modes.",
        examples=["bearing_failure"],
    )
    failure_mode_probability: float | None = Field(
        default=None, description="Its probability if the machine fails.", examples=[0.71]
    )
    acknowledged: str | None = Field(
        default=None, description="When somebody acknowledged it first.", examples=["2024-01-31T12:04:11Z"]
    )
    acknowledged_by: str | None = Field(
        default=None,
        description="A person, or the name of an API key; null for keys without the role operate.",
        examples=["Ana Ruiz"],
    )


class StoredAlarm(OpenAlarm):
    """An alarm of a machine. It closes by its policy, or when the machine fails."""

    closed: Time | None = Field(description="null while it is open.", examples=["2024-02-02T08:00:00Z"])
    closed_by: Literal["decisions", "failure"] | None = Field(examples=["failure"])
    model_version: str = Field(examples=["3"])
    feedback: Verdict | None = Field(
        default=None, description="The verdict of the newest report on it; null without any."
    )


class MachineAlarm(StoredAlarm):
    """An alarm with its machine."""

    machine_id: str = Field(examples=["press 7"])


class AlarmList(Schema):
    """A page of alarms, the newest first."""

    model_name: str = Field(examples=["predictive_maintenance"])
    alarms: list[MachineAlarm]
    next: str | None = Field(description="What to send as `after` for the next page; null on the last one.")


class StoredEvent(Schema):
    """An event of a machine."""

    table: str = Field(examples=["errors"])
    time: Time = Field(examples=["2024-01-31T11:40:00Z"])
    type: str = Field(description="Empty if the events of the table have no type.", examples=["high_vibration"])


class KeptEvents(Schema):
    """The answer to events: they are committed."""

    events: int = Field(description="Different events in the request.", examples=[2])


class MachineSummary(ReadingScore):
    """The latest reading of a machine, and its open alarm."""

    machine_id: str = Field(examples=["press 7"])
    readings: int = Field(description="Readings of the machine in the store.", examples=[720])
    alarm: OpenAlarm | None = Field(default=None, description="null if none is open.")
    late_since: str | None = Field(
        default=None,
        description="Since when every reading that arrived was older than the latest one, so that none opens an alarm: the clock "
        "or the counter of the machine may have gone back. null if the last one was not.",
        examples=["2024-02-01T06:00:00Z"],
    )


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
    alarms: list[StoredAlarm] = Field(default=[], description="The latest alarms, the newest first.")
    events: list[StoredEvent] = Field(default=[], description="Events since the oldest of `latest`, the newest first.")
