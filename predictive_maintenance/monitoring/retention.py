"""Whether the service keeps predictions, readings and events for as long as monitoring reads them."""

import math
from collections.abc import Mapping, Sequence

from .production import WatchedVersion, Window

_DAY_SECONDS = 86_400
_DIGITS = 6
"""Of days: windows are whole seconds."""


def needed_days(watched: WatchedVersion, windows: Sequence[Window]) -> float:
    """How far back a check reads: to the oldest window, or to the first prediction whose label is due in it.

    Before the end of the next window, the newest one is nearly a window old.
    """
    has_labels = not watched.machine.description.label.run_to_failure
    begins = windows[0].performance.begins if has_labels else windows[0].begins
    next_end = 2 * windows[-1].ends - windows[-1].begins
    return (next_end - begins) / _DAY_SECONDS


def retention_warnings(kept: Mapping[str, float], needed: float) -> list[str]:
    """A sentence for each variable in `kept`, with the days for which the service keeps something, below `needed` days."""
    return [
        f"{variable} of the service is {days:g} days, and monitoring reads {needed:.3g}: the oldest windows lose "
        f"what the service has removed; set {variable} to at least {math.ceil(round(needed, _DIGITS))}, or decrease "
        "monitoring.windows, monitoring.performance_windows or monitoring.window_days"
        for variable, days in kept.items()
        if round(days, _DIGITS) < round(needed, _DIGITS)
    ]
