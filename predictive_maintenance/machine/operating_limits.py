"""The milling machine's operating limits, from its description: which ones a reading exceeds, and its margin to each."""

from typing import Any

from .limits import ExceededLimit, Limit, LimitMargin
from .milling import MILLING
from .sensors import HEAT_DISSIPATION_MIN_DIFFERENCE_K, HEAT_DISSIPATION_MIN_SPEED_RPM

__all__ = ["ExceededLimit", "Limit", "LimitMargin"]

LIMITS = MILLING.limits

exceeded_limits = MILLING.exceeded_limits
limit_margins = MILLING.limit_margins
exceeded_limit_codes = MILLING.exceeded_limit_codes
limits_of_code = MILLING.limits_of_code


def lacks_heat_dissipation(difference_k: Any, speed_rpm: Any) -> Any:
    """Whether heat dissipation is insufficient: a small temperature difference at a low speed."""
    return (difference_k < HEAT_DISSIPATION_MIN_DIFFERENCE_K) & (speed_rpm < HEAT_DISSIPATION_MIN_SPEED_RPM)
