"""Schemas of the comparisons of a candidate with the version in production."""

from typing import Literal

from pydantic import Field

from .base import Schema


class AgreementShare(Schema):
    """A share of readings on which both versions agree, with its 95 % interval."""

    value: float = Field(examples=[0.991])
    low: float = Field(examples=[0.987])
    high: float = Field(examples=[0.994])


class ExpectedCosts(Schema):
    """The expected costs of the decisions of both versions about 1,000 readings, by the probabilities of one of them."""

    production: float = Field(examples=[310.2])
    candidate: float = Field(examples=[297.5])


class KnownErrors(Schema):
    """The wrong decisions of a version about readings whose outcome is known, and what they cost."""

    missed_failures: int
    false_alarms: int
    costs: float
    low: float | None = Field(description="Lower end of the 95 % interval of the costs; null if it is not judged.")
    high: float | None = Field(description="Upper end.")


class CostSaving(Schema):
    """By how much the errors of the candidate cost less than those of production, with the 95 % interval."""

    value: float
    low: float
    high: float


class KnownOutcomes(Schema):
    """Compared readings whose outcome is known, and the errors of both versions."""

    readings: int
    failures: int = Field(
        description="With failures and confirmed alarms: readings within the horizon before a failure."
    )
    production: KnownErrors
    candidate: KnownErrors
    source: Literal["feedback", "failures", "confirmed alarms"] = Field(
        description="confirmed alarms: not every failure is reported, so that only alarms of production with feedback count."
    )
    saving: CostSaving | None
    reason: str = Field(description="Why the costs of both are not judged; else empty.", examples=[""])


class DayOfAgreement(Schema):
    """The compared readings of a day in UTC, and for how many of them both versions decide the same."""

    day: str = Field(examples=["2025-06-30"])
    predictions: int
    same_decision: int


class MachineDifference(Schema):
    """A machine about which both versions decide differently."""

    machine_id: str
    predictions: int
    only_production: int = Field(description="Alarms of the version in production alone.")
    only_candidate: int = Field(description="Alarms of the candidate alone.")
    mean_absolute_difference: float = Field(description="Of the probabilities of both versions.")


class Comparison(Schema):
    """A candidate that scores what a version in production has scored, since its registration."""

    model_version: str = Field(description="The version in production.", examples=["12"])
    candidate_version: str = Field(examples=["13"])
    state: Literal["comparing", "not comparable", "broken", "ended"] = Field(
        description="broken: a version cannot be loaded, or the candidate cannot score; it is tried again later."
    )
    reason: str = Field(description="Why it is not comparable, broken or ended; else empty.", examples=[""])
    started: str = Field(description="Predictions from this time on count.", examples=["2025-06-23T12:00:00Z"])
    updated: str = Field(
        description="All predictions in the log at this time are counted.", examples=["2025-06-30T12:00:00Z"]
    )
    predictions: int = Field(description="Readings that both versions have scored.", examples=[24_000])
    left_out: dict[str, int] = Field(description="Predictions that are not compared, by reason.", examples=[{}])
    agreement: AgreementShare | None = Field(
        description="Of all readings, the share with the same decision. null without predictions."
    )
    alarm_agreement: AgreementShare | None = Field(
        description="Of the readings for which at least one version raises an alarm, the share for which both do. "
        "null if neither version has raised an alarm: it cannot be judged."
    )
    alarms_of_both: int
    only_production: int = Field(description="Alarms of the version in production alone.")
    only_candidate: int = Field(description="Alarms of the candidate alone.")
    mean_absolute_difference: float | None = Field(description="Of the probabilities of both versions.")
    currency: str = Field(examples=["EUR"])
    costs_by_production: ExpectedCosts | None = Field(description="By the probabilities of the version in production.")
    costs_by_candidate: ExpectedCosts | None = Field(description="By the probabilities of the candidate.")
    outcomes: KnownOutcomes | None = Field(description="null without feedback on compared predictions.")
    days: list[DayOfAgreement] = Field(description="The latest 400 days with predictions, the oldest first.")
    machines: list[MachineDifference] = Field(description="The machines with different decisions, the most first.")
    promotion: str = Field(
        description="What the automatic promotion waits for.", examples=["off: shadow.days_of_agreement is null"]
    )


class ComparisonList(Schema):
    """The comparisons of the model: the current comparison, then the newest."""

    model_name: str
    comparisons: list[Comparison]
