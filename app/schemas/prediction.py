"""The API's words: what comes in is validated against these, and the documentation is made of them."""

from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic asks for this one below Python 3.12
)

import msgspec
from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

_ID_CHARACTERS = 200

Sensor = Annotated[float, Field(allow_inf_nan=False)]
ReadingId = Annotated[str, Field(max_length=_ID_CHARACTERS), msgspec.Meta(max_length=_ID_CHARACTERS)]

EXAMPLE_HEALTHY: dict[str, Any] = {
    "reading_id": "M14860", "product_type": "M", "air_temperature_k": 298.1, "process_temperature_k": 308.6,
    "rotational_speed_rpm": 1551.0, "torque_nm": 42.8, "tool_wear_min": 0.0,
}  # fmt: skip
EXAMPLE_OVERSTRAINED: dict[str, Any] = {
    "reading_id": "L47257", "product_type": "L", "air_temperature_k": 298.8, "process_temperature_k": 308.9,
    "rotational_speed_rpm": 1455.0, "torque_nm": 61.3, "tool_wear_min": 208.0,
}  # fmt: skip


@with_config(ConfigDict(extra="forbid", strict=True))
class Reading(TypedDict):
    """One reading of a machine. A typed dict, not a model: validated as fully, in half of the time."""

    reading_id: NotRequired[Annotated[ReadingId | None, Field(description="Yours: it comes back with the answer.")]]
    product_type: Annotated[Literal["L", "M", "H"], Field(description="Product quality: low, medium, high.")]
    air_temperature_k: Annotated[Sensor, Field(description="Air temperature in kelvin.")]
    process_temperature_k: Annotated[Sensor, Field(description="Process temperature in kelvin.")]
    rotational_speed_rpm: Annotated[Sensor, Field(description="Rotational speed in revolutions a minute.")]
    torque_nm: Annotated[Sensor, Field(description="Torque in newton metres.")]
    tool_wear_min: Annotated[Sensor, Field(description="Minutes that the tool has been in use.")]


@with_config(ConfigDict(extra="forbid", strict=True))
class Readings(TypedDict):
    """Readings as columns, all equally long."""

    reading_id: NotRequired[list[ReadingId | None]]
    product_type: list[Literal["L", "M", "H"]]
    air_temperature_k: list[Sensor]
    process_temperature_k: list[Sensor]
    rotational_speed_rpm: list[Sensor]
    torque_nm: list[Sensor]
    tool_wear_min: list[Sensor]


RiskLevel = Literal["low", "elevated", "high"]


class BrokenLimit(BaseModel):
    """An operating limit that the reading breaks."""

    name: Literal["heat_dissipation", "power", "strain", "tool_wear"]
    label: str = Field(examples=["Strain"])
    measured: float = Field(examples=[12750.4])
    unit: str = Field(examples=["min Nm"])
    allowed: str = Field(examples=["11000 min Nm for L, 12000 min Nm for M, 13000 min Nm for H or less"])
    action: str = Field(examples=["replace the tool or lower the torque"])


class Contribution(BaseModel):
    """What one sensor adds to the probability, or takes from it."""

    sensor: str = Field(examples=["torque_nm"])
    label: str = Field(examples=["Torque"])
    value: float = Field(examples=[61.3])
    unit: str = Field(examples=["Nm"])
    contribution: float = Field(examples=[0.41])


class LimitMargin(BaseModel):
    """How far the reading is from an operating limit."""

    name: Literal["heat_dissipation", "power", "strain", "tool_wear"]
    label: str = Field(examples=["Strain"])
    side: Literal["minimum", "maximum"] = Field(description="Whether the bound is the least or the most allowed.")
    measured: float = Field(examples=[12750.4])
    bound: float = Field(examples=[11000.0])
    margin: float = Field(description="What is left until the bound, negative beyond it.", examples=[-1750.4])
    unit: str = Field(examples=["min Nm"])
    applies: bool = Field(description="Whether the limit holds for such a reading: at a high speed, heat has none.")
    broken: bool


class Explanation(BaseModel):
    """Exact Shapley values: the base and all contributions add up to the reading's probability."""

    base_probability: float = Field(description="Mean probability of the reference readings.", examples=[0.004])
    reference: str = Field(examples=["64 healthy readings of product type L"])
    contributions: list[Contribution] = Field(description="The largest first.")
    limits: list[LimitMargin] = Field(description="How far the reading is from each operating limit.")


class Prediction(BaseModel):
    """The answer to one reading."""

    model_config = ConfigDict(protected_namespaces=())

    reading_id: str | None = Field(None, examples=["L47257"])
    failure_probability: float = Field(ge=0, le=1, examples=[0.93])
    predicted_failure: bool = Field(description="Whether the probability reaches the threshold.", examples=[True])
    threshold: float = Field(examples=[0.38])
    risk_level: RiskLevel = Field(
        description="high: an alarm; elevated: no alarm, but ignoring it is expected to cost more than an inspection; low."
    )
    expected_cost_of_ignoring: float = Field(
        description="Probability times the cost of a missed failure.", examples=[4650.0]
    )
    currency: str = Field(examples=["EUR"])
    broken_limits: list[BrokenLimit]
    recommended_action: str = Field(examples=["stop and inspect now: replace the tool or lower the torque"])
    warnings: list[str] = Field(description="What is unusual about the reading, though possible.")
    model_name: str = Field(examples=["predictive_maintenance"])
    model_version: str = Field(examples=["3"])
    explanation: Explanation | None = Field(None, description="With ?explain=true.")


class TurningPoint(BaseModel):
    """The nearest value of a sensor at which the decision is another."""

    value: float = Field(examples=[52.7])
    failure_probability: float = Field(examples=[0.21])


class Curve(BaseModel):
    """The probability over one sensor's values, the other sensors held."""

    sensor: str = Field(examples=["torque_nm"])
    label: str = Field(examples=["Torque"])
    unit: str = Field(examples=["Nm"])
    value: float = Field(description="The reading's own.", examples=[61.3])
    values: list[float] = Field(description="Rising, over what the model has seen.", examples=[[52.7, 61.3]])
    probabilities: list[float] = Field(examples=[[0.21, 0.93]])
    turning_point: TurningPoint | None = Field(description="null where the decision stays the same over all values.")


class WhatIf(BaseModel):
    """How the answer to a reading changes with each sensor."""

    model_config = ConfigDict(protected_namespaces=())

    predicted_failure: bool
    failure_probability: float = Field(examples=[0.93])
    threshold: float = Field(examples=[0.38])
    model_version: str = Field(examples=["3"])
    curves: list[Curve]


class FieldReason(BaseModel):
    """What is wrong with one cell of a rejected row."""

    field: str = Field(examples=["torque_nm"])
    reason: str = Field(examples=["outside of the physical limits 0 to 500 Nm"])


class BatchPrediction(BaseModel):
    """The answer to a batch: records, or an object of columns where columns came in.

    Each record has its `row` (from 1), and either the fields of a single answer or its `errors`.
    """

    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    threshold: float
    currency: str
    rows: int
    rejected_rows: int
    predictions: list[dict[str, Any]] | dict[str, list[Any]]
