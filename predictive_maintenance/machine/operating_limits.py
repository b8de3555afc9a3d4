"""The operating limits of the machines: which of them readings break, how far others are, and what to do about it.

The limits are the published rules of sensors.py. A limit's functions work alike on one reading's numbers and on
columns. No more than features.py is needed: the serving path imports this module.
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
    """One limit: what is measured, its bound, whether a reading breaks it, and what a person can do."""

    name: str
    label: str
    unit: str
    allowed: str
    action: str
    side: Side
    measure: Callable[[Reading], Any]
    bound: Callable[[Reading], Any]
    breaks: Callable[[Reading], Any]
    applies: Callable[[Reading], Any] = lambda _reading: True


@dataclass(frozen=True, kw_only=True)
class BrokenLimit:
    """One limit that a reading breaks. `measured` is in `unit`, `allowed` says in words what would be right."""

    name: str
    label: str
    measured: float
    unit: str
    allowed: str
    action: str


@dataclass(frozen=True, kw_only=True)
class LimitMargin:
    """How far one reading is from a limit: `margin` in `unit`, negative beyond it. It may not apply to the reading."""

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
    """Whether a machine cannot get rid of its heat: a small temperature difference at a low speed."""
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
        breaks=lambda reading: lacks_heat_dissipation(
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
        breaks=lambda reading: power_w(reading) < POWER_RANGE_W[0],
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
        breaks=lambda reading: power_w(reading) > POWER_RANGE_W[1],
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
        breaks=lambda reading: strain_min_nm(reading) > strain_limit_min_nm(reading),
    ),
    Limit(
        name="tool_wear",
        label="Tool wear",
        unit="min",
        allowed=f"less than {TOOL_REPLACEMENT_FROM_MIN:g} min: from there on a tool fails at any time",
        action="replace the tool",
        side="maximum",
        measure=lambda reading: reading["tool_wear_min"],
        bound=lambda _reading: TOOL_REPLACEMENT_FROM_MIN,
        breaks=lambda reading: reading["tool_wear_min"] >= TOOL_REPLACEMENT_FROM_MIN,
    ),
)


def broken_limits(reading: Mapping[str, Any]) -> list[BrokenLimit]:
    """The limits that one reading breaks: plain numbers by canonical name, `product_type` among them."""
    coded = _coded(reading)
    return [
        BrokenLimit(
            name=limit.name,
            label=limit.label,
            measured=limit.measure(coded),
            unit=limit.unit,
            allowed=limit.allowed,
            action=limit.action,
        )
        for limit in LIMITS
        if limit.breaks(coded)
    ]


def limit_margins(reading: Mapping[str, Any]) -> list[LimitMargin]:
    """How far one reading, as `broken_limits` takes it, is from every limit."""
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
                broken=limit.breaks(coded),
            )
        )
    return margins


def broken_limit_codes(columns: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    """(n,) which limits each of n readings breaks, as bits: 1 for the first of LIMITS, 2 for the second, ..."""
    coded: dict[str, Any] = {name: np.asarray(columns[name], dtype=np.float64) for name in SENSOR_NAMES}
    coded["product_type_code"] = product_type_codes(columns[PRODUCT_TYPE.name])
    codes = np.zeros(len(coded["product_type_code"]), dtype=np.uint8)
    for bit, limit in enumerate(LIMITS):
        codes |= limit.breaks(coded).astype(np.uint8) << bit
    return codes


def limits_of_code(code: int) -> tuple[Limit, ...]:
    """The limits that a code of `broken_limit_codes` stands for."""
    return tuple(limit for bit, limit in enumerate(LIMITS) if code >> bit & 1)


def _coded(reading: Mapping[str, Any]) -> dict[str, Any]:
    return {**reading, "product_type_code": PRODUCT_TYPES.index(reading[PRODUCT_TYPE.name])}
