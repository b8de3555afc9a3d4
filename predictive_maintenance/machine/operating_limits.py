"""Operating limits: which ones a reading exceeds, its margin to each, and the recommended action.

The limits are the published rules in sensors.py. The functions of a limit give the same result for the numbers of one
reading and for columns. This module imports only what features.py needs, because the API imports it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .features import (
    Reading,
    power_w,
    product_type_codes,
    rounded,
    strain_limit_min_nm,
    strain_min_nm,
    temperature_difference_k,
)
from .sensors import (
    HEAT_DISSIPATION_MIN_DIFFERENCE_K,
    HEAT_DISSIPATION_MIN_SPEED_RPM,
    OVERSTRAIN_LIMIT_MIN_NM,
    POWER_RANGE_W,
    PRODUCT_TYPE,
    PRODUCT_TYPES,
    SENSOR_NAMES,
    TOOL_REPLACEMENT_FROM_MIN,
)

Side = Literal["minimum", "maximum"]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One operating limit: the measured quantity, its bound, when it is exceeded, and the recommended action."""

    name: str
    label: str
    unit: str
    allowed: str
    action: str
    side: Side
    measure: Callable[[Reading], Any]
    bound: Callable[[Reading], Any]
    exceeded: Callable[[Reading], Any]
    applies: Callable[[Reading], Any] = lambda _reading: True


@dataclass(frozen=True, kw_only=True)
class ExceededLimit:
    """A limit that a reading exceeds. `measured` is in `unit`; `allowed` describes the allowed values as text."""

    name: str
    label: str
    measured: float
    unit: str
    allowed: str
    action: str


@dataclass(frozen=True, kw_only=True)
class LimitMargin:
    """The margin of a reading to a limit in `unit`: negative if exceeded (`broken`). A limit may not apply to the reading."""

    name: str
    label: str
    side: Side
    measured: float
    bound: float
    margin: float
    unit: str
    applies: bool
    broken: bool


def lacks_heat_dissipation(difference_k: Any, speed_rpm: Any) -> Any:
    """Whether heat dissipation is insufficient: a small temperature difference at a low speed."""
    return (difference_k < HEAT_DISSIPATION_MIN_DIFFERENCE_K) & (speed_rpm < HEAT_DISSIPATION_MIN_SPEED_RPM)


LIMITS = (
    Limit(
        name="heat_dissipation",
        label="Heat dissipation",
        unit="K",
        allowed=f"{HEAT_DISSIPATION_MIN_DIFFERENCE_K:g} K or more between process and air, "
        f"or {HEAT_DISSIPATION_MIN_SPEED_RPM:g} rpm or more",
        action=f"improve the cooling or run at {HEAT_DISSIPATION_MIN_SPEED_RPM:g} rpm or more",
        side="minimum",
        measure=temperature_difference_k,
        bound=lambda _reading: HEAT_DISSIPATION_MIN_DIFFERENCE_K,
        exceeded=lambda reading: lacks_heat_dissipation(
            temperature_difference_k(reading), reading["rotational_speed_rpm"]
        ),
        applies=lambda reading: reading["rotational_speed_rpm"] < HEAT_DISSIPATION_MIN_SPEED_RPM,
    ),
    Limit(
        name="power",
        label="Power",
        unit="W",
        allowed=f"{POWER_RANGE_W[0]:g} W or more",
        action="raise torque or speed",
        side="minimum",
        measure=power_w,
        bound=lambda _reading: POWER_RANGE_W[0],
        exceeded=lambda reading: power_w(reading) < POWER_RANGE_W[0],
    ),
    Limit(
        name="power",
        label="Power",
        unit="W",
        allowed=f"{POWER_RANGE_W[1]:g} W or less",
        action="lower torque or speed",
        side="maximum",
        measure=power_w,
        bound=lambda _reading: POWER_RANGE_W[1],
        exceeded=lambda reading: power_w(reading) > POWER_RANGE_W[1],
    ),
    Limit(
        name="strain",
        label="Strain",
        unit="min Nm",
        allowed=", ".join(f"{limit:g} min Nm for {kind}" for kind, limit in OVERSTRAIN_LIMIT_MIN_NM.items())
        + " or less",
        action="replace the tool or lower the torque",
        side="maximum",
        measure=strain_min_nm,
        bound=strain_limit_min_nm,
        exceeded=lambda reading: strain_min_nm(reading) > strain_limit_min_nm(reading),
    ),
    Limit(
        name="tool_wear",
        label="Tool wear",
        unit="min",
        allowed=f"less than {TOOL_REPLACEMENT_FROM_MIN:g} min: from then on a tool can fail at any time",
        action="replace the tool",
        side="maximum",
        measure=lambda reading: reading["tool_wear_min"],
        bound=lambda _reading: TOOL_REPLACEMENT_FROM_MIN,
        exceeded=lambda reading: reading["tool_wear_min"] >= TOOL_REPLACEMENT_FROM_MIN,
    ),
)


def exceeded_limits(reading: Mapping[str, Any]) -> list[ExceededLimit]:
    """The limits that one reading exceeds. `reading` has canonical column names with numbers, and `product_type`."""
    coded = _coded(reading)
    return [
        ExceededLimit(
            name=limit.name,
            label=limit.label,
            measured=limit.measure(coded),
            unit=limit.unit,
            allowed=limit.allowed,
            action=limit.action,
        )
        for limit in LIMITS
        if limit.exceeded(coded)
    ]


def limit_margins(reading: Mapping[str, Any]) -> list[LimitMargin]:
    """The margin of one reading, in the format of `exceeded_limits`, to every limit."""
    coded, margins = _coded(reading), []
    for limit in LIMITS:
        measured, bound = limit.measure(coded), limit.bound(coded)
        margins.append(
            LimitMargin(
                name=limit.name,
                label=limit.label,
                side=limit.side,
                measured=measured,
                bound=bound,
                margin=rounded(measured - bound if limit.side == "minimum" else bound - measured),
                unit=limit.unit,
                applies=limit.applies(coded),
                broken=limit.exceeded(coded),
            )
        )
    return margins


def exceeded_limit_codes(columns: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    """The limits that each of n readings exceeds, as (n,) bit masks: bit 0 is the first of LIMITS."""
    coded: dict[str, Any] = {name: np.asarray(columns[name], dtype=np.float64) for name in SENSOR_NAMES}
    coded["product_type_code"] = product_type_codes(columns[PRODUCT_TYPE.name])
    codes = np.zeros(len(coded["product_type_code"]), dtype=np.uint8)
    for bit, limit in enumerate(LIMITS):
        codes |= limit.exceeded(coded).astype(np.uint8) << bit
    return codes


def limits_of_code(code: int) -> tuple[Limit, ...]:
    """The limits in a bit mask of `exceeded_limit_codes`."""
    return tuple(limit for bit, limit in enumerate(LIMITS) if code >> bit & 1)


def _coded(reading: Mapping[str, Any]) -> dict[str, Any]:
    return {**reading, "product_type_code": PRODUCT_TYPES.index(reading[PRODUCT_TYPE.name])}
