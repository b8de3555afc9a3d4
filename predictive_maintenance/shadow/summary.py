"""A comparison as it is shown: sums, agreement, days, and the machines that differ most."""

from dataclasses import dataclass

from ..store import comparisons
from ..store.rows import Comparison, DecisionCounts
from ..store.store import Store
from .agreement import Share, agreement, alarm_agreement, total


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What was counted of a comparison. `days` are the latest ones since 1970, in UTC, the newest first.

    `machines` have different decisions, the most first. `agreement` is the share of the same decisions; None without readings.
    `alarm_agreement` is the share of alarms of both among the readings with an alarm of either; None without alarms.
    """

    comparison: Comparison
    counts: DecisionCounts
    agreement: Share | None
    alarm_agreement: Share | None
    days: dict[int, DecisionCounts]
    machines: list[tuple[str, DecisionCounts]]


def summarise(store: Store, comparison: Comparison, *, most_machines: int) -> Summary:
    """Read what was counted of a comparison. Raises StoreError."""
    by_part = comparisons.counts_by_part(store, comparison)
    return Summary(
        comparison=comparison,
        counts=total(list(by_part.values())),
        agreement=agreement(by_part),
        alarm_agreement=alarm_agreement(by_part),
        days=comparisons.counts_by_day(store, comparison),
        machines=comparisons.counts_by_machine(store, comparison, most=most_machines),
    )
