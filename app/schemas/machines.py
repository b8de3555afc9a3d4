"""Schemas of the machines in the store."""

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


class MachineSummary(ReadingScore):
    """The latest reading of a machine."""

    machine_id: str = Field(examples=["press 7"])
    readings: int = Field(description="Readings of the machine in the store.", examples=[720])


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
