"""The pages' words: numbers and times as a person reads them."""

from datetime import UTC, datetime, timedelta

from app.schemas.model import Estimate
from predictive_maintenance.machine import operating_limits

NOTHING = "—"
"""What is not there, or not told."""

ALGORITHMS = {"random_forest": "random forest", "lightgbm": "LightGBM"}
LEVELS = {"production": "fit for production", "candidate": "candidate", "rejected": "rejected"}
LIMITS = {limit.name: limit.label for limit in operating_limits.LIMITS}
RUNNING = ("RUNNING", "SCHEDULED")
"""What MLflow calls a training that goes on."""
RISKS = {"high": "Alarm", "elevated": "Elevated", "low": "Low"}


def percent(share: float) -> str:
    """A probability, as precise as it is worth: never 0 % or 100 % unless it is."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share * 100:.1f} %"


def money(amount: float, currency: str) -> str:
    return f"{amount:,.0f} {currency}" if abs(amount) >= 10 or amount == 0 else f"{amount:,.2f} {currency}"


def value(amount: float, unit: str) -> str:
    """A number and its unit, on one line."""
    return f"{number(amount)} {unit}".replace(" ", "\N{NO-BREAK SPACE}")


def number(amount: float) -> str:
    """At most one decimal, thousands apart."""
    return f"{amount:,.1f}".removesuffix(".0")


def interval(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def within(bound_seconds: float) -> str:
    """A bound of a latency; infinity stands for all that is beyond the service's last."""
    if bound_seconds == float("inf"):
        return "beyond what is counted"
    return f"within {bound_seconds * 1000:g} ms" if bound_seconds < 1 else f"within {bound_seconds:g} s"


def duration(value: timedelta | float) -> str:
    """Roughly, in the largest unit that fits."""
    rest = value.total_seconds() if isinstance(value, timedelta) else value
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if rest >= size:
            count = int(rest // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(rest, 0):.0f} s"


def ago(moment: datetime | str | None, now: datetime | None = None) -> str:
    """How long ago, from an ISO time or a datetime."""
    if moment is None:
        return "never"
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{duration((now or datetime.now(UTC)) - parsed)} ago"


def on_date(moment: datetime | str | None) -> str:
    """Date and minute in UTC: a server does not know where the reader sits."""
    if moment is None:
        return NOTHING
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{parsed.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
