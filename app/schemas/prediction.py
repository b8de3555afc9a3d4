"""Schemas of predictions: the answers of the API, which OpenAPI documents. Those of readings are made in reading.py."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

RiskLevel = Literal["low", "elevated", "high"]


class BrokenLimit(BaseModel):
    """An operating limit that the reading exceeds."""

    name: str = Field(examples=["strain"])
    label: str = Field(examples=["Strain"])
    measured: float = Field(examples=[12750.4])
    unit: str = Field(examples=["min Nm"])
    allowed: str = Field(
        description="The limit, as text.",
        examples=["11000 min Nm for L, 12000 min Nm for M, 13000 min Nm for H or less"],
    )
    action: str = Field(
        description="How to return within the limit.", examples=["replace the tool or lower the torque"]
    )


class ContributionPart(BaseModel):
    """What one feature adds to the contribution of its sensor or table of events."""

    name: str = Field(examples=["vibration_mm_s_mean_24h"])
    label: str = Field(examples=["Vibration, mean of 24 h"])
    value: float | None = Field(description="null if it is missing.", examples=[5.2])
    unit: str = Field(examples=["mm/s"])
    contribution: float = Field(examples=[0.31])
    standard_error: float = Field(description="Parts are always estimates.", examples=[0.02])


class Contribution(BaseModel):
    """The contribution of one sensor, category or table of events to the failure probability (Shapley value)."""

    sensor: str = Field(examples=["torque_nm"])
    label: str = Field(examples=["Torque"])
    value: float | str | None = Field(description="A category has text; null if it is missing.", examples=[61.3])
    unit: str = Field(examples=["Nm"])
    contribution: float = Field(
        description="Change of the probability by this sensor; negative if it lowers it.", examples=[0.41]
    )
    standard_error: float | None = Field(
        None, description="Standard error of the contribution, if it is an estimate.", examples=[None]
    )
    parts: list[ContributionPart] = Field(
        default=[],
        description="The current value and each feature from the history, the largest first: they add up to the contribution. "
        "Only for the largest five contributions, and only for inputs with features from the history.",
    )


class LimitMargin(BaseModel):
    """The distance of the reading from an operating limit."""

    name: str = Field(examples=["strain"])
    label: str = Field(examples=["Strain"])
    side: Literal["minimum", "maximum"] = Field(description="Whether `bound` is the minimum or the maximum.")
    measured: float = Field(examples=[12750.4])
    bound: float = Field(examples=[11000.0])
    margin: float = Field(description="Distance to the bound; negative if the limit is exceeded.", examples=[-1750.4])
    unit: str = Field(examples=["min Nm"])
    applies: bool = Field(
        description="Whether the limit applies to this reading. Heat dissipation, for example, has no limit at high speed."
    )
    broken: bool = Field(description="Whether the limit is exceeded.")


class Explanation(BaseModel):
    """Shapley values: base probability plus contributions equals the failure probability.

    They are exact for up to 10 inputs. For more they are estimates, each with its standard error.
    """

    base_probability: float = Field(description="Mean failure probability of the reference readings.", examples=[0.004])
    reference: str = Field(description="The reference readings.", examples=["64 healthy readings of product type L"])
    contributions: list[Contribution] = Field(description="By size, the largest first.")
    limits: list[LimitMargin] = Field(description="The distance of the reading from each operating limit.")


class Prediction(BaseModel):
    """The answer to one reading."""

    model_config = ConfigDict(protected_namespaces=())

    reading_id: str | None = Field(None, examples=["L47257"])
    failure_probability: float = Field(ge=0, le=1, examples=[0.93])
    predicted_failure: bool = Field(
        description="Whether the probability is at least the decision threshold: an alarm.", examples=[True]
    )
    threshold: float = Field(description="Decision threshold.", examples=[0.38])
    risk_level: RiskLevel = Field(
        description="high: an alarm; elevated: no alarm, but the expected cost of ignoring exceeds an inspection; low: neither."
    )
    expected_cost_of_ignoring: float = Field(
        description="Failure probability times the cost of a missed failure.", examples=[4650.0]
    )
    currency: str = Field(examples=["EUR"])
    broken_limits: list[BrokenLimit] = Field(description="The operating limits that the reading exceeds.")
    recommended_action: str = Field(examples=["stop and inspect now: replace the tool or lower the torque"])
    warnings: list[str] = Field(
        description="One for each sensor outside its range in training, and for each missing one that was almost never missing "
        "there: the prediction is less reliable."
    )
    model_name: str = Field(examples=["predictive_maintenance"])
    model_version: str = Field(examples=["3"])
    explanation: Explanation | None = Field(None, description="Only with `?explain=true`.")


class TurningPoint(BaseModel):
    """The nearest value of a sensor at which the decision changes."""

    value: float = Field(examples=[52.7])
    failure_probability: float = Field(examples=[0.21])


class Curve(BaseModel):
    """The failure probability for values of one sensor, with the other sensors fixed."""

    sensor: str = Field(examples=["torque_nm"])
    label: str = Field(examples=["Torque"])
    unit: str = Field(examples=["Nm"])
    value: float = Field(description="Value of the reading.", examples=[61.3])
    values: list[float] = Field(description="Ascending, over the sensor's range in training.", examples=[[52.7, 61.3]])
    probabilities: list[float] = Field(description="Failure probability at each value.", examples=[[0.21, 0.93]])
    turning_point: TurningPoint | None = Field(description="null if the decision is the same for all values.")


class WhatIf(BaseModel):
    """The change of the prediction with each sensor."""

    model_config = ConfigDict(protected_namespaces=())

    predicted_failure: bool
    failure_probability: float = Field(examples=[0.93])
    threshold: float = Field(examples=[0.38])
    model_version: str = Field(examples=["3"])
    curves: list[Curve]


class FieldReason(BaseModel):
    """One invalid cell of a rejected row."""

    field: str = Field(examples=["torque_nm"])
    reason: str = Field(examples=["outside of the physical limits 0 to 500 Nm"])


class BatchPrediction(BaseModel):
    """The answer to a batch: records, or columns if the readings were sent as columns.

    Each record has its `row`, counted from 1, and either the fields of a single prediction or `errors`.
    """

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = Field(examples=["predictive_maintenance"])
    model_version: str = Field(examples=["3"])
    threshold: float = Field(description="Decision threshold.", examples=[0.38])
    currency: str = Field(examples=["EUR"])
    rows: int = Field(description="Rows of the request.")
    rejected_rows: int = Field(description="Rows with errors, which are not scored.")
    warnings: list[str] = Field(
        default=[],
        description="About the batch as a whole: optional sensors that are missing far more or less often than in training. "
        "Absent without warnings.",
    )
    predictions: list[dict[str, Any]] | dict[str, list[Any]]
