"""Operating limits of a description: which ones a reading exceeds, and its margin to each."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .columns import Category
from .formulas import Condition
from .names import CODE_SUFFIX
from .rounding import rounded, shown
from .sections import OperatingLimit, Side
from .unit_text import unit_text


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One operating limit: the measured quantity, its bound, when it applies, and the recommended action.

    `bound` is a number, or one for each code of the category `by`; `beyond` compares the measured quantity with it.
    `decimals` are those of a margin; None if it is not rounded.
    """

    name: str
    label: str
    unit: str
    allowed: str
    action: str
    side: Side
    measure: str
    bound: float | tuple[float, ...]
    by: str | None
    condition: Condition | None
    beyond: Callable[[Any, Any], Any]
    decimals: int | None

    def bound_of(self, reading: Mapping[str, Any]) -> float:
        """The bound for one reading with codes; NaN if it has no value of the category."""
        if isinstance(self.bound, float):
            return self.bound
        code = reading[f"{self.by}{CODE_SUFFIX}"]
        return self.bound[int(code)] if code == code else np.nan

    def applies(self, reading: Mapping[str, Any]) -> bool:
        """Whether the limit applies to one reading with features."""
        return self.condition is None or self.condition.number(reading)

    def exceeded(self, reading: Mapping[str, Any]) -> bool:
        """Whether one reading with features and codes exceeds the limit. A missing value exceeds none."""
        bound = self.bound if self.by is None else self.bound_of(reading)
        return bool(self.beyond(reading[self.measure], bound)) and self.applies(reading)

    def exceeded_rows(self, columns: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.bool_]:
        """(n,) whether each of n readings with features and codes exceeds the limit."""
        bounds: Any = self.bound
        if isinstance(bounds, tuple):
            codes = columns[f"{self.by}{CODE_SUFFIX}"]
            known = np.where(np.isnan(codes), len(bounds), codes).astype(np.intp)
            bounds = np.array([*bounds, np.nan])[known]
        exceeded = self.beyond(columns[self.measure], bounds)
        return exceeded if self.condition is None else exceeded & self.condition.column(columns)


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


def exceeded_limit(limit: Limit, reading: Mapping[str, Any]) -> ExceededLimit:
    """The record of a limit that a reading with features and codes exceeds."""
    return ExceededLimit(
        name=limit.name,
        label=limit.label,
        measured=reading[limit.measure],
        unit=limit.unit,
        allowed=limit.allowed,
        action=limit.action,
    )


def limit_margin(limit: Limit, reading: Mapping[str, Any]) -> LimitMargin:
    """The margin of a reading with features and codes to a limit."""
    measured, bound = reading[limit.measure], limit.bound_of(reading)
    margin = float(measured - bound if limit.side == "minimum" else bound - measured)
    return LimitMargin(
        name=limit.name,
        label=limit.label,
        side=limit.side,
        measured=measured,
        bound=bound,
        margin=margin if limit.decimals is None else rounded(margin, limit.decimals),
        unit=limit.unit,
        applies=limit.applies(reading),
        broken=limit.exceeded(reading),
    )


def compiled_limits(
    described: OperatingLimit, unit: str, decimals: int | None, categories: Mapping[str, Category]
) -> tuple[Limit, ...]:
    """A Limit for each bound. `unit` and `decimals` are those of the measure."""
    category = categories[described.by] if described.by else None
    return tuple(
        Limit(
            name=described.name,
            label=described.label,
            unit=unit,
            allowed=described.allowed or _allowed(described, side, bound, unit),
            action=described.action,
            side=side,
            measure=described.measure,
            bound=tuple(bound[value] for value in category.known_values)
            if category and isinstance(bound, Mapping)
            else float(bound),  # type: ignore[arg-type]  # without a category, a bound is a number
            by=described.by,
            condition=Condition(described.when) if described.when else None,
            beyond=_BEYOND[side, described.exclusive],
            decimals=decimals,
        )
        for side, bound in described.bounds()
    )


_BEYOND = {
    ("minimum", False): operator.lt,
    ("minimum", True): operator.le,
    ("maximum", False): operator.gt,
    ("maximum", True): operator.ge,
}
"""How a value is compared with a bound, by side and by whether the bound itself exceeds the limit."""


def _allowed(described: OperatingLimit, side: Side, bound: float | Mapping[str, float], unit: str) -> str:
    """The allowed values as text: "3500 W or more", "less than 200 min"."""
    if isinstance(bound, Mapping):
        text = ", ".join(f"{_quantity(number, unit)} for {value}" for value, number in bound.items())
    else:
        text = _quantity(bound, unit)
    if described.exclusive:
        text = f"more than {text}" if side == "minimum" else f"less than {text}"
    else:
        text = f"{text} or more" if side == "minimum" else f"{text} or less"
    return f"{text} where {described.when}" if described.when else text


def _quantity(number: float, unit: str) -> str:
    return f"{shown(number)} {unit_text(unit)}".strip()
