"""Display texts: numbers, times, and labels of the values that the API returns."""

from datetime import UTC, datetime, timedelta

from app.schemas.model import Estimate
from predictive_maintenance.machine.unit_text import unit_text

NO_VALUE = "—"

ALGORITHM_LABELS = {"random_forest": "random forest", "lightgbm": "LightGBM"}
GATE_LABELS = {"production": "passed", "candidate": "candidate", "rejected": "rejected"}
"""Results of the quality gate by the level that a model reached."""
GATE_SIGNS = {"production": "🟢", "candidate": "🟡", "rejected": "🔴"}
RISK_LABELS = {"high": "Alarm", "elevated": "Elevated", "low": "Low"}
RISK_SIGNS = {"high": "🔴", "elevated": "🟠", "low": "🟢"}
ALARM_ENDS = {"decisions": "readings below the threshold", "failure": "a failure"}
"""What an alarm was closed after."""
INCIDENT_ENDS = {
    "resolved": "no difference any more",
    "another version": "another version in production",
    "schedule": "scheduled training",
}
"""Why an incident was closed."""
RUNNING_STATUSES = ("RUNNING", "SCHEDULED")
"""MLflow's statuses of a run that has not ended."""


def percent(share: float) -> str:
    """Format a probability. Shows 0 % and 100 % for these exact values only."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share * 100:.1f} %"


def threshold_percent(threshold: float) -> str:
    return f"{threshold * 100:.2f} %"


def money(amount: float, currency: str) -> str:
    return f"{amount:,.0f} {currency}" if abs(amount) >= 10 or amount == 0 else f"{amount:,.2f} {currency}"


def with_unit(amount: float, unit: str, decimals: int | None = 1) -> str:
    """Format a number and its unit with non-breaking spaces."""
    return f"{number(amount, decimals)} {unit_text(unit)}".strip().replace(" ", "\N{NO-BREAK SPACE}")


def label_with_unit(label: str, unit: str) -> str:
    """Format the name of a quantity with its unit, if it has one: "Flow (m³/h)"."""
    return f"{label} ({unit_text(unit)})" if unit else label


def number(amount: float, decimals: int | None = 1) -> str:
    """Format a number with thousands separators and at most `decimals`; with None, with six significant digits."""
    if decimals is None:
        return f"{amount:,.6g}"
    text = f"{amount:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def interval(estimate: Estimate) -> str:
    return f"{estimate.low:.3f} to {estimate.high:.3f}"


def latency_bound(seconds: float) -> str:
    """Format an upper bound of a latency. Infinity means above the histogram's last bucket."""
    if seconds == float("inf"):
        return "above the largest bucket"
    return f"≤ {seconds * 1000:g} ms" if seconds < 1 else f"≤ {seconds:g} s"


def duration(value: timedelta | float) -> str:
    """Format a duration in its largest whole unit, rounded down."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{max(seconds, 0):.0f} s"


def ago(moment: datetime | str | None, now: datetime | None = None) -> str:
    """Format the time since `moment`, a datetime or an ISO 8601 text."""
    if moment is None:
        return "never"
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{duration((now or datetime.now(UTC)) - parsed)} ago"


def utc_time(moment: datetime | str | None) -> str:
    """Format date and minute in UTC, because the server does not know the user's time zone."""
    if moment is None:
        return NO_VALUE
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{parsed.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
